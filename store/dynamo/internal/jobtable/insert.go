package jobtable

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

// Insert implements backlog.Store. It costs 2 write units for a small job, 1 more with an idempotency key, and what
// Backlog says for a larger one.
func (b *Backlog) Insert(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
	if len(payload) > b.cfg.MaxPayload {
		return backlog.Job{}, b.tooLarge("payload", len(payload))
	}
	if j.ID <= 0 {
		return backlog.Job{}, fmt.Errorf("dynamo: insert a job: %w", badRecord("its ID is none"))
	}
	if j.Idempotency != [32]byte{} { // before anything is written for nothing
		old, err := b.Find(ctx, j.Idempotency, since)
		if err == nil {
			return old, backlog.ErrExists
		}
		if !errors.Is(err, backlog.ErrNotFound) {
			return backlog.Job{}, err
		}
	}
	it := b.newControl(j)
	if len(payload)+len(attrPayload)+calls.SizeOf(it) <= inlineItem {
		it[attrPayload] = calls.Data(payload)
	} else {
		ref, err := b.writeParts(ctx, j.ID, payload, now().Add(j.Timeout+partsFor).Unix())
		if err != nil {
			return backlog.Job{}, notTaken(err)
		}
		it[attrPayloadRef] = calls.Str(ref)
	}
	old, err := b.insert(ctx, j, it, since)
	switch {
	case err == nil:
		b.recent.note(j.ID)
	case errors.Is(err, backlog.ErrExists):
		if ref, ok := calls.Text(it, attrPayloadRef); ok {
			b.dropParts(ctx, j.ID, ref)
		}
	}
	return old, notTaken(err)
}

// notTaken marks an error that says that DynamoDB had no capacity: no job was taken in, or changed. The control item, which is what
// makes a job, is written last.
func notTaken(err error) error {
	if calls.Throttled(err) {
		return errors.Join(backlog.ErrBusy, err)
	}
	return err
}

// newControl is the control item of a new job, without its payload.
func (b *Backlog) newControl(j *backlog.Job) calls.Item {
	it := b.keyOf(j.ID)
	maps.Copy(it, calls.Item{
		attrSpec: calls.Data(encodeSpec(j.ID, &j.Spec)), attrOperation: calls.Shown(short(j.Operation)), attrUser: calls.Str(userHash(j.Tenant, j.User)),
		attrTimeoutMs: calls.Num(j.Timeout.Milliseconds()),
	})
	if !j.Enqueued.IsZero() {
		it[attrTimestamp] = calls.Num(j.Enqueued.UnixMilli())
	}
	for name, value := range b.status(j.ID, 0, &j.Status) {
		if value != nil {
			it[name] = value
		}
	}
	return it
}

// short cuts a text that is there for people only.
func short(s string) string { return s[:min(len(s), 64)] }

// insert writes the control item, under a reservation of the idempotency key where there is one.
func (b *Backlog) insert(ctx context.Context, j *backlog.Job, it calls.Item, since time.Time) (backlog.Job, error) {
	if j.Idempotency == [32]byte{} {
		taken, _, err := b.putControl(ctx, it, "")
		if taken {
			err = backlog.ErrExists
		}
		return backlog.Job{}, err
	}
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		old, done, err := b.tryKey(ctx, j, it, since)
		if err != nil || done {
			return old, err
		}
		if err := calls.Sleep(ctx, jitter(pause)); err != nil { // another one was faster
			return backlog.Job{}, err
		}
	}
}

// tryKey makes one try to reserve the job's idempotency key and to write the job. done is false where another one was
// faster; ErrExists is an error.
func (b *Backlog) tryKey(ctx context.Context, j *backlog.Job, it calls.Item, since time.Time) (old backlog.Job, done bool, err error) {
	k, err := b.readKey(ctx, j.Idempotency)
	if err != nil {
		return backlog.Job{}, false, err
	}
	old, err = b.holder(ctx, k, since, true)
	if err == nil {
		return old, true, backlog.ErrExists
	}
	if !errors.Is(err, backlog.ErrNotFound) {
		return backlog.Job{}, false, err
	}
	name := nonce()
	k.add(j, name)
	reserved, err := b.writeKey(ctx, k)
	if err != nil || !reserved {
		return backlog.Job{}, false, err
	}
	taken, voided, err := b.putControl(ctx, it, name)
	if err == nil && taken {
		b.release(ctx, j.Idempotency, func(e keyEntry) bool { return e.name == name })
		err = backlog.ErrExists
	}
	return backlog.Job{}, !voided, err
}

// putControl writes the control item of a new job where nothing is under its ID but the voided reservations of others. taken
// says that a job is there, voided that this reservation is void.
func (b *Backlog) putControl(ctx context.Context, it calls.Item, reservation string) (taken, voided bool, err error) {
	var e calls.Expression
	condition := "attribute_not_exists(" + e.N(AttrID) + ")"
	if reservation != "" {
		condition += " OR (attribute_exists(" + e.N(attrVoid) + ") AND NOT contains(" + e.N(attrVoid) + ", " + e.V("mine", calls.Str(reservation)) + "))"
	}
	_, err = b.conn.Put(ctx, "queue.insert", &dynamodb.PutItemInput{
		TableName: &b.table, Item: it, ConditionExpression: &condition,
		ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if !calls.ConditionFailed(err) {
		return false, false, err
	}
	there := calls.OldItem(err)
	if there == nil {
		out, err := b.conn.Get(ctx, "queue.insert", &dynamodb.GetItemInput{
			TableName: &b.table, Key: calls.Item{AttrShard: it[AttrShard], AttrID: it[AttrID]}, ConsistentRead: calls.Yes(),
		})
		if err != nil {
			return false, false, err
		}
		there = out.Item
	}
	if _, void := there[attrVoid]; void && reservation != "" {
		return false, true, nil
	}
	return true, false, nil
}
