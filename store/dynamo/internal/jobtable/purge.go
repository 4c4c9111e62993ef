package jobtable

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

// errEnough ends a walk that has found what it was for.
var errEnough = errors.New("dynamo: enough")

// removedAtOnce is how many jobs are looked at together that are to be removed: what DynamoDB reads in one batch.
const removedAtOnce = 100

// Purge implements backlog.Store. Where the table's TTL is on, as `forebay aws tables apply` leaves it, it does
// nothing: DynamoDB removes what has expired, which costs nothing, and reads do not see it from Config.Grace after its time
// on. Otherwise it walks over all jobs, at 1 read unit for some 6 of them.
func (b *Backlog) Purge(ctx context.Context, now time.Time, limit int) (p backlog.Purged, more bool, err error) {
	if b.ttl || limit <= 0 {
		return p, false, nil
	}
	now = time.UnixMicro(now.UnixMicro())
	for n := range b.shards {
		err = b.each(ctx, "queue.purge", walk{shard: shardNamed(n)}, func(it calls.Item) error {
			if it[attrVoid] != nil {
				return b.unmark(ctx, it)
			}
			if _, apart := calls.Text(it, attrDamaged); apart {
				return nil
			}
			j, err := decodeJob(it)
			if err != nil || !j.State.Final() {
				return nil // its damage is noted by who reads it
			}
			if !j.Keep.IsZero() && !j.Keep.After(now) {
				return b.purgeJob(ctx, it, &j, &p, limit)
			}
			if !j.ResultUntil.IsZero() && !j.ResultUntil.After(now) {
				return b.purgeParts(ctx, it, &j, &p, limit)
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return p, true, nil
		}
		if err != nil {
			return p, false, err
		}
	}
	return p, false, nil
}

// unmark removes the mark of voided reservations when it is old enough.
func (b *Backlog) unmark(ctx context.Context, it calls.Item) error {
	if !calls.Expired(it, AttrTTL, now()) {
		return nil
	}
	var e calls.Expression
	condition := "attribute_exists(" + e.N(attrVoid) + ")"
	_, err := b.conn.Remove(ctx, "queue.purge", &dynamodb.DeleteItemInput{
		TableName: &b.table, Key: calls.Item{AttrShard: it[AttrShard], AttrID: it[AttrID]},
		ConditionExpression: &condition, ExpressionAttributeNames: e.Names,
	})
	if calls.ConditionFailed(err) {
		return nil
	}
	return err
}

func (b *Backlog) purgeJob(ctx context.Context, it calls.Item, j *backlog.Job, p *backlog.Purged, limit int) error {
	if p.Jobs >= limit {
		return errEnough
	}
	gone, err := b.removeJob(ctx, j.ID, record(it))
	if gone {
		p.Jobs++
	}
	return err
}

// purgeParts drops payload and result of a job that stays.
func (b *Backlog) purgeParts(ctx context.Context, it calls.Item, j *backlog.Job, p *backlog.Purged, limit int) error {
	parts := []string{attrPayload, attrPayloadRef, attrResult, attrResultRef}
	if !slices.ContainsFunc(parts, func(name string) bool { return it[name] != nil }) {
		return nil
	}
	if p.Results >= limit {
		return errEnough
	}
	var a assignments
	for _, name := range parts {
		a.set(name, nil)
	}
	a.set(attrRecord, it[attrRecord]) // as it is: there is nothing to set otherwise
	condition := a.N(attrRecord) + " = " + a.V(attrRecord, it[attrRecord])
	update := a.text()
	out, err := b.conn.Update(ctx, "queue.purge", &dynamodb.UpdateItemInput{
		TableName: &b.table, Key: b.keyOf(j.ID), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: a.Names, ExpressionAttributeValues: a.Values, ReturnValues: types.ReturnValueAllOld,
	})
	if calls.ConditionFailed(err) {
		return nil // it has moved on
	}
	if err != nil {
		return err
	}
	p.Results++
	b.dropAll(ctx, j.ID, out.Attributes)
	return nil
}

// dropAll removes the parts that an item which is gone names.
func (b *Backlog) dropAll(ctx context.Context, id backlog.ID, old calls.Item) {
	for _, name := range []string{attrPayloadRef, attrResultRef} {
		if ref, ok := calls.Text(old, name); ok {
			b.dropParts(ctx, id, ref)
		}
	}
}

// record is an item's record, against which it is checked whether the job has moved on.
func record(it calls.Item) []byte {
	b, _ := calls.Raw(it, attrRecord)
	return b
}

// removeJob removes a job's control item, if its record is still that one, then its parts and its idempotency key. Of
// several who do so at once one is told that it is gone by them.
func (b *Backlog) removeJob(ctx context.Context, id backlog.ID, seen []byte) (bool, error) {
	var e calls.Expression
	var condition string // with the names and values that are used: DynamoDB refuses others
	if seen != nil {
		condition = e.N(attrRecord) + " = " + e.V(attrRecord, calls.Data(seen))
	} else {
		condition = "attribute_exists(" + e.N(AttrID) + ") AND attribute_not_exists(" + e.N(attrRecord) + ")"
	}
	out, err := b.conn.Remove(ctx, "queue.remove", &dynamodb.DeleteItemInput{
		TableName: &b.table, Key: b.keyOf(id), ConditionExpression: &condition,
		ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values, ReturnValues: types.ReturnValueAllOld,
	})
	if calls.ConditionFailed(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b.dropAll(ctx, id, out.Attributes)
	if _, apart := calls.Text(out.Attributes, attrDamaged); apart {
		if err := b.forget(ctx, id); err != nil {
			return true, err
		}
	}
	spec, _ := calls.Raw(out.Attributes, attrSpec)
	if s, err := decodeSpec(id, spec); err == nil && s.Idempotency != [32]byte{} {
		b.release(ctx, s.Idempotency, func(entry keyEntry) bool { return entry.id == id && entry.enqueued == micros(s.Enqueued) })
	}
	return true, nil
}

// Remove implements backlog.Store. It costs 1 read and 1 write unit for each job, and more for its parts.
func (b *Backlog) Remove(ctx context.Context, ids ...backlog.ID) (int, error) {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id backlog.ID) bool { return id <= 0 })
	slices.Sort(ids)
	ids = slices.Compact(ids)
	removed := 0
	for part := range slices.Chunk(ids, removedAtOnce) {
		items, err := b.controls(ctx, "queue.remove", part)
		if err != nil {
			return removed, err
		}
		for id, it := range items {
			_, err := b.jobOf(ctx, it)
			status, _ := calls.Text(it, attrStatus)
			if s, stateErr := backlog.ParseState(status); !errors.Is(err, backlog.ErrDamaged) && (stateErr != nil || !s.Final()) {
				continue
			}
			gone, err := b.removeJob(ctx, id, record(it))
			if gone {
				removed++
			}
			if err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}
