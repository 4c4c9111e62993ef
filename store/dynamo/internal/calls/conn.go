package calls

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Pauses before a throttled call is repeated; each is drawn between half of it and one and a half.
const (
	firstPause = 25 * time.Millisecond
	lastPause  = 800 * time.Millisecond
)

// errClosed is what operations of a closed store fail with.
var errClosed = errors.New("dynamo: the store is closed")

// Conn makes the calls of a Store: it counts what they consume, repeats what was throttled, and waits for
// them at the end. Each call has the name of the operation that it is made for, from a closed set, for Stats.
type Conn struct {
	client   *dynamodb.Client
	patience time.Duration

	mu     sync.Mutex // guards what follows; not held while a call is made
	closed bool
	calls  int           // in progress
	idle   chan struct{} // closed when calls is zero; nil unless close waits
	usage  Stats
}

// Stats are what operations consumed, by their names, such as "queue.insert".
type Stats map[string]Usage

// Usage is what one operation consumed.
type Usage struct {
	// Calls counts calls of DynamoDB, Throttled those of them that were refused for want of capacity, Errors
	// those that failed otherwise; a condition that does not hold is no error.
	Calls, Throttled, Errors int64
	// Conditions counts writes whose condition did not hold. DynamoDB charges them and does not say how
	// much: one unit for each KB of the item.
	Conditions int64
	// Reads and Writes are capacity units, those of indexes included.
	Reads, Writes float64
}

// add adds another one.
func (u *Usage) add(o *Usage) {
	u.Calls += o.Calls
	u.Throttled += o.Throttled
	u.Errors += o.Errors
	u.Conditions += o.Conditions
	u.Reads += o.Reads
	u.Writes += o.Writes
}

// Total sums the operations up.
func (s Stats) Total() (sum Usage) {
	for _, u := range s {
		sum.add(&u)
	}
	return sum
}

// New returns what makes calls with a client, which tries once. patience is how long a throttled call is repeated.
func New(client *dynamodb.Client, patience time.Duration) *Conn {
	return &Conn{client: client, patience: patience, usage: Stats{}}
}

// Stats returns what was consumed so far.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.usage)
}

// note adds to what an operation consumed.
func (c *Conn) note(op string, u *Usage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.usage[op]
	sum.add(u)
	c.usage[op] = sum
}

func (c *Conn) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	c.calls++
	return nil
}

// Usable returns why no call is made any more: the store is closed, or the context has ended.
func (c *Conn) Usable(ctx context.Context) error {
	if err := c.enter(); err != nil {
		return err
	}
	c.leave()
	return ctx.Err()
}

func (c *Conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls--; c.calls == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// Close waits for the calls in progress; those that begin later fail. It may be called more than once.
func (c *Conn) Close() {
	c.mu.Lock()
	c.closed = true
	var idle chan struct{}
	if c.calls > 0 {
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle = c.idle
	}
	c.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// do makes a call until it is not throttled any more, or patience is over.
func (c *Conn) do(ctx context.Context, op string, call func() (Usage, error)) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	began := time.Now()
	if err := ctx.Err(); err != nil {
		return err
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		used, err := call()
		used.Calls++
		reasons, throttled := throttling(err)
		switch {
		case throttled:
			used.Throttled++
		case ConditionFailed(err):
			used.Conditions++
		case err != nil:
			used.Errors++
		}
		c.note(op, &used)
		if !throttled {
			return err
		}
		wait := pause/2 + rand.N(pause)
		if deadline, ok := ctx.Deadline(); time.Since(began)+wait > c.patience || ok && time.Until(deadline) < wait {
			return busy(op, reasons, err)
		}
		if Sleep(ctx, wait) != nil {
			return busy(op, reasons, err) // for certain: every call until now was refused
		}
	}
}

// Sleep waits, or returns why the context has ended.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func reads(c *types.ConsumedCapacity) Usage {
	if c == nil {
		return Usage{}
	}
	return Usage{Reads: aws.ToFloat64(c.CapacityUnits)}
}

func writes(c *types.ConsumedCapacity) Usage {
	if c == nil {
		return Usage{}
	}
	return Usage{Writes: aws.ToFloat64(c.CapacityUnits)}
}

// Get reads one item; of one that is not there Item is nil.
func (c *Conn) Get(ctx context.Context, op string, in *dynamodb.GetItemInput) (out *dynamodb.GetItemOutput, err error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	err = c.do(ctx, op, func() (Usage, error) {
		if out, err = c.client.GetItem(ctx, in); err != nil {
			return Usage{}, err
		}
		return reads(out.ConsumedCapacity), nil
	})
	return out, err
}

// Put writes one item. conditionFailed tells whether an error is that of its condition.
func (c *Conn) Put(ctx context.Context, op string, in *dynamodb.PutItemInput) (out *dynamodb.PutItemOutput, err error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	err = c.do(ctx, op, func() (Usage, error) {
		if out, err = c.client.PutItem(ctx, in); err != nil {
			return Usage{}, err
		}
		return writes(out.ConsumedCapacity), nil
	})
	return out, err
}

// Update changes one item. The item of a failed condition is asked for, but an emulator may not give it: see OldItem.
func (c *Conn) Update(ctx context.Context, op string, in *dynamodb.UpdateItemInput) (out *dynamodb.UpdateItemOutput, err error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	err = c.do(ctx, op, func() (Usage, error) {
		if out, err = c.client.UpdateItem(ctx, in); err != nil {
			return Usage{}, err
		}
		return writes(out.ConsumedCapacity), nil
	})
	return out, err
}

// Remove deletes one item.
func (c *Conn) Remove(ctx context.Context, op string, in *dynamodb.DeleteItemInput) (out *dynamodb.DeleteItemOutput, err error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	err = c.do(ctx, op, func() (Usage, error) {
		if out, err = c.client.DeleteItem(ctx, in); err != nil {
			return Usage{}, err
		}
		return writes(out.ConsumedCapacity), nil
	})
	return out, err
}

// Query reads one page.
func (c *Conn) Query(ctx context.Context, op string, in *dynamodb.QueryInput) (out *dynamodb.QueryOutput, err error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	err = c.do(ctx, op, func() (Usage, error) {
		if out, err = c.client.Query(ctx, in); err != nil {
			return Usage{}, err
		}
		return reads(out.ConsumedCapacity), nil
	})
	return out, err
}

// Describe describes a table.
func (c *Conn) Describe(ctx context.Context, table string) (t *types.TableDescription, err error) {
	err = c.do(ctx, "describe", func() (Usage, error) {
		out, err := c.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
		if err == nil && out.Table == nil {
			err = fmt.Errorf("dynamo: the answer has no table %s", table)
		}
		if err == nil {
			t = out.Table
		}
		return Usage{}, err
	})
	return t, err
}

// RemovesExpired says whether a table removes items whose ttl, the attribute of that name, has passed.
func (c *Conn) RemovesExpired(ctx context.Context, table, ttl string) (on bool, err error) {
	err = c.do(ctx, "describe", func() (Usage, error) {
		out, err := c.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &table})
		if err == nil && out.TimeToLiveDescription != nil {
			d := out.TimeToLiveDescription
			enabled := d.TimeToLiveStatus == types.TimeToLiveStatusEnabled || d.TimeToLiveStatus == types.TimeToLiveStatusEnabling
			on = enabled && aws.ToString(d.AttributeName) == ttl
		}
		return Usage{}, err
	})
	return on, err
}
