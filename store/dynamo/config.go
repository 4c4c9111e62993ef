package dynamo

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// Defaults of Config.
const (
	defaultMaxPayload = 4 << 20
	defaultPatience   = 3 * time.Second
	defaultGrace      = time.Hour
)

// Config says which tables a Store uses, and how. At least one table is named; what belongs to a table
// without a name is not there.
type Config struct {
	// Client makes the calls. It has to be told to try once (RetryMaxAttempts 1): the Store repeats by itself.
	Client *dynamodb.Client
	// Queue, Cache, Ledger and Control are the tables' names: jobs; entries and invalidations; spending,
	// budgets and reservations; keys, hints of breakers and quotas. Empty means none.
	Queue, Cache, Ledger, Control string
	// Shards is over how many partitions jobs are spread, from 1 to 64. Each takes some 300 jobs a second
	// (DynamoDB allows 1,000 write units a second to one). It is kept in the table and cannot be
	// changed there. Zero means what the table has, or 2 for a new one.
	Shards int
	// MaxPayload bounds a job's sealed payload and result, each, in bytes. Larger ones are refused with CallerTooLarge.
	// What does not fit into one item is split. Zero means 4 MiB.
	MaxPayload int
	// Patience is how long a throttled call is repeated. Zero means 3 s.
	Patience time.Duration
	// Grace is how long after its Keep a job that no Purge removed is still found, and after its ResultUntil its
	// parts are. It is also what the tables' own removal of expired jobs waits. Zero means 1 h.
	Grace time.Duration
	// Logger gets what an operator should know: a damaged record. Nil means that nobody is told.
	Logger *slog.Logger
}

// Validate reports everything that is wrong with the configuration.
func (c *Config) Validate() error {
	var faults []error
	refuse := func(wrong bool, fault string) {
		if wrong {
			faults = append(faults, errors.New(fault))
		}
	}
	refuse(c.Client == nil, "store.dynamodb: there is no client")
	refuse(c.Queue+c.Cache+c.Ledger+c.Control == "", "store.dynamodb: names no table; name at least one of queue, cache, ledger and control")
	seen := map[string]string{}
	for _, t := range []struct{ key, name string }{{"queue", c.Queue}, {"cache", c.Cache}, {"ledger", c.Ledger}, {"control", c.Control}} {
		if t.name == "" {
			continue
		}
		refuse(!validName(t.name), "store.dynamodb."+t.key+": is no name of a table; use 3 to 255 letters, digits, '_', '-' and '.'")
		if other, twice := seen[t.name]; twice {
			faults = append(faults, errors.New("store.dynamodb."+t.key+": is the table of "+other+" too; each needs one of its own"))
		}
		seen[t.name] = t.key
	}
	refuse(c.Shards < 0 || c.Shards > jobtable.MostShards, "store.dynamodb.shards: is not between 1 and 64")
	refuse(c.MaxPayload < 0, "store.dynamodb.max_payload: is negative")
	refuse(c.Patience < 0, "store.dynamodb.patience: is negative")
	refuse(c.Grace < 0, "store.dynamodb.grace: is negative")
	return errors.Join(faults...)
}

// validName says whether DynamoDB takes a name for a table.
func validName(name string) bool {
	outside := strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
	return len(name) >= 3 && len(name) <= 255 && outside == ""
}

func (c Config) withDefaults() Config {
	if c.MaxPayload == 0 {
		c.MaxPayload = defaultMaxPayload
	}
	if c.Patience == 0 {
		c.Patience = defaultPatience
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
