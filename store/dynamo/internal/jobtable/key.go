package jobtable

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

const (
	attrEntries = "entries"
	attrVersion = "version"

	// keyFor is how long a key is kept after it was written last, where no Remove frees it: far longer than anybody asks
	// back (jobs ask 24 hours), and as long as a result is kept at most.
	keyFor = 30 * 24 * time.Hour
	// settleFor is how long a reservation without a job is waited for before it is voided: its writer needs one more write.
	settleFor = time.Second
	// voidFor is how long the mark of a voided reservation is kept: longer than any writer that is late.
	voidFor = 24 * time.Hour
	// entryBytes is the length of one entry of a key.
	entryBytes = 32
)

// idempotencyKey is the item of one: the jobs under it, and reservations for some.
type idempotencyKey struct {
	key     calls.Item
	version int64 // zero: there is no item
	entries []keyEntry
}

// keyEntry is a job under a key, or the reservation for one.
type keyEntry struct {
	id       backlog.ID
	enqueued int64  // microseconds
	reserved int64  // milliseconds, by the clock of who reserved it
	name     string // of the reservation
	dead     bool   // there is no job and none will come
}

// readKey reads a key's item consistently.
func (b *Backlog) readKey(ctx context.Context, digest [32]byte) (*idempotencyKey, error) {
	k := &idempotencyKey{key: calls.Item{AttrShard: calls.Str(shardKey + hex.EncodeToString(digest[:])), AttrID: calls.Str("1")}}
	out, err := b.conn.Get(ctx, "queue.key", &dynamodb.GetItemInput{TableName: &b.table, Key: k.key, ConsistentRead: calls.Yes()})
	if err != nil {
		return nil, err
	}
	k.version, _ = calls.Number(out.Item, attrVersion)
	all, _ := calls.Raw(out.Item, attrEntries)
	for ; len(all) >= entryBytes; all = all[entryBytes:] {
		k.entries = append(k.entries, keyEntry{
			id: backlog.ID(binary.BigEndian.Uint64(all)), enqueued: int64(binary.BigEndian.Uint64(all[8:])),
			reserved: int64(binary.BigEndian.Uint64(all[16:])), name: hex.EncodeToString(all[24:entryBytes]),
		})
	}
	// The last job first.
	slices.SortFunc(k.entries, func(x, y keyEntry) int { return cmp.Compare(y.enqueued, x.enqueued) })
	return k, nil
}

// add reserves the key for a job, in memory.
func (k *idempotencyKey) add(j *backlog.Job, name string) {
	k.entries = append(k.entries, keyEntry{id: j.ID, enqueued: micros(j.Enqueued), reserved: now().UnixMilli(), name: name})
}

// encode makes the value of the entries that are not dead.
func (k *idempotencyKey) encode() (all []byte, err error) {
	for _, entry := range k.entries {
		if entry.dead {
			continue
		}
		for _, n := range []int64{int64(entry.id), entry.enqueued, entry.reserved} {
			all = binary.BigEndian.AppendUint64(all, uint64(n))
		}
		name, err := hex.DecodeString(entry.name)
		if err != nil {
			return nil, err
		}
		all = append(all, name...)
	}
	return all, nil
}

// writeKey writes a key's item without its dead entries, unless somebody else has written it since it was read.
func (b *Backlog) writeKey(ctx context.Context, k *idempotencyKey) (written bool, err error) {
	all, err := k.encode()
	if err != nil {
		return false, err
	}
	var e calls.Expression
	var condition string
	if k.version == 0 {
		condition = "attribute_not_exists(" + e.N(AttrID) + ")"
	} else {
		condition = e.N(attrVersion) + " = " + e.V("seen", calls.Num(k.version))
	}
	if len(all) == 0 {
		if k.version == 0 {
			return true, nil
		}
		_, err = b.conn.Remove(ctx, "queue.key", &dynamodb.DeleteItemInput{
			TableName: &b.table, Key: k.key, ConditionExpression: &condition,
			ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values,
		})
	} else {
		_, err = b.conn.Put(ctx, "queue.key", &dynamodb.PutItemInput{
			TableName: &b.table, ConditionExpression: &condition, ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values,
			Item: calls.Item{
				AttrShard: k.key[AttrShard], AttrID: k.key[AttrID], attrEntries: calls.Data(all),
				// A random version: a key that went and came again must not have one that somebody has seen.
				attrVersion: calls.Num(rand.Int64N(1<<62) + 1), AttrTTL: calls.Num(now().Add(keyFor).Unix()),
			},
		})
	}
	if calls.ConditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

// holder returns the job that was enqueued last of those under a key that were enqueued after since, or ErrNotFound. It marks
// entries as dead that it finds to be. With settle a reservation without a job is waited for, and voided in the end;
// without, it is as if it were not there.
func (b *Backlog) holder(ctx context.Context, k *idempotencyKey, since time.Time, settle bool) (backlog.Job, error) {
	for i := range k.entries {
		entry := &k.entries[i]
		if !since.IsZero() && entry.enqueued <= since.UnixMicro() {
			break
		}
		j, err := b.underKey(ctx, k, entry, settle)
		if err == nil || !errors.Is(err, backlog.ErrNotFound) {
			return j, err
		}
	}
	return backlog.Job{}, backlog.ErrNotFound
}

// underKey returns the job of one entry, or ErrNotFound.
func (b *Backlog) underKey(ctx context.Context, k *idempotencyKey, entry *keyEntry, settle bool) (backlog.Job, error) {
	// A clock that is wrong makes it more or less patient, no more.
	patience := min(max(settleFor-now().Sub(time.UnixMilli(entry.reserved)), 0), settleFor)
	for began, pause := time.Now(), 2*time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		out, err := b.conn.Get(ctx, "queue.key", &dynamodb.GetItemInput{TableName: &b.table, Key: b.keyOf(entry.id), ConsistentRead: calls.Yes()})
		if err != nil {
			return backlog.Job{}, err
		}
		void, marked := out.Item[attrVoid].(*types.AttributeValueMemberSS)
		switch {
		case marked && slices.Contains(void.Value, entry.name):
			entry.dead = true
			return backlog.Job{}, backlog.ErrNotFound
		case len(out.Item) > 0 && !marked:
			return b.ofKey(ctx, k, entry, out.Item)
		case !settle:
			return backlog.Job{}, backlog.ErrNotFound
		}
		if time.Since(began) >= patience {
			voided, err := b.void(ctx, entry)
			if err != nil {
				return backlog.Job{}, err
			}
			if voided {
				entry.dead = true
				return backlog.Job{}, backlog.ErrNotFound
			}
			continue // it came
		}
		if err := calls.Sleep(ctx, jitter(pause)); err != nil {
			return backlog.Job{}, err
		}
	}
}

// ofKey reads the job that an entry names. One that is damaged, over or not of this key has the key no more.
func (b *Backlog) ofKey(ctx context.Context, k *idempotencyKey, entry *keyEntry, it calls.Item) (backlog.Job, error) {
	j, err := b.jobOf(ctx, it)
	switch {
	case errors.Is(err, backlog.ErrDamaged), errors.Is(err, backlog.ErrNotFound):
	case err != nil:
		return backlog.Job{}, err
	default:
		digest := shardKey + hex.EncodeToString(j.Idempotency[:])
		if name, _ := calls.Text(k.key, AttrShard); name == digest && micros(j.Enqueued) == entry.enqueued {
			return j, nil
		}
	}
	entry.dead = true
	return backlog.Job{}, backlog.ErrNotFound
}

// void has no job come by a reservation. It returns false where a job is there.
func (b *Backlog) void(ctx context.Context, entry *keyEntry) (bool, error) {
	var e calls.Expression
	update := "ADD " + e.N(attrVoid) + " " + e.V("void", &types.AttributeValueMemberSS{Value: []string{entry.name}}) +
		" SET " + e.N(AttrTTL) + " = " + e.V("ttl", calls.Num(now().Add(voidFor).Unix()))
	condition := "attribute_not_exists(" + e.N(AttrID) + ") OR attribute_exists(" + e.N(attrVoid) + ")"
	_, err := b.conn.Update(ctx, "queue.key", &dynamodb.UpdateItemInput{
		TableName: &b.table, Key: b.keyOf(entry.id), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values,
	})
	if calls.ConditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

// release takes an entry off a key. Where that fails, the next one who uses the key finds that it is dead.
func (b *Backlog) release(ctx context.Context, digest [32]byte, which func(keyEntry) bool) {
	for {
		k, err := b.readKey(ctx, digest)
		if err != nil {
			return
		}
		at := slices.IndexFunc(k.entries, which)
		if at < 0 {
			return
		}
		k.entries[at].dead = true
		if written, err := b.writeKey(ctx, k); written || err != nil {
			return
		}
		if calls.Sleep(ctx, jitter(2*time.Millisecond)) != nil {
			return
		}
	}
}

// Find implements backlog.Store. It costs 1 read unit, and 1 for each job under the key that it looks at.
func (b *Backlog) Find(ctx context.Context, idempotency [32]byte, since time.Time) (backlog.Job, error) {
	if idempotency == [32]byte{} {
		return backlog.Job{}, backlog.ErrNotFound
	}
	k, err := b.readKey(ctx, idempotency)
	if err != nil {
		return backlog.Job{}, err
	}
	return b.holder(ctx, k, since, false)
}

// jitter draws a pause between half of d and one and a half.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
