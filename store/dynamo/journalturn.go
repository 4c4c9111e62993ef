package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/cache"
)

// journalTurn is the item that says who sweeps, until when, and how far that is.
const (
	journalTurn = "turn"
	attrWho     = "who"
	attrUntil   = "until" // in milliseconds
	attrSwept   = "swept"
)

var _ cache.Sweeper = (*Cache)(nil)

// Turn implements cache.Sweeper. It costs two read units, and a write unit where who gets the turn.
func (c *Cache) Turn(ctx context.Context, who string, now, until time.Time) (cache.Sweeps, error) {
	var e expression
	set := "SET " + e.n(attrWho) + " = " + e.v("who", str(who)) + ", " + e.n(attrUntil) + " = " + e.v("until", num(until.UnixMilli()))
	condition := "attribute_not_exists(" + e.n(attrWho) + ") OR " + e.n(attrWho) + " = :who OR " + e.n(attrUntil) + " <= " + e.v("now", num(now.UnixMilli()))
	out, err := c.conn.get(ctx, "journal.turn", &dynamodb.GetItemInput{TableName: &c.control, Key: journalKey(journalTurn), ConsistentRead: yes()})
	if err != nil {
		return cache.Sweeps{}, fmt.Errorf("dynamo: see whose turn it is to sweep: %w", err)
	}
	h, err := c.head(ctx, "journal.turn")
	if err != nil {
		return cache.Sweeps{}, fmt.Errorf("dynamo: see whose turn it is to sweep: %w", err)
	}
	s := cache.Sweeps{Swept: natural(out.Item, attrSwept), Forgotten: h.forgotten}
	has, _ := text(out.Item, attrWho)
	if ends, _ := number(out.Item, attrUntil); out.Item != nil && has != who && ends > now.UnixMilli() {
		return s, nil
	}
	_, err = c.conn.update(ctx, "journal.turn", &dynamodb.UpdateItemInput{
		TableName: &c.control, Key: journalKey(journalTurn), UpdateExpression: &set, ConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if err != nil && !conditionFailed(err) {
		return cache.Sweeps{}, fmt.Errorf("dynamo: take the turn to sweep: %w", err)
	}
	s.Mine = err == nil
	return s, nil
}

// Swept implements cache.Sweeper.
func (c *Cache) Swept(ctx context.Context, upTo uint64) error {
	var e expression
	set := "SET " + e.n(attrSwept) + " = " + e.v("up", unsigned(upTo))
	condition := "attribute_not_exists(" + e.n(attrSwept) + ") OR " + e.n(attrSwept) + " < :up"
	_, err := c.conn.update(ctx, "journal.swept", &dynamodb.UpdateItemInput{
		TableName: &c.control, Key: journalKey(journalTurn), UpdateExpression: &set, ConditionExpression: &condition,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if err != nil && !conditionFailed(err) {
		return fmt.Errorf("dynamo: note what was swept: %w", err)
	}
	return nil
}
