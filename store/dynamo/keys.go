package dynamo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/envelope"
)

// Each key is an item of its own, in a partition that has its id; that item decides. One partition more has a line for each
// key, by owner, by which keys are found: it is written before the key and removed after it. A key that was shredded
// leaves a stone behind, so that a Save which was on its way does not bring it back.
const (
	keyPartition  = "key#"
	keyEntry      = "key"
	keysPartition = "keys"
	// shreddings is the key of an item that counts the calls of Shred.
	shreddings = "shreddings"

	// stoneLife is how long a stone lies: longer than any Save can be on its way.
	// keysAtOnce is how many keys are read at once: what DynamoDB takes in a batch.
	keysAtOnce = 100
	stoneLife  = 30 * 24 * time.Hour
)

// Keys keeps wrapped data keys in the control table. It implements envelope.KeyStore. All methods may be called concurrently, by any number
// of processes. All reads are consistent.
//
// To read a key costs a read unit, to save one two write units, to find an owner's newest two read units, to look whether any was
// shredded one. WrappedByOthers reads a line of each key there is: a read unit for some thirty.
//
// Shred overwrites a key's item. Copies of the table that AWS keeps for a recovery in time
// (point-in-time recovery, backups) have it until they end, 35 days at most for the former.
type Keys struct {
	conn  *conn
	table string
}

var (
	_ envelope.KeyStore = (*Keys)(nil)
	_ envelope.Sharer   = (*Keys)(nil)
)

// Keys returns the wrapped data keys, or nil where the table control is not configured.
func (s *Store) Keys() *Keys {
	if s.cfg.Control == "" {
		return nil
	}
	return &Keys{conn: s.conn, table: s.cfg.Control}
}

func dataKeyKey(id uint64) item { return itemKey(keyPartition+hex16(id), keyEntry) }

// line is where a key stands in the list of all.
func line(tenant, user, id uint64) string { return hex16(tenant) + hex16(user) + hex16(id) }

// owners is how the lines of an owner begin: with user zero, of a tenant and all of its users.
func owners(tenant, user uint64) string {
	if user == 0 {
		return hex16(tenant)
	}
	return hex16(tenant) + hex16(user)
}

// Key implements envelope.KeyStore.
func (k *Keys) Key(ctx context.Context, id uint64) (envelope.WrappedKey, error) {
	out, err := k.conn.get(ctx, "keys.get", &dynamodb.GetItemInput{TableName: &k.table, Key: dataKeyKey(id), ConsistentRead: yes()})
	if err != nil {
		return envelope.WrappedKey{}, fmt.Errorf("dynamo: read a key: %w", err)
	}
	return readKey(out.Item)
}

// readKey reads a key, or returns envelope.ErrNoKey where there is none, or a stone.
func readKey(it item) (key envelope.WrappedKey, err error) {
	if it == nil || it["shredded"] != nil {
		return key, envelope.ErrNoKey
	}
	pk, _ := text(it, "pk")
	var faults [4]error
	key.ID, faults[0] = parseHex16(pk[min(len(pk), len(keyPartition)):])
	key.Tenant, faults[1] = tagOf(it, "tenant")
	key.User, faults[2] = tagOf(it, "user")
	key.Master, faults[3] = tagOf(it, "master")
	created, ok := number(it, "created")
	if err := errors.Join(faults[:]...); err != nil || !ok {
		return envelope.WrappedKey{}, fmt.Errorf("dynamo: a key: %w", errForm)
	}
	key.Created = time.Unix(created, 0).UTC()
	key.Wrapped, _ = raw(it, "wrapped")
	return key, nil
}

// found is a line.
type found struct {
	id      uint64
	created int64
	saved   int64 // when it was saved first, in nanoseconds: of keys of one second the later counts
	owner   string
}

// lines reads the lines that begin with prefix; in changes what is asked for where it is not nil.
func (k *Keys) lines(ctx context.Context, op, prefix string, change func(*dynamodb.QueryInput)) (all []found, err error) {
	in := partition(k.table, keysPartition, prefix)
	if change != nil {
		change(in)
	}
	err = k.conn.pages(ctx, op, in, func(it item) error {
		sk, _ := text(it, "sk")
		if len(sk) != 48 {
			return errForm
		}
		one := found{owner: sk[:32]}
		one.created, _ = number(it, "created")
		one.saved, _ = number(it, "saved")
		one.id, err = parseHex16(sk[32:])
		all = append(all, one)
		return err
	})
	return all, err
}

// Newest implements envelope.KeyStore. Of keys that were created in one second it takes the one that was saved last,
// by the clocks of those who saved them.
func (k *Keys) Newest(ctx context.Context, tenant, user uint64) (envelope.WrappedKey, error) {
	all, err := k.lines(ctx, "keys.newest", hex16(tenant)+hex16(user), nil)
	if err != nil {
		return envelope.WrappedKey{}, fmt.Errorf("dynamo: find the newest key: %w", err)
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(b.saved, a.saved)) })
	for _, one := range all {
		key, err := k.Key(ctx, one.id)
		if !errors.Is(err, envelope.ErrNoKey) { // its line was left behind, or goes before it
			return key, err
		}
	}
	return envelope.WrappedKey{}, envelope.ErrNoKey
}

// Save implements envelope.KeyStore. Each key is saved by itself: after an error some may be saved. A key that was
// shredded stays so: then the others are saved, and the error is envelope.ErrNoKey.
func (k *Keys) Save(ctx context.Context, keys ...envelope.WrappedKey) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var shredded error
	for i := range keys {
		err := k.save(ctx, &keys[i])
		if errors.Is(err, envelope.ErrNoKey) {
			shredded = err
		} else if err != nil {
			return fmt.Errorf("dynamo: save a key: %w", err)
		}
	}
	return shredded
}

func (k *Keys) save(ctx context.Context, key *envelope.WrappedKey) error {
	at := itemKey(keysPartition, line(key.Tenant, key.User, key.ID))
	entry := itemKey(keysPartition, line(key.Tenant, key.User, key.ID))
	entry["created"], entry["saved"], entry["master"] = num(key.Created.Unix()), num(time.Now().UnixNano()), tagged(key.Master)
	_, err := k.conn.put(ctx, "keys.save", &dynamodb.PutItemInput{TableName: &k.table, Item: entry, ConditionExpression: aws.String("attribute_not_exists(pk)")})
	known := conditionFailed(err)
	if err != nil && !known {
		return err
	}
	it := dataKeyKey(key.ID)
	it["tenant"], it["user"], it["master"] = tagged(key.Tenant), tagged(key.User), tagged(key.Master)
	it["created"], it["wrapped"] = num(key.Created.Unix()), data(slices.Clone(key.Wrapped))
	if len(key.Wrapped) == 0 {
		delete(it, "wrapped")
	}
	_, err = k.conn.put(ctx, "keys.save", &dynamodb.PutItemInput{TableName: &k.table, Item: it, ConditionExpression: aws.String("attribute_not_exists(shredded)")})
	switch {
	case conditionFailed(err):
		if _, err := k.conn.remove(ctx, "keys.save", &dynamodb.DeleteItemInput{TableName: &k.table, Key: at}); err != nil {
			return err
		}
		return fmt.Errorf("dynamo: save a key that was shredded: %w", envelope.ErrNoKey)
	case err != nil || !known:
		return err
	}
	// Last, so that a line never says that a key was wrapped anew which was not.
	set, condition := "SET #m = :m", "attribute_exists(pk)"
	_, err = k.conn.update(ctx, "keys.save", &dynamodb.UpdateItemInput{
		TableName: &k.table, Key: at, UpdateExpression: &set, ConditionExpression: &condition,
		ExpressionAttributeNames: map[string]string{"#m": "master"}, ExpressionAttributeValues: item{":m": tagged(key.Master)},
	})
	if conditionFailed(err) {
		return nil // it was shredded in between
	}
	return err
}

// Shred implements envelope.KeyStore. With an error, the ids are of the keys that are gone already.
func (k *Keys) Shred(ctx context.Context, tenant, user uint64) (ids []uint64, err error) {
	all, err := k.lines(ctx, "keys.shred", owners(tenant, user), nil)
	if err != nil {
		return nil, fmt.Errorf("dynamo: shred: %w", err)
	}
	for _, one := range all {
		was, err := k.shred(ctx, one)
		if err != nil {
			return ids, fmt.Errorf("dynamo: shred: %w", err)
		}
		if was {
			ids = append(ids, one.id)
		}
	}
	// Last, and also where there was nothing: an earlier try may have ended before it came to this.
	add := "ADD #n :one"
	_, err = k.conn.update(ctx, "keys.shred", &dynamodb.UpdateItemInput{
		TableName: &k.table, Key: itemKey(shreddings, shreddings), UpdateExpression: &add,
		ExpressionAttributeNames: map[string]string{"#n": "number"}, ExpressionAttributeValues: item{":one": num(1)},
	})
	if err != nil {
		return ids, fmt.Errorf("dynamo: shred: %w", err)
	}
	return ids, nil
}

// Shreddings implements envelope.Sharer. It reads consistently.
func (k *Keys) Shreddings(ctx context.Context) (uint64, error) {
	out, err := k.conn.get(ctx, "keys.shreddings", &dynamodb.GetItemInput{TableName: &k.table, Key: itemKey(shreddings, shreddings), ConsistentRead: yes()})
	if err != nil {
		return 0, fmt.Errorf("dynamo: see whether keys were shredded: %w", err)
	}
	return natural(out.Item, "number"), nil
}

// shred puts a stone in the place of a key, and removes its line. It says whether there was a key.
func (k *Keys) shred(ctx context.Context, one found) (was bool, err error) {
	stone := dataKeyKey(one.id)
	stone["shredded"], stone[TTLAttribute] = flag(true), num(time.Now().Add(stoneLife).Unix())
	out, err := k.conn.put(ctx, "keys.shred", &dynamodb.PutItemInput{TableName: &k.table, Item: stone, ReturnValues: types.ReturnValueAllOld})
	if err != nil {
		return false, err
	}
	_, err = k.conn.remove(ctx, "keys.shred", &dynamodb.DeleteItemInput{TableName: &k.table, Key: itemKey(keysPartition, one.owner+hex16(one.id))})
	return out.Attributes != nil && out.Attributes["shredded"] == nil, err
}

// WrappedByOthers implements envelope.KeyStore.
func (k *Keys) WrappedByOthers(ctx context.Context, master uint64, limit int) ([]envelope.WrappedKey, error) {
	if err := ctx.Err(); err != nil || limit <= 0 {
		return nil, err
	}
	all, err := k.lines(ctx, "keys.others", "", func(in *dynamodb.QueryInput) {
		in.FilterExpression = aws.String("#m <> :m")
		in.ExpressionAttributeNames["#m"], in.ExpressionAttributeValues[":m"] = "master", tagged(master)
	})
	if err != nil {
		return nil, fmt.Errorf("dynamo: find the keys of other masters: %w", err)
	}
	var others []envelope.WrappedKey
	for part := range slices.Chunk(all, keysAtOnce) {
		keys := make([]item, 0, len(part))
		for _, one := range part {
			keys = append(keys, dataKeyKey(one.id))
		}
		items, err := k.conn.batchGet(ctx, "keys.others", k.table, keys)
		if err != nil {
			return nil, fmt.Errorf("dynamo: find the keys of other masters: %w", err)
		}
		for _, it := range items {
			key, err := readKey(it)
			switch {
			case errors.Is(err, envelope.ErrNoKey), err == nil && key.Master == master:
				continue // its line is behind
			case err != nil:
				return nil, err
			}
			if others = append(others, key); len(others) == limit {
				return others, nil
			}
		}
	}
	return others, nil
}
