package calls

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// What DynamoDB takes in one batch.
const (
	mostInGet   = 100
	mostInWrite = 25
)

// errUnprocessed is what a batch of which DynamoDB left a part undone is taken for: it was throttled.
func unprocessed() error {
	message := "a part of the batch was not processed"
	return &types.ThrottlingException{Message: &message}
}

// BatchGet reads items of one table consistently, in any order; those that are not there are left out.
func (c *Conn) BatchGet(ctx context.Context, op, table string, keys []Item) (all []Item, err error) {
	for part := range slices.Chunk(keys, mostInGet) {
		rest := map[string]types.KeysAndAttributes{table: {Keys: part, ConsistentRead: Yes()}}
		err := c.do(ctx, op, func() (used Usage, err error) {
			out, err := c.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems: rest, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
			})
			if err != nil {
				return used, err
			}
			for i := range out.ConsumedCapacity {
				part := reads(&out.ConsumedCapacity[i])
				used.add(&part)
			}
			all = append(all, out.Responses[table]...)
			if rest = out.UnprocessedKeys; len(rest) > 0 {
				return used, unprocessed()
			}
			return used, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// BatchWrite puts and deletes items of one table, in any order and not together: after an error some may be
// done. No item may be in it twice.
func (c *Conn) BatchWrite(ctx context.Context, op, table string, requests []types.WriteRequest) error {
	for part := range slices.Chunk(requests, mostInWrite) {
		rest := map[string][]types.WriteRequest{table: part}
		err := c.do(ctx, op, func() (used Usage, err error) {
			out, err := c.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
				RequestItems: rest, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
			})
			if err != nil {
				return used, err
			}
			for i := range out.ConsumedCapacity {
				part := writes(&out.ConsumedCapacity[i])
				used.add(&part)
			}
			if rest = out.UnprocessedItems; len(rest) > 0 {
				return used, unprocessed()
			}
			return used, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Expired says whether an item's ttl, in seconds, has passed.
func Expired(it Item, name string, at time.Time) bool {
	ttl, ok := Number(it, name)
	return ok && ttl <= at.Unix()
}
