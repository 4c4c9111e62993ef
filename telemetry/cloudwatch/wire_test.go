package cloudwatch_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(awstest.Main{M: m}) }

// TestMoto: an emulator of CloudWatch takes what is sent, by AWS's Query protocol, which is
// the one that it speaks.
func TestMoto(t *testing.T) {
	client := cw.NewFromConfig(awstest.Config(awstest.Moto(t)), func(o *cw.Options) { o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801) })
	begun := time.Now()
	stage := begun.Format(time.RFC3339Nano) // the emulator is one for all runs
	s := newSink(t, cloudwatch.Config{Client: client, Namespace: "Forebay/Test", Dimensions: map[string]string{"Stage": stage}})
	for i := range 200 {
		s.Call(&monitor.Call{Operation: "chat", Outcome: monitor.OK, Cache: []string{"hit", "miss"}[i%2], Duration: time.Duration(i+1) * time.Millisecond})
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	statistics := func(metric string, dimensions ...types.Dimension) types.Datapoint {
		t.Helper()
		out, err := client.GetMetricStatistics(t.Context(), &cw.GetMetricStatisticsInput{
			Namespace: aws.String("Forebay/Test"), MetricName: &metric, StartTime: aws.Time(begun.Add(-2 * time.Minute)), EndTime: aws.Time(time.Now().Add(2 * time.Minute)),
			Period: aws.Int32(3600), Dimensions: append([]types.Dimension{{Name: aws.String("Stage"), Value: &stage}}, dimensions...),
			Statistics: []types.Statistic{types.StatisticSum, types.StatisticSampleCount, types.StatisticMinimum, types.StatisticMaximum, types.StatisticAverage},
		})
		if err != nil || len(out.Datapoints) != 1 {
			t.Fatalf("%s: %v %+v", metric, err, out)
		}
		return out.Datapoints[0]
	}
	chat := types.Dimension{Name: aws.String("Operation"), Value: aws.String("chat")} // without it Moto adds up both
	if d := statistics("ResponseTime", chat); *d.SampleCount != 200 || *d.Sum < 20099.9 || *d.Sum > 20100.1 || *d.Minimum != 1 || *d.Maximum != 200 || d.Unit != types.StandardUnitMilliseconds {
		t.Errorf("ResponseTime: %v %v %v %v %v", *d.SampleCount, *d.Sum, *d.Minimum, *d.Maximum, d.Unit)
	}
	if d := statistics("CacheHitRate"); *d.Average != 50 {
		t.Errorf("CacheHitRate: %v", *d.Average)
	}
	if d := statistics("RequestCount", chat); *d.Sum != 200 {
		t.Errorf("RequestCount of the operation: %v", *d.Sum)
	}
}

// granite is CloudWatch as the SDK speaks to it: RPC v2 with CBOR.
type granite struct {
	t     *testing.T
	mu    sync.Mutex // guards the rest
	fail  int        // so many requests are throttled first
	sizes []int
	data  []cbor.Map
}

func (g *granite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("smithy-protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(r.Body)
		if err != nil {
			g.t.Error(err)
			return
		}
		body = plain
	}
	raw, err := io.ReadAll(body)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/service/GraniteServiceVersion20100801/operation/PutMetricData") || r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		g.t.Errorf("%s %v %v", r.URL.Path, r.Header, err)
		return
	}
	if g.fail > 0 {
		g.fail--
		w.Header().Set("x-amzn-query-error", "Throttling;Sender")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#Throttling"), "message": cbor.String("Rate exceeded")}))
		return
	}
	value, err := cbor.Decode(raw)
	if err != nil {
		g.t.Error(err)
		return
	}
	g.sizes = append(g.sizes, len(raw))
	for _, d := range value.(cbor.Map)["MetricData"].(cbor.List) {
		g.data = append(g.data, d.(cbor.Map))
	}
	_, _ = w.Write(cbor.Encode(cbor.Map{}))
}

// TestRealProtocol: over CBOR, with throttling in between, and requests of at most 1 MB.
func TestRealProtocol(t *testing.T) {
	g := &granite{t: t, fail: 1}
	server := httptest.NewServer(g)
	defer server.Close()
	cfg := awstest.Config(server.URL)
	cfg.DisableRequestCompression = false
	s := newSink(t, cloudwatch.Config{Client: cw.NewFromConfig(cfg), MaxSeries: 10_000})
	const operations, calls = 300, 150
	for i := range operations * calls { // all values differ, so that data are as large as they get
		s.Call(&monitor.Call{Operation: fmt.Sprintf("operation-%04d", i%operations), Outcome: monitor.OK, Cache: "off", Duration: time.Duration(i+1) * 37 * time.Microsecond, Usage: llm.Usage{Input: int64(i + 1)}, CostMicroUSD: int64(i + 1)})
	}
	if err := s.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "Throttling") {
		t.Errorf("throttled: %v", err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var total int
	for _, n := range g.sizes {
		total += n
		if n > 1_000_000 {
			t.Errorf("a request of %d bytes", n)
		}
	}
	if len(g.sizes) < 2 {
		t.Errorf("only %v bytes: the test is to need several requests", g.sizes)
	}
	t.Logf("%d data in %v bytes", len(g.data), g.sizes)
	var counted float64 // over all minutes that the test took
	for _, d := range g.data {
		if d["MetricName"] == cbor.String("RequestCount") && d["Dimensions"] == nil {
			for _, n := range d["Counts"].(cbor.List) {
				one, err := strconv.ParseFloat(fmt.Sprint(n), 64)
				if err != nil {
					t.Fatal(err)
				}
				counted += one
			}
		}
	}
	if counted != operations*calls {
		t.Errorf("%v calls, want %v", counted, operations*calls)
	}
}

// TestFlushEndsWithContext: a CloudWatch that does not answer holds nobody longer than its
// context says.
func TestFlushEndsWithContext(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	s := newSink(t, cloudwatch.Config{Client: cw.NewFromConfig(awstest.Config(server.URL))})
	s.Call(&monitor.Call{Outcome: monitor.OK, Duration: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Flush(ctx); err == nil {
		t.Error("no error")
	}
}
