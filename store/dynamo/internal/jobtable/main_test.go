package jobtable_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
	"github.com/forebay-ai/forebay/store/dynamo/internal/jobtable"
)

// long is whether tests take the time that they would like to have. It is a function since
// go test caches by what the tests read of the environment, and not by what is read before.
func long() bool { return os.Getenv("FOREBAY_LONG") != "" }

// soak is whether tests take the many minutes that the emulator needs for thousands of jobs, and for all of a suite under
// faults: FOREBAY_SOAK=1 go test -timeout 60m ./store/dynamo/internal/jobtable
func soak() bool { return os.Getenv("FOREBAY_SOAK") != "" }

func TestMain(m *testing.M) {
	if os.Getenv("JOBTABLE_WORKER") != "" {
		fmt.Fprintln(os.Stderr, worker())
		os.Exit(1)
	}
	goleak.VerifyTestMain(awstest.Main{M: m},
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tables makes the names of tables different.
var tables atomic.Int64

// newTable makes a table of jobs on an emulator, and returns its name.
func newTable(t testing.TB, c *dynamodb.Client) string {
	t.Helper()
	name := fmt.Sprintf("jobs-%d-%d", os.Getpid(), tables.Add(1))
	key := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: &hash, KeyType: types.KeyTypeHash},
			{AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	index := func(name, hash, sort string) types.GlobalSecondaryIndex {
		return types.GlobalSecondaryIndex{IndexName: &name, KeySchema: key(hash, sort), Projection: &types.Projection{
			ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{jobtable.AttrAttempt},
		}}
	}
	define := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	_, err := c.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, KeySchema: key(jobtable.AttrShard, jobtable.AttrID), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			define(jobtable.AttrShard, types.ScalarAttributeTypeS), define(jobtable.AttrID, types.ScalarAttributeTypeS),
			define(jobtable.AttrReady, types.ScalarAttributeTypeS), define(jobtable.AttrScore, types.ScalarAttributeTypeN), define(jobtable.AttrWatch, types.ScalarAttributeTypeN),
		},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			index(jobtable.IndexReady, jobtable.AttrReady, jobtable.AttrScore), index(jobtable.IndexLeased, jobtable.AttrShard, jobtable.AttrWatch),
		},
	})
	must(t, err)
	waiter := dynamodb.NewTableExistsWaiter(c, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 50*time.Millisecond
	})
	must(t, waiter.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute))
	t.Cleanup(func() { _, _ = c.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name}) })
	return name
}

// client is a client of Dynalite. around, where not nil, sees each call.
func client(t testing.TB, around func(http.RoundTripper) http.RoundTripper) *dynamodb.Client {
	t.Helper()
	cfg := awstest.Config(awstest.Dynalite(t))
	if around != nil {
		plain := cfg.HTTPClient
		cfg.HTTPClient = &http.Client{Transport: around(transport(func(r *http.Request) (*http.Response, error) { return plain.Do(r) }))}
	}
	return dynamodb.NewFromConfig(cfg)
}

// transport is a function as an http.RoundTripper.
type transport func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// ages is the grace of stores under suites, whose jobs ended long ago.
const ages = 250 * 365 * 24 * time.Hour

// config is how the suites' stores are configured.
func config(table string) jobtable.Config {
	return jobtable.Config{Table: table, MaxPayload: 4 << 20, Grace: ages, CensusFor: -1, Logger: slog.New(slog.DiscardHandler)}
}

// openAt opens a store on a table.
func openAt(t testing.TB, c *dynamodb.Client, cfg jobtable.Config) (*jobtable.Backlog, *calls.Conn) {
	t.Helper()
	conn := calls.New(c, 10*time.Second)
	b, err := jobtable.Open(t.Context(), cfg, conn)
	must(t, err)
	return b, conn
}

// fresh opens a store on a table of its own.
func fresh(t testing.TB, c *dynamodb.Client) *jobtable.Backlog {
	t.Helper()
	b, _ := openAt(t, c, config(newTable(t, c)))
	return b
}
