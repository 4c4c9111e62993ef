package dynamo_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/ledger"
)

// rowItems are the items of one tenant's month.
func rowItems(t *testing.T, c *dynamodb.Client, table string) []map[string]types.AttributeValue {
	t.Helper()
	out, err := c.Query(t.Context(), &dynamodb.QueryInput{
		TableName: &table, KeyConditionExpression: new("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "rows#2026-11#t"}},
	})
	must(t, err)
	return out.Items
}

// Hundreds of processes may write to a row in a day, as functions do: each addition costs what the first did, and all count.
func TestManyWriters(t *testing.T) {
	cfg := newTables(t)
	s := openStore(t, cfg)
	const writers = 200
	for range writers {
		must(t, s.Ledger().Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{posting(1, 5)}}))
	}
	before := s.Stats()
	must(t, s.Ledger().Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{posting(1, 5)}}))
	if _, got := used(s, before, "ledger.post"); got != 1 {
		t.Errorf("after %d processes a row costs %v units", writers, got)
	}
	if got := total(t, s.Ledger()); got.MicroUSD != 5*(writers+1) {
		t.Errorf("%+v", got)
	}
	if n := len(rowItems(t, cfg.Client, cfg.Ledger)); n < 2 || n > 16 {
		t.Errorf("a row is %d items", n)
	}
}

// Rows that were written before rows were spread are read, and erased, like others.
func TestRowsOfBefore(t *testing.T) {
	cfg := newTables(t)
	l := openStore(t, cfg).Ledger()
	must(t, l.Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{posting(1, 5)}}))
	it := rowItems(t, cfg.Client, cfg.Ledger)[0]
	sk := it["sk"].(*types.AttributeValueMemberS).Value
	it["sk"] = &types.AttributeValueMemberS{Value: sk[:strings.LastIndex(sk, "#")]}
	_, err := cfg.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &cfg.Ledger, Item: it})
	must(t, err)
	if got := total(t, l); got.MicroUSD != 10 {
		t.Errorf("%+v", got)
	}
	must(t, l.ErasePostings(t.Context(), "t", "user 1"))
	rows, err := l.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByUser}})
	must(t, err)
	if len(rows) != 1 || rows[0].User != "erased" || rows[0].MicroUSD != 10 {
		t.Errorf("%+v", rows)
	}
}
