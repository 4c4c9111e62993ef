package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// emulated reads a configuration whose tables are on an emulator.
func emulated(t *testing.T, endpoint string, environment ...string) *config.File {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "an-invented-secret")
	flags := map[string]string{"store.dynamodb.endpoint": endpoint, "store.dynamodb.region": awstest.Region, "store.dynamodb.ledger": "books"}
	return read(t, config.Sources{Upstreams: upstream(), Flags: flags}, append(environment,
		"FOREBAY_MASTER_KEY="+strings.Repeat("5a", 32), "BEDROCK_CACHE_TABLE=answers", "BEDROCK_QUEUE_TABLE=jobs")...)
}

// TestTables opens what the specification's variables name, and says what to do where it is not there.
func TestTables(t *testing.T) {
	endpoint := awstest.Dynalite(t)
	f := emulated(t, endpoint)
	tables, options := f.Tables()
	if tables.Cache != "answers" || tables.Queue != "jobs" || tables.Ledger != "books" || tables.Control != "forebay-control" || options.Endpoint != endpoint {
		t.Errorf("%+v %+v", tables, options)
	}
	_, err := f.OpenStores(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "forebay aws tables apply") || !strings.Contains(err.Error(), "answers") {
		t.Fatalf("tables that are not there: %v", err)
	}
	awstest.Tables(t, dynamodb.NewFromConfig(awstest.Config(endpoint)), dynamo.Schemas(tables))
	s, err := f.OpenStores(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var cfg forebay.Config
	s.Attach(&cfg)
	p := cfg.Cache.Persistent
	if p == nil || p.Follow != time.Second || p.Timeout != 50*time.Millisecond {
		t.Errorf("the cache gets %+v", p)
	}
	if _, ok := cfg.Jobs.Store.(*dynamo.Backlog); !ok || cfg.Jobs.Keys == nil {
		t.Errorf("jobs are in %T", cfg.Jobs.Store)
	}
	if _, ok := s.Ledger().(ledger.Sharer); !ok || s.Fleet() == nil || s.Log() != nil {
		t.Errorf("books %T, fleet %v, log %v", s.Ledger(), s.Fleet(), s.Log())
	}
}
