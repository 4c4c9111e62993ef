package jobtable

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

const (
	// partBytes is what one item holds of a payload or result. DynamoDB allows 400 KB for an item with its names.
	partBytes = 380 << 10
	// inlineItem is up to where a payload makes the control item larger: a write costs a unit for each begun KB.
	inlineItem = 1000
	// inlineResult is up to where a result is in the control item. How large that is is not known when it is written; it
	// has between 500 and 700 bytes without.
	inlineResult = 256
	// partsFor is how long parts last whose job is not final: longer than a job's longest timeout (7 days) and retention
	// (30 days). So what a process wrote that died before the control item goes away by itself.
	partsFor = 60 * 24 * time.Hour

	attrPart = "part"
)

// errPartsGone says that not all parts of a reference are there: the reference is old.
var errPartsGone = errors.New("dynamo: a part is gone")

// tooLarge is what a payload or result over the bound is refused with.
func (b *Backlog) tooLarge(what string, size int) error {
	return &llm.Error{
		Kind: llm.CallerTooLarge, Message: fmt.Sprintf("the %s has %d bytes when it is sealed", what, size),
		Limit: "store.dynamodb.max_payload", Value: strconv.Itoa(b.cfg.MaxPayload), Fix: "Send a smaller one, or raise the bound.",
	}
}

// nonce is a name that nobody else draws.
func nonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// partKeys are the keys of the parts of a reference, which ends with their number.
func partKeys(id backlog.ID, ref string) []calls.Item {
	_, count, _ := strings.Cut(ref, "-")
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 10_000 {
		return nil // not written by us
	}
	keys := make([]calls.Item, n)
	for i := range keys {
		keys[i] = calls.Item{AttrShard: calls.Str(shardParts + id.String()), AttrID: calls.Str(fmt.Sprintf("%s#%04d", ref, i))}
	}
	return keys
}

// writeParts writes sealed bytes into items of their own and returns their reference. They go away at ttl, in seconds; zero
// means never.
func (b *Backlog) writeParts(ctx context.Context, id backlog.ID, sealed []byte, ttl int64) (ref string, err error) {
	count := max((len(sealed)+partBytes-1)/partBytes, 1)
	ref = nonce() + "-" + strconv.Itoa(count)
	requests := make([]types.WriteRequest, count)
	for i, it := range partKeys(id, ref) {
		it[attrPart] = calls.Data(sealed[i*partBytes : min((i+1)*partBytes, len(sealed))])
		if ttl != 0 {
			it[AttrTTL] = calls.Num(ttl)
		}
		requests[i] = types.WriteRequest{PutRequest: &types.PutRequest{Item: it}}
	}
	return ref, b.conn.BatchWrite(ctx, "queue.parts", b.table, requests)
}

// readParts reads what writeParts wrote; errPartsGone where not all of it is there.
func (b *Backlog) readParts(ctx context.Context, id backlog.ID, ref string) ([]byte, error) {
	var e calls.Expression
	condition := fmt.Sprintf("%s = %s AND begins_with(%s, %s)", e.N(AttrShard), e.V("shard", calls.Str(shardParts+id.String())), e.N(AttrID), e.V("ref", calls.Str(ref+"#")))
	in := &dynamodb.QueryInput{
		TableName: &b.table, KeyConditionExpression: &condition, ConsistentRead: calls.Yes(),
		ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values,
	}
	sealed, count := []byte{}, 0
	for {
		out, err := b.conn.Query(ctx, "queue.parts", in)
		if err != nil {
			return nil, err
		}
		for _, it := range out.Items {
			part, _ := calls.Raw(it, attrPart)
			sealed, count = append(sealed, part...), count+1
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(out.LastEvaluatedKey) == 0 {
			break
		}
	}
	if count != len(partKeys(id, ref)) {
		return nil, errPartsGone
	}
	return sealed, nil
}

// dropParts removes parts that no control item names any more. Where that fails their ttl removes them.
func (b *Backlog) dropParts(ctx context.Context, id backlog.ID, ref string) {
	var requests []types.WriteRequest
	for _, key := range partKeys(id, ref) {
		requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: key}})
	}
	_ = b.conn.BatchWrite(ctx, "queue.parts", b.table, requests) // see above
}

// keepParts changes when parts go away. It costs as much as writing them.
func (b *Backlog) keepParts(ctx context.Context, id backlog.ID, ref string, ttl int64) error {
	for _, key := range partKeys(id, ref) {
		var e calls.Expression
		update := "REMOVE " + e.N(AttrTTL)
		if ttl != 0 {
			update = "SET " + e.N(AttrTTL) + " = " + e.V("ttl", calls.Num(ttl))
		}
		condition := "attribute_exists(" + e.N(AttrID) + ")"
		_, err := b.conn.Update(ctx, "queue.parts", &dynamodb.UpdateItemInput{
			TableName: &b.table, Key: key, UpdateExpression: &update, ConditionExpression: &condition,
			ExpressionAttributeNames: e.Names, ExpressionAttributeValues: e.Values,
		})
		if err != nil && !calls.ConditionFailed(err) {
			return err
		}
	}
	return nil
}

// partsUntil is until when the parts of a job of a status are kept, in seconds; zero is for ever.
func (b *Backlog) partsUntil(s *backlog.Status) int64 {
	if !s.State.Final() {
		return now().Add(partsFor).Unix()
	}
	until := s.ResultUntil
	if until.IsZero() || !s.Keep.IsZero() && s.Keep.Before(until) {
		until = s.Keep
	}
	return b.ttlOf(until)
}

// ttlOf is the ttl of what is kept until a time, in seconds; zero is for ever. One before 1970 is over, too.
func (b *Backlog) ttlOf(until time.Time) int64 {
	if until.IsZero() {
		return 0
	}
	return max(until.Add(b.cfg.Grace).Unix()+1, 1)
}

// Read implements backlog.Store. It costs 1 read unit, and 1 for each 4 KB of a part that has items of its own.
func (b *Backlog) Read(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
	inline, reference := attrPayload, attrPayloadRef
	if part == backlog.Result {
		inline, reference = attrResult, attrResultRef
	}
	for seen := ""; ; {
		it, err := b.control(ctx, "queue.read", id)
		if err != nil {
			return backlog.Job{}, nil, err
		}
		j, err := b.jobOf(ctx, it)
		if err != nil {
			return backlog.Job{}, nil, err
		}
		if j.State.Final() && !j.ResultUntil.IsZero() && !j.ResultUntil.Add(b.cfg.Grace).After(now()) {
			return j, nil, nil // only not removed yet
		}
		if sealed, ok := calls.Raw(it, inline); ok {
			return j, sealed, nil
		}
		ref, ok := calls.Text(it, reference)
		if !ok {
			return j, nil, nil
		}
		sealed, err := b.readParts(ctx, id, ref)
		switch {
		case err == nil:
			return j, sealed, nil
		case !errors.Is(err, errPartsGone):
			return backlog.Job{}, nil, err
		case ref == seen: // nobody put others in their place meanwhile
			return backlog.Job{}, nil, b.setApart(ctx, it, "a part of what it carries is gone")
		}
		seen = ref
	}
}
