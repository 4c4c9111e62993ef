package jobtable

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

const (
	attrTaken    = "taken"    // N: milliseconds: when the census was begun
	attrCounting = "counting" // N: milliseconds: when somebody began the next one
	attrCounts   = "counts"   // B: the census
	attrEach     = "each"     // N: 1: it was too long: each process makes its own

	// mostCounts is how long a census that is shared may be, in bytes: what an item holds. Of more tenants, some 5,000,
	// each process counts for itself.
	mostCounts = 350 << 10
	// endFor bounds the time in which a process that stops tells others to count.
	endFor = 2 * time.Second
)

// sharedTally is a census as it is kept in the table.
type sharedTally struct {
	Bytes   int                              `json:"bytes"`
	All     map[backlog.State]int            `json:"all"`
	Tenants map[string]map[backlog.State]int `json:"tenants"`
}

// censusKey is the key of the census that all processes share.
func censusKey() calls.Item {
	return calls.Item{AttrShard: calls.Str(shardLayout), AttrID: calls.Str("census")}
}

// sharedCensus is the census that is in the table; nil where there is none. mine says that it is too old and that this
// process is to make the next one, which one that rests does not.
func (b *Backlog) sharedCensus(ctx context.Context, rests bool) (t *tally, mine bool, err error) {
	out, err := b.conn.Get(ctx, "queue.counted", &dynamodb.GetItemInput{TableName: &b.table, Key: censusKey(), ConsistentRead: calls.Yes()})
	if err != nil {
		return nil, false, err
	}
	if out.Item[attrEach] != nil {
		return nil, !rests, nil
	}
	taken, there := calls.Number(out.Item, attrTaken)
	if counts, ok := calls.Raw(out.Item, attrCounts); there && ok {
		var s sharedTally
		if json.Unmarshal(counts, &s) == nil && s.All != nil { // else it is made anew
			t = &tally{all: s.All, tenants: s.Tenants, bytes: s.Bytes, at: time.UnixMilli(taken)}
			if t.keep(b.cfg.CensusFor); t.fresh() {
				return t, false, nil
			}
		}
	}
	if !rests {
		mine, err = b.beginCensus(ctx, taken, there)
	}
	return t, mine, err
}

// beginCensus leaves it to this process to make the next census, unless another one is at it.
func (b *Backlog) beginCensus(ctx context.Context, taken int64, there bool) (bool, error) {
	var e calls.Expression
	at := time.Now()
	update := "SET " + e.N(attrCounting) + " = " + e.V("now", calls.Num(at.UnixMilli()))
	condition := "(attribute_not_exists(" + e.N(attrCounting) + ") OR " + e.N(attrCounting) + " < " + e.V("late", calls.Num(at.Add(-countingFor).UnixMilli())) + ")"
	if there {
		condition += " AND " + e.N(attrTaken) + " = " + e.V("seen", calls.Num(taken))
	} else {
		condition += " AND attribute_not_exists(" + e.N(attrTaken) + ")"
	}
	_, err := b.conn.Update(ctx, "queue.counted", &dynamodb.UpdateItemInput{
		TableName: &b.table, Key: censusKey(), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values,
	})
	if calls.ConditionFailed(err) {
		return false, nil
	}
	return err == nil, err
}

// endCensus lets others make the census that this process has not made.
func (b *Backlog) endCensus(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endFor)
	defer cancel()
	var e calls.Expression
	update := "REMOVE " + e.N(attrCounting)
	_, err := b.conn.Update(ctx, "queue.counted", &dynamodb.UpdateItemInput{
		TableName: &b.table, Key: censusKey(), UpdateExpression: &update, ExpressionAttributeNames: e.Names,
	})
	return err
}

// shareCensus leaves a census for others, or that it is too long for that.
func (b *Backlog) shareCensus(ctx context.Context, t *tally) error {
	counts, err := json.Marshal(sharedTally{t.bytes, t.all, t.tenants})
	if err != nil {
		return err
	}
	it := censusKey()
	it[attrTaken] = calls.Num(t.at.UnixMilli())
	if len(counts) > mostCounts {
		it[attrEach] = calls.Num(int64(1))
	} else {
		it[attrCounts] = calls.Data(counts)
	}
	_, err = b.conn.Put(ctx, "queue.counted", &dynamodb.PutItemInput{TableName: &b.table, Item: it})
	return err
}
