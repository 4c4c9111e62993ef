package jobtable

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

// assignments collect what an update sets and removes.
type assignments struct {
	calls.Expression
	sets, removes []string
}

// set sets an attribute, or removes it where the value is nil.
func (a *assignments) set(name string, value types.AttributeValue) {
	if value == nil {
		a.removes = append(a.removes, a.N(name))
		return
	}
	a.sets = append(a.sets, a.N(name)+" = "+a.V(name, value))
}

func (a *assignments) text() string {
	text := "SET " + strings.Join(a.sets, ", ")
	if len(a.removes) > 0 {
		text += " REMOVE " + strings.Join(a.removes, ", ")
	}
	return text
}

// status are the attributes of a status; nil are those that it has not. What a renewed lease leaves as it is is left out:
// an index would be written for it.
func (b *Backlog) status(id backlog.ID, from backlog.State, s *backlog.Status) calls.Item {
	it := calls.Item{
		attrRecord: calls.Data(encodeStatus(id, s)), attrStatus: calls.Str(s.State.String()), AttrAttempt: calls.Num(int64(s.Attempt)),
		attrPriority: calls.Str(s.Band.String()), attrRetries: calls.Num(int64(s.Retries)),
		attrLeaseUntil: nil, AttrReady: nil, AttrScore: nil, AttrTTL: nil,
	}
	if !s.LeaseUntil.IsZero() {
		it[attrLeaseUntil] = calls.Num(micros(s.LeaseUntil))
	}
	switch {
	case s.State == backlog.Queued:
		it[AttrReady], it[AttrScore], it[AttrWatch] = calls.Str(readyNamed(s.Band, b.shardOf(id))), scoreOf(id, s), nil
	case s.State == backlog.Processing && from != backlog.Processing:
		it[AttrWatch] = calls.Num(now().UnixMilli())
	case s.State == backlog.Processing: // in the index since its claim
	case !s.Hook.Due.IsZero():
		it[AttrWatch] = calls.Num(s.Hook.Due.UnixMilli())
	default:
		it[AttrWatch] = nil
	}
	if ttl := b.ttlOf(s.Keep); s.State.Final() && ttl != 0 {
		it[AttrTTL] = calls.Num(ttl)
	}
	return it
}

// Apply implements backlog.Store. A claim costs 3 write units, a renewed lease 1, an end 2; a result over 256 bytes
// and a payload that is dropped more, see Backlog. Changes are never relaxed.
//
// An error that says that DynamoDB had no capacity is backlog.ErrBusy: nothing was changed, whatever call it was that was
// refused, since the job's own item is written last. The parts of a result that were written by then are used by the next try.
func (b *Backlog) Apply(ctx context.Context, c *backlog.Change) error {
	if c.ID <= 0 {
		return backlog.ErrNotFound
	}
	return notTaken(b.apply(ctx, c))
}

func (b *Backlog) apply(ctx context.Context, c *backlog.Change) error {
	if len(c.Result) > b.cfg.MaxPayload {
		return b.tooLarge("result", len(c.Result))
	}
	if c.From.Final() && !c.To.State.Final() {
		if err := b.reviveParts(ctx, c); err != nil {
			return err
		}
	}
	result := calls.Item{}
	if c.Result != nil {
		result[attrResult], result[attrResultRef] = calls.Data(c.Result), nil
		if len(c.Result) > inlineResult {
			ref, err := b.resultParts(ctx, c)
			if err != nil {
				return err
			}
			result[attrResult], result[attrResultRef] = nil, calls.Str(ref)
		}
	}
	out, err := b.conn.Update(ctx, "queue."+c.To.State.String(), b.change(c, result))
	if calls.ConditionFailed(err) {
		if ref, ok := calls.Text(result, attrResultRef); ok {
			b.written.forget(ref)
			b.dropParts(ctx, c.ID, ref)
		}
		return b.whyNot(ctx, c.ID, calls.OldItem(err))
	}
	if ref, ok := calls.Text(result, attrResultRef); ok && !calls.Throttled(err) {
		b.written.forget(ref) // it is named by the job, or nobody knows
	}
	if err != nil {
		return err
	}
	b.recent.note(c.ID)
	b.tidy(ctx, c, out.Attributes)
	return nil
}

// change is the request that makes a change, if the job has what the change begins from.
func (b *Backlog) change(c *backlog.Change, result calls.Item) *dynamodb.UpdateItemInput {
	var a assignments
	for _, part := range []calls.Item{b.status(c.ID, c.From, &c.To), result} {
		for name, value := range part {
			a.set(name, value)
		}
	}
	if c.DropPayload {
		a.set(attrPayload, nil)
		a.set(attrPayloadRef, nil)
	}
	condition := a.N(attrStatus) + " = " + a.V("from", calls.Str(c.From.String())) + " AND " + a.N(AttrAttempt) + " = " + a.V("seen", calls.Num(int64(c.Attempt))) +
		" AND attribute_not_exists(" + a.N(attrDamaged) + ")"
	if !c.LeaseUntil.IsZero() {
		condition += " AND " + a.N(attrLeaseUntil) + " = " + a.V("lease", calls.Num(micros(c.LeaseUntil)))
	}
	text := a.text()
	return &dynamodb.UpdateItemInput{
		TableName: &b.table, Key: b.keyOf(c.ID), UpdateExpression: &text, ConditionExpression: &condition,
		ExpressionAttributeNames: a.Names, ExpressionAttributeValues: a.Values, ReturnValues: types.ReturnValueAllOld,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// whyNot says why a change was not made, by the item as its condition met it, where that is known.
func (b *Backlog) whyNot(ctx context.Context, id backlog.ID, it calls.Item) error {
	if it == nil {
		var err error
		if it, err = b.control(ctx, "queue.get", id); err != nil {
			return err
		}
	}
	if _, void := it[attrVoid]; void {
		return backlog.ErrNotFound
	}
	if _, err := b.jobOf(ctx, it); err != nil {
		return err
	}
	return backlog.ErrConflict
}

// tidy removes the parts that a change has made superfluous, and has those that stay stay for as long as the job now
// says. old is the item before it. Where something fails, parts stay too long or for partsFor.
func (b *Backlog) tidy(ctx context.Context, c *backlog.Change, old calls.Item) {
	record, _ := calls.Raw(old, attrRecord)
	before, err := decodeStatus(c.ID, record)
	changed := err != nil || c.To.State.Final() && b.partsUntil(&before) != b.partsUntil(&c.To)
	for name, drop := range map[string]bool{attrPayloadRef: c.DropPayload, attrResultRef: c.Result != nil} {
		ref, ok := calls.Text(old, name)
		switch {
		case ok && drop:
			b.dropParts(ctx, c.ID, ref)
		case ok && changed:
			_ = b.keepParts(ctx, c.ID, ref, b.partsUntil(&c.To)) // see above
		}
	}
}

// reviveParts has the parts of a final job that is queued again outlast it.
func (b *Backlog) reviveParts(ctx context.Context, c *backlog.Change) error {
	it, err := b.control(ctx, "queue.get", c.ID)
	if err != nil {
		return err
	}
	for _, name := range []string{attrPayloadRef, attrResultRef} {
		if ref, ok := calls.Text(it, name); ok {
			if err := b.keepParts(ctx, c.ID, ref, b.partsUntil(&c.To)); err != nil {
				return err
			}
		}
	}
	return nil
}
