package jobtable

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

const (
	attrFound  = "found"
	attrReason = "reason"
)

// setApart marks a control item as damaged, so that it is not claimed any more, tells the log, and returns
// backlog.ErrDamaged. Where the mark cannot be written, who reads the item next finds the damage again.
func (b *Backlog) setApart(ctx context.Context, it calls.Item, reason string) error {
	damaged := fmt.Errorf("%w: %s", backlog.ErrDamaged, reason)
	name, _ := calls.Text(it, AttrID)
	var a assignments
	a.set(attrDamaged, calls.Str(reason))
	for _, index := range []string{AttrReady, AttrScore, AttrWatch, AttrTTL} {
		a.set(index, nil)
	}
	condition := "attribute_exists(" + a.N(AttrID) + ") AND attribute_not_exists(" + a.N(attrDamaged) + ")"
	if seen, ok := calls.Raw(it, attrRecord); ok { // nobody has repaired it meanwhile
		condition += " AND " + a.N(attrRecord) + " = " + a.V("seen", calls.Data(seen))
	}
	update := a.text()
	_, err := b.conn.Update(ctx, "queue.damage", &dynamodb.UpdateItemInput{
		TableName: &b.table, Key: calls.Item{AttrShard: it[AttrShard], AttrID: it[AttrID]}, UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: a.Names, ExpressionAttributeValues: a.Values,
	})
	if err == nil {
		_, err = b.conn.Put(ctx, "queue.damage", &dynamodb.PutItemInput{TableName: &b.table, Item: calls.Item{
			AttrShard: calls.Str(shardDamaged), AttrID: calls.Str(name), attrFound: calls.Num(time.Now().UnixMicro()), attrReason: calls.Str(reason),
		}})
		b.log.Error("a job's record is damaged: the job is set apart",
			slog.String("job", name), slog.String("table", b.table), slog.String("reason", reason))
	}
	if err != nil && !calls.ConditionFailed(err) {
		b.log.Warn("a damaged job could not be set apart yet", slog.String("job", name), slog.Any("error", err))
	}
	return damaged
}

// forget removes the note of a damaged job that is gone.
func (b *Backlog) forget(ctx context.Context, id backlog.ID) error {
	_, err := b.conn.Remove(ctx, "queue.damage", &dynamodb.DeleteItemInput{
		TableName: &b.table, Key: calls.Item{AttrShard: calls.Str(shardDamaged), AttrID: calls.Str(id.String())},
	})
	return err
}

// Damaged implements backlog.Store. It lists those that somebody has met, in the order of their IDs.
func (b *Backlog) Damaged(ctx context.Context, limit int) ([]backlog.Damage, error) {
	if limit <= 0 {
		return nil, nil
	}
	var all []backlog.Damage
	s := b.stream("queue.damaged", walk{shard: shardDamaged, page: min(limit, 1000)})
	for len(all) < limit {
		it, err := s.pop(ctx)
		if err != nil {
			return nil, err
		}
		if it == nil {
			break
		}
		name, _ := calls.Text(it, AttrID)
		found, _ := calls.Number(it, attrFound)
		reason, _ := calls.Text(it, attrReason)
		if id, err := backlog.ParseID(name); err == nil { // else it is not ours
			all = append(all, backlog.Damage{ID: id, Found: timeAt(found), Reason: reason})
		}
	}
	return all, nil
}
