package awscmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/awsclient"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/internal/cli/awscmd"
	"github.com/forebay-ai/forebay/store/dynamo"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

var errUsage = errors.New("usage")

var number atomic.Int64

// names are fresh tables.
func names() dynamo.Config {
	n := number.Add(1)
	return dynamo.Config{
		Queue: fmt.Sprintf("c%d-queue", n), Cache: fmt.Sprintf("c%d-cache", n),
		Ledger: fmt.Sprintf("c%d-ledger", n), Control: fmt.Sprintf("c%d-control", n),
	}
}

// run runs the command and returns what it prints.
func run(t *testing.T, endpoint string, tables dynamo.Config, args ...string) (string, error) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "an-invented-secret")
	var out bytes.Buffer
	c := awscmd.Command(awscmd.Host{
		Out: &out, Register: func(*cobra.Command) {}, Group: func(*cobra.Command) {}, NoArguments: cobra.NoArgs,
		Tables: func() (awscmd.Tables, error) {
			return awscmd.Tables{Config: tables, AWS: awsclient.Options{Region: awstest.Region, Endpoint: endpoint, Attempts: 1}}, nil
		},
		Usage: func(err error) error { return errors.Join(errUsage, err) }, Poll: 10 * time.Millisecond,
	})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(append([]string{"tables"}, args...))
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

// steps reads JSON output: the state of each step by table and part.
func steps(t *testing.T, out string) map[string]awscmd.State {
	t.Helper()
	var all struct{ Tables []awscmd.Plan }
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	states := map[string]awscmd.State{}
	for _, p := range all.Tables {
		for _, s := range p.Steps {
			_, kind, _ := strings.Cut(p.Table, "-")
			states[kind+" "+s.Part] = s.State
		}
	}
	return states
}

func emulators() map[string]func(testing.TB) string {
	return map[string]func(testing.TB) string{"dynalite": awstest.Dynalite, "moto": awstest.Moto}
}

// TestLife makes tables, finds nothing more to do, and opens a store on them.
func TestLife(t *testing.T) {
	for name, start := range emulators() {
		t.Run(name, func(t *testing.T) {
			endpoint, tables := start(t), names()
			out, err := run(t, endpoint, tables, "plan", "-o", "json")
			if got := steps(t, out); err != nil || got["queue table"] != awscmd.Planned || got["queue expiry"] != awscmd.Planned || got["cache recovery"] != "" {
				t.Errorf("plan: %v, %v", got, err)
			}
			if out, err := run(t, endpoint, tables, "apply", "--dry-run"); err != nil || !strings.Contains(out, "planned") {
				t.Errorf("dry run: %v\n%s", err, out)
			}
			out, err = run(t, endpoint, tables, "apply", "-o", "json")
			got := steps(t, out)
			for _, table := range []string{"queue", "cache", "ledger", "control"} {
				if got[table+" table"] != awscmd.Done {
					t.Errorf("apply: table %s is %q, %v", table, got[table+" table"], err)
				}
			}
			if want := map[string]awscmd.State{"moto": awscmd.Done, "dynalite": awscmd.Unknown}[name]; got["queue expiry"] != want || got["queue recovery"] != want {
				t.Errorf("apply: expiry is %s, recovery %s; want %s", got["queue expiry"], got["queue recovery"], want)
			}
			out, err = run(t, endpoint, tables, "plan")
			if same := strings.Count(out, "as it should be"); err != nil || name == "moto" && same != 4 || strings.Contains(out, "impossible") {
				t.Errorf("a second plan: %v\n%s", err, out)
			}
			tables.Client = dynamodb.NewFromConfig(awstest.Config(endpoint))
			s, err := dynamo.Open(t.Context(), tables)
			if err != nil {
				t.Fatalf("Open of what was made: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDifferences has a table of another form.
func TestDifferences(t *testing.T) {
	endpoint, tables := awstest.Moto(t), names()
	tables.Cache, tables.Ledger, tables.Control = "", "", ""
	c := dynamodb.NewFromConfig(awstest.Config(endpoint))
	want := dynamo.Schemas(tables)[0]
	want.GlobalSecondaryIndexes = want.GlobalSecondaryIndexes[:1]
	want.DeletionProtectionEnabled = nil
	want.AttributeDefinitions = want.AttributeDefinitions[:4]
	if _, err := c.CreateTable(t.Context(), &want); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, endpoint, tables, "apply", "-o", "json", "--no-pitr")
	if got := steps(t, out); err != nil || got["queue index leased"] != awscmd.Done || got["queue deletion protection"] != awscmd.Done || got["queue expiry"] != awscmd.Done {
		t.Errorf("apply: %v, %v", got, err)
	}
	if out, err := run(t, endpoint, tables, "plan", "--no-pitr"); err != nil || !strings.Contains(out, "as it should be") {
		t.Errorf("a second plan: %v\n%s", err, out)
	}
}

// TestImpossible has a table whose key is another one: it is named, and nothing is done to it.
func TestImpossible(t *testing.T) {
	endpoint, tables := awstest.Dynalite(t), names()
	tables.Cache, tables.Ledger, tables.Control = "", "", ""
	c := dynamodb.NewFromConfig(awstest.Config(endpoint))
	_, err := c.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &tables.Queue, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("requestId"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("requestId"), AttributeType: types.ScalarAttributeTypeS}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, endpoint, tables, "plan"); err != nil || !strings.Contains(out, "its key is (requestId S), not (shard S, requestId S)") {
		t.Errorf("plan: %v\n%s", err, out)
	}
	tables.Client = c
	if s, err := dynamo.Open(context.WithoutCancel(t.Context()), tables); err == nil {
		_ = s.Close()
		t.Error("a store opens on a table of another form")
	} else if !strings.Contains(err.Error(), "not (shard S, requestId S)") {
		t.Errorf("Open: %v", err)
	}
}

func TestUsage(t *testing.T) {
	if _, err := run(t, "http://127.0.0.1:9", names(), "plan", "-o", "xml"); !errors.Is(err, errUsage) {
		t.Errorf("an unknown output: %v", err)
	}
	if _, err := run(t, "http://127.0.0.1:9", dynamo.Config{}, "plan"); err == nil || !strings.Contains(err.Error(), "store.dynamodb.queue") {
		t.Errorf("no tables: %v", err)
	}
}
