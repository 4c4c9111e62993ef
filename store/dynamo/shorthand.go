package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// Backlog is the queue of jobs.
type Backlog = jobtable.Backlog

// Stats are what operations consumed, by their names.
type Stats = calls.Stats

// Usage is what one operation consumed.
type Usage = calls.Usage

// ThrottledError says that DynamoDB had no capacity for a call, and where. The call was not made.
type ThrottledError = calls.ThrottledError

// What package calls has, by the short names that this package is full of.

type (
	item = calls.Item

	// conn makes the calls of a Store.
	conn struct{ *calls.Conn }

	// expression collects the names and values of an expression's text.
	expression struct {
		names  map[string]string
		values item
	}
)

func (e *expression) n(name string) string {
	all := calls.Expression{Names: e.names}
	name = all.N(name)
	e.names = all.Names
	return name
}

func (e *expression) v(name string, value types.AttributeValue) string {
	all := calls.Expression{Values: e.values}
	name = all.V(name, value)
	e.values = all.Values
	return name
}

func str(s string) types.AttributeValue                { return calls.Str(s) }
func num(n int64) types.AttributeValue                 { return calls.Num(n) }
func data(b []byte) types.AttributeValue               { return calls.Data(b) }
func flag(b bool) types.AttributeValue                 { return calls.Flag(b) }
func text(it item, name string) (string, bool)         { return calls.Text(it, name) }
func number(it item, name string) (int64, bool)        { return calls.Number(it, name) }
func raw(it item, name string) ([]byte, bool)          { return calls.Raw(it, name) }
func expired(it item, name string, at time.Time) bool  { return calls.Expired(it, name, at) }
func yes() *bool                                       { return calls.Yes() }
func sleep(ctx context.Context, d time.Duration) error { return calls.Sleep(ctx, d) }
func conditionFailed(err error) bool                   { return calls.ConditionFailed(err) }

func (c *conn) get(ctx context.Context, op string, in *dynamodb.GetItemInput) (*dynamodb.GetItemOutput, error) {
	return c.Get(ctx, op, in)
}

func (c *conn) put(ctx context.Context, op string, in *dynamodb.PutItemInput) (*dynamodb.PutItemOutput, error) {
	return c.Put(ctx, op, in)
}

func (c *conn) update(ctx context.Context, op string, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
	return c.Update(ctx, op, in)
}

func (c *conn) remove(ctx context.Context, op string, in *dynamodb.DeleteItemInput) (*dynamodb.DeleteItemOutput, error) {
	return c.Remove(ctx, op, in)
}

func (c *conn) query(ctx context.Context, op string, in *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	return c.Query(ctx, op, in)
}

func (c *conn) batchGet(ctx context.Context, op, table string, keys []item) ([]item, error) {
	return c.BatchGet(ctx, op, table, keys)
}

func (c *conn) batchWrite(ctx context.Context, op, table string, requests []types.WriteRequest) error {
	return c.BatchWrite(ctx, op, table, requests)
}
