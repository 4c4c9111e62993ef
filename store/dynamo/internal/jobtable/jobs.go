package jobtable

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

// The keys of the queue's table and its indexes. An item of a job has the shard "jobs#N"; other items have
// shards of their own, so that who walks over jobs does not pay for them.
const (
	AttrShard   = "shard"         // S: the table's partition key
	AttrID      = "requestId"     // S: the table's sort key
	AttrReady   = "readyShard"    // S: the partition key of IndexReady: band and shard of a job that can be claimed
	AttrScore   = "priorityScore" // N: the sort key of IndexReady
	AttrWatch   = "watchAt"       // N: the sort key of IndexLeased, whose partition key is AttrShard
	AttrAttempt = "attempt"       // N: in both indexes; the fencing token
	AttrTTL     = "ttl"           // N: seconds
	IndexReady  = "ready"
	IndexLeased = "leased"

	shardJobs    = "jobs#"
	shardParts   = "parts#"
	shardKey     = "key#"
	shardPaused  = "paused"
	shardDamaged = "damaged"
	shardLayout  = "layout"
)

// Backlog is the queue's table: it implements backlog.Store for any number of processes. All methods may be called
// concurrently.
//
// # Items
//
// A job is one control item under its shard, which a hash of the ID selects, and its ID: less than 1 KB, so that a write
// costs one unit. Shard and ID are the table's key, rather than the ID alone: jobs are listed in the order of their
// IDs, and consistently, without an index that every job would pay for. Payload and result are in the control item
// where there is room, and in items of their own where there is not, of up to 380 KB each. The order of writing
// makes transactions needless: parts first, under a name that only their writer knows; then the
// control item, by a condition on state and attempt (the fencing token). Who finds the control item finds the parts.
//
// The index "ready" has the jobs that can be claimed, of each band and shard by priorityScore; "leased" those that somebody
// has to look after: processing, or with a webhook that is due. Indexes lag. They say where to look; what
// is done is decided by a condition on the item itself.
//
// # Idempotency keys
//
// A key is an item with the jobs under it and a version. Insert reserves: it adds its ID on condition of the
// version, and then writes the control item. A process that dies between the two leaves a reservation without
// a job. Whoever comes next waits a moment for the job, and then voids the reservation: it puts a mark under the ID on
// condition that nothing is there, and the control item is written on condition that its reservation
// is not voided. So a late writer finds that it was voided, and begins again: no two jobs are taken in under a key, and none
// is lost.
//
// # Costs
//
// In write units, of a small job (up to some 300 bytes sealed, less than 1 KB in all): enqueue 2, claim 3, complete 2.
// Each KB that payload or result are longer costs one unit when it is written and one when it is dropped; an idempotency key 1, and 1
// when the job is removed; a renewed lease 1; a webhook that is due 2. The table's TTL removes
// jobs for nothing. Get costs 1 read unit. List reads the shards in order, some 6 jobs a read unit, those that the
// filters leave out included; List of unfinished jobs or of due webhooks reads the indexes instead. Census reads all
// jobs once in 5 minutes or less often, for all processes together.
type Backlog struct {
	cfg     Config
	conn    *calls.Conn
	table   string
	shards  int
	ttl     bool // the table removes what has expired
	log     *slog.Logger
	recent  *recent
	written *written
	census  *censusMemory
}

var _ backlog.Store = (*Backlog)(nil)

// Config says which table a Backlog uses, and how.
type Config struct {
	// Table is the table's name.
	Table string
	// Shards is over how many partitions jobs are spread, from 1 to MostShards; zero means what the table
	// has, or 2 for a new one.
	Shards int
	// MaxPayload bounds a payload and a result, in bytes.
	MaxPayload int
	// Grace is how long what is past its time is still found.
	Grace time.Duration
	// CensusFor is how long a census is kept at least. Zero means 5 minutes; below zero each one is new, and consistent.
	CensusFor time.Duration
	// Logger is told of damaged jobs.
	Logger *slog.Logger
}

const (
	// MostShards bounds what a list of jobs has to merge.
	MostShards    = 64
	defaultShards = 2
)

// Open reads how the jobs of a table are spread, or decides it for a new one.
func Open(ctx context.Context, cfg Config, conn *calls.Conn) (*Backlog, error) {
	b := &Backlog{cfg: cfg, conn: conn, table: cfg.Table, log: cfg.Logger, recent: newRecent(), written: newWritten(), census: &censusMemory{turn: make(chan struct{}, 1)}}
	if cfg.CensusFor == 0 {
		b.cfg.CensusFor = keptCensus
	}
	if err := b.readLayout(ctx); err != nil {
		return nil, fmt.Errorf("dynamo: the layout of table %s: %w", b.table, err)
	}
	on, err := conn.RemovesExpired(ctx, b.table, AttrTTL)
	if err != nil {
		return nil, fmt.Errorf("dynamo: the TTL of table %s: %w", b.table, err)
	}
	b.ttl = on
	return b, nil
}

// readLayout has all processes use the shards that the first one said.
func (b *Backlog) readLayout(ctx context.Context) error {
	const attrShards = "shards"
	key := calls.Item{AttrShard: calls.Str(shardLayout), AttrID: calls.Str("1")}
	want := b.cfg.Shards
	for range 2 {
		out, err := b.conn.Get(ctx, "queue.open", &dynamodb.GetItemInput{TableName: &b.table, Key: key, ConsistentRead: calls.Yes()})
		if err != nil {
			return err
		}
		if n, ok := calls.Number(out.Item, attrShards); ok && n >= 1 && n <= MostShards {
			if b.shards = int(n); want != 0 && want != b.shards {
				return &llm.Error{
					Kind: llm.ForebayUnavailable, Message: fmt.Sprintf("the table has %d shards, and the configuration says %d", n, want),
					Limit: "store.dynamodb.shards", Value: strconv.Itoa(want), Fix: "Leave the setting out, or move the jobs to a new table.",
				}
			}
			return nil
		}
		var e calls.Expression
		first := calls.Item{AttrShard: key[AttrShard], AttrID: key[AttrID], attrShards: calls.Num(int64(max(want, 1)))}
		if want == 0 {
			first[attrShards] = calls.Num(defaultShards)
		}
		condition := "attribute_not_exists(" + e.N(AttrID) + ")"
		_, err = b.conn.Put(ctx, "queue.open", &dynamodb.PutItemInput{
			TableName: &b.table, Item: first, ConditionExpression: &condition, ExpressionAttributeNames: e.Names,
		})
		if err != nil && !calls.ConditionFailed(err) {
			return err
		}
	}
	return badRecord("its layout cannot be read")
}

// shardOf is where a job is. The lower bits of an ID are random, but for those of tests; all are mixed.
func (b *Backlog) shardOf(id backlog.ID) int {
	h := uint64(id) * 0x9e3779b97f4a7c15
	return int((h >> 32) % uint64(b.shards))
}

func shardNamed(n int) string { return shardJobs + strconv.Itoa(n) }

// readyNamed is where the index has the claimable jobs of a band and shard.
func readyNamed(p llm.Priority, n int) string { return p.String() + "#" + strconv.Itoa(n) }

// keyOf is the key of a job's control item.
func (b *Backlog) keyOf(id backlog.ID) calls.Item {
	return calls.Item{AttrShard: calls.Str(shardNamed(b.shardOf(id))), AttrID: calls.Str(id.String())}
}

// control reads a control item consistently; nil where there is none.
func (b *Backlog) control(ctx context.Context, op string, id backlog.ID) (calls.Item, error) {
	if id <= 0 {
		return nil, nil // no job has it
	}
	out, err := b.conn.Get(ctx, op, &dynamodb.GetItemInput{TableName: &b.table, Key: b.keyOf(id), ConsistentRead: calls.Yes()})
	if err != nil {
		return nil, err
	}
	if _, void := out.Item[attrVoid]; void || len(out.Item) == 0 {
		return nil, nil
	}
	return out.Item, nil
}

// jobOf reads a control item: ErrNotFound where it is nil or over, ErrDamaged where it is damaged.
func (b *Backlog) jobOf(ctx context.Context, it calls.Item) (backlog.Job, error) {
	if it == nil {
		return backlog.Job{}, backlog.ErrNotFound
	}
	if reason, apart := calls.Text(it, attrDamaged); apart {
		return backlog.Job{}, fmt.Errorf("%w: %s", backlog.ErrDamaged, reason)
	}
	j, err := decodeJob(it)
	if err != nil {
		return backlog.Job{}, b.setApart(ctx, it, err.Error())
	}
	if b.over(&j, now()) {
		return backlog.Job{}, backlog.ErrNotFound
	}
	return j, nil
}

// over says that a final job has been kept for long enough, and is only not removed yet.
func (b *Backlog) over(j *backlog.Job, at time.Time) bool {
	return j.State.Final() && !j.Keep.IsZero() && !j.Keep.Add(b.cfg.Grace).After(at)
}

// Get implements backlog.Store. It costs 1 read unit.
func (b *Backlog) Get(ctx context.Context, id backlog.ID) (backlog.Job, error) {
	it, err := b.control(ctx, "queue.get", id)
	if err != nil {
		return backlog.Job{}, err
	}
	return b.jobOf(ctx, it)
}

// Exclusive implements backlog.Store: other processes may have leases.
func (b *Backlog) Exclusive() bool { return false }

// Recover implements backlog.Store. A table does not fail for good: there is nothing to open anew.
func (b *Backlog) Recover(ctx context.Context) error { return b.conn.Usable(ctx) }

// SetPaused implements backlog.Store. It costs 1 write unit.
func (b *Backlog) SetPaused(ctx context.Context, operation string, paused bool) error {
	// An operation may be any bytes, of any number; a key has to be short and valid UTF-8.
	sum := sha256.Sum256([]byte(operation))
	key := calls.Item{AttrShard: calls.Str(shardPaused), AttrID: calls.Str(hex.EncodeToString(sum[:]))}
	if !paused {
		_, err := b.conn.Remove(ctx, "queue.pause", &dynamodb.DeleteItemInput{TableName: &b.table, Key: key})
		return err
	}
	key[attrName], key[attrOperation] = calls.Data([]byte(operation)), calls.Shown(operation)
	_, err := b.conn.Put(ctx, "queue.pause", &dynamodb.PutItemInput{TableName: &b.table, Item: key})
	return err
}

// attrName is an operation's name as it is.
const attrName = "name"

// Paused implements backlog.Store. It costs 1 read unit for each 4 KB.
func (b *Backlog) Paused(ctx context.Context) ([]string, error) {
	var all []string
	err := b.each(ctx, "queue.paused", walk{shard: shardPaused}, func(it calls.Item) error {
		name, _ := calls.Raw(it, attrName)
		all = append(all, string(name))
		return nil
	})
	return all, err
}
