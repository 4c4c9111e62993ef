package config

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/forebay-ai/forebay/awsclient/connect"
	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/store/dynamo"
)

const (
	// defaultControl is the control table's name where others are named and it is not.
	defaultControl = "forebay-control"
	// dynamoTimeout is how long a look-up waits for DynamoDB where nothing is said: its slow answers take 10 to 20 ms.
	dynamoTimeout = 50 * time.Millisecond
)

// dynamoKeys are the settings of the tables that several gateways share.
func dynamoKeys() []*settings.Key {
	table := func(name, env, doc string) *settings.Key {
		return &settings.Key{Path: "store.dynamodb." + name, Kind: settings.Text, Env: env, Example: "forebay-" + name, Doc: doc}
	}
	return []*settings.Key{
		table("queue", "BEDROCK_QUEUE_TABLE", "The DynamoDB table of durable jobs. Several gateways share it. Without it, jobs are in store.dir. `forebay aws tables apply` makes the tables."),
		table("cache", "BEDROCK_CACHE_TABLE", "The DynamoDB table of cached answers, encrypted. Several gateways share it. Without it, they are in store.dir, where there is one."),
		table("ledger", "", "The DynamoDB table of the books. Several gateways share it. Without it, they are in store.dir, where there is one."),
		table("control", "", "The DynamoDB table of keys, invalidations, and what gateways tell one another: quotas, budgets, breakers. Without it, "+defaultControl+", where another table is named."),
		{
			Path: "store.dynamodb.region", Kind: settings.Text, Example: "eu-central-1",
			Doc: "The tables' Region. Without it, what AWS_REGION or the profile says.",
		},
		{
			Path: "store.dynamodb.profile", Kind: settings.Text, Example: "production",
			Doc: "The profile of AWS's files. Without it, AWS_PROFILE; credentials come from AWS's usual places. A function on Lambda takes its role from the environment and refuses a profile.",
		},
		{
			Path: "store.dynamodb.endpoint", Kind: settings.URL, Example: "http://127.0.0.1:8000",
			Doc: "What is called in place of AWS: an emulator, or a private endpoint.",
		},
		{
			Path: "store.dynamodb.interval", Kind: settings.Duration, Low: 100 * ms, High: 60 * 1000 * ms, Initial: "1s",
			Doc: "How often a gateway tells the others how it is, and reads their invalidations and what they spent. For that long, and the time of a request, an answer may be given that another gateway has invalidated; for twice as long budgets do not know what others spend.",
		},
	}
}

// tables are the DynamoDB tables that the file names; the zero value where it names none.
func (f *File) tables() dynamo.Config {
	name := func(table string) string { return f.values.Text("store", "dynamodb", table) }
	t := dynamo.Config{Queue: name("queue"), Cache: name("cache"), Ledger: name("ledger"), Control: name("control")}
	if t.Queue+t.Cache+t.Ledger != "" {
		t.Control = cmp.Or(t.Control, defaultControl)
	}
	return t
}

// Tables are the DynamoDB tables that the file names, for whoever makes them, and how DynamoDB is reached. Without tables
// the first is zero.
func (f *File) Tables() (dynamo.Config, connect.Options) {
	text := func(member string) string { return f.values.Text("store", "dynamodb", member) }
	return f.tables(), connect.Options{Region: text("region"), Profile: text("profile"), Endpoint: text("endpoint")}
}

// checkTables looks for the key that several gateways need in common.
func (f *File) checkTables() {
	if f.values.Secret("store", "master_key").Reveal() != "" || f.values.Text("store", "key_file") != "" {
		return
	}
	for _, table := range []string{"queue", "cache"} {
		if s := f.values.Get("store", "dynamodb", table); s != nil && s.Value != "" {
			s.Wrong(s.Key+": what gateways share is encrypted, and there is no master key", "Set store.master_key or store.key_file, the same for all gateways.")
		}
	}
}

// openTables opens the tables, or returns nil where the file names none.
func (f *File) openTables(ctx context.Context, log *slog.Logger) (store *dynamo.Store, err error) {
	cfg, options := f.Tables()
	if cfg.Control == "" {
		return nil, nil
	}
	cfg.Logger = log
	if store, err = dynamo.Connect(ctx, cfg, options); err != nil {
		return nil, fmt.Errorf("store.dynamodb: %w", err)
	}
	return store, nil
}

// storeTimeout is how long a look-up waits for the store.
func (f *File) storeTimeout(shared bool) time.Duration {
	s := f.values.Get("cache", "store_timeout")
	if shared && (s == nil || s.From.Rank <= settings.FromProfile) {
		return dynamoTimeout
	}
	return f.values.Duration("cache", "store_timeout")
}
