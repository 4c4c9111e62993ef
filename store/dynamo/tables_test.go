package dynamo_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// long is whether tests take the time that they would like to have. It is a function since
// go test caches by what the tests read of the environment, and not by what is read before.
func long() bool { return os.Getenv("FOREBAY_LONG") != "" }

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(awstest.Main{M: m},
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tableNumber makes the names of tables different.
var tableNumber atomic.Int64

// names are a configuration with fresh tables' names of all kinds.
func names() dynamo.Config {
	prefix := fmt.Sprintf("t%d-", tableNumber.Add(1))
	return dynamo.Config{Queue: prefix + "queue", Cache: prefix + "cache", Ledger: prefix + "ledger", Control: prefix + "control"}
}

// client is a client of the emulator at endpoint. around, where not nil, sees each call.
func client(endpoint string, around func(http.RoundTripper) http.RoundTripper) *dynamodb.Client {
	cfg := awstest.Config(endpoint)
	if around != nil {
		plain := cfg.HTTPClient
		cfg.HTTPClient = &http.Client{Transport: around(doer(func(r *http.Request) (*http.Response, error) { return plain.Do(r) }))}
	}
	return dynamodb.NewFromConfig(cfg)
}

// doer is a function as a transport.
type doer func(*http.Request) (*http.Response, error)

func (d doer) RoundTrip(r *http.Request) (*http.Response, error) { return d(r) }

// create makes the tables that a configuration names.
func create(t testing.TB, c *dynamodb.Client, cfg dynamo.Config) {
	t.Helper()
	awstest.Tables(t, c, dynamo.Schemas(cfg))
}

// newTables makes fresh tables of all kinds on Dynalite, and returns their names with a client.
func newTables(t testing.TB) dynamo.Config {
	t.Helper()
	cfg := names()
	cfg.Client = client(awstest.Dynalite(t), nil)
	create(t, cfg.Client, cfg)
	return cfg
}

// openStore opens a store, and closes it at the test's end.
func openStore(t testing.TB, cfg dynamo.Config) *dynamo.Store {
	t.Helper()
	s, err := dynamo.Open(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	cfg := names()
	cfg.Client = client(awstest.Dynalite(t), nil)
	_, err := dynamo.Open(t.Context(), cfg)
	if err == nil {
		t.Fatal("Open of tables that are not there succeeds")
	}
	for _, want := range []string{cfg.Queue, cfg.Cache, cfg.Ledger, cfg.Control, "forebay aws tables apply"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}
