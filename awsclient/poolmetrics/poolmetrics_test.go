package poolmetrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/awsclient"
	"github.com/forebay-ai/forebay/awsclient/poolmetrics"
	"github.com/forebay-ai/forebay/internal/awstest"
)

// TestOfASet: calls one after the other go over one connection, and the metrics say so.
func TestOfASet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte(`{"TableNames":[]}`))
	}))
	defer server.Close()
	cfg, err := awsclient.Load(t.Context(), awsclient.Options{Region: "eu-central-1", Endpoint: server.URL, Credentials: awstest.Config(server.URL).Credentials})
	if err != nil {
		t.Fatal(err)
	}
	set := awsclient.New(cfg, awsclient.Clients{})
	defer set.Close()
	for range 5 {
		if _, err := set.DynamoDB().ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
			t.Fatal(err)
		}
	}
	got := gathered(t, poolmetrics.New(set, ""), "forebay_aws_")
	for name, want := range map[string]float64{"connections": 1, "connections_opened_total": 1, "connections_reused_total": 4, "requests_total": 5, "requests_failed_total": 0} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
}

// gathered is what a collector shows, by names without prefix; the parts of a summary by
// their label, as their count and a tenth of their sum.
func gathered(t *testing.T, c prometheus.Collector, prefix string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if s := m.GetSummary(); s != nil {
				got[m.GetLabel()[0].GetValue()] = float64(s.GetSampleCount()) + s.GetSampleSum()/10
				continue
			}
			got[strings.TrimPrefix(f.GetName(), prefix)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}

// stats is a pool of which everything is another number.
type stats awsclient.Stats

func (s stats) Stats() awsclient.Stats { return awsclient.Stats(s) }

// TestEachCount: each count has its own metric, and the parts of opening their times.
func TestEachCount(t *testing.T) {
	source := stats{
		Requests: 1, Failed: 2, Opened: 3, Reused: 4, Open: 5, DialFailed: 6, Renewed: 7, Thawed: 8, Resumed: 9,
		DNS: awsclient.Timing{Count: 10, Total: time.Second}, Connect: awsclient.Timing{Count: 11, Total: 2 * time.Second}, TLS: awsclient.Timing{Count: 12, Total: 3 * time.Second},
	}
	got := gathered(t, poolmetrics.New(source, "learning"), "learning_aws_")
	for name, want := range map[string]float64{
		"requests_total": 1, "requests_failed_total": 2, "connections_opened_total": 3, "connections_reused_total": 4, "connections": 5, "connections_failed_total": 6,
		"connections_renewed_total": 7, "connections_thawed_total": 8, "tls_resumed_total": 9, "dns": 10.1, "connect": 11.2, "tls": 12.3,
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
}
