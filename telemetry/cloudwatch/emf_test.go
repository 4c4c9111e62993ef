package cloudwatch_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// readEMF checks all lines and gives what CloudWatch would have.
func readEMF(t *testing.T, text []byte) []emfMetric {
	t.Helper()
	var all []emfMetric
	for line := range bytes.Lines(text) {
		some, err := checkEMF(line)
		if err != nil {
			t.Fatalf("%v in %.300s", err, line)
		}
		all = append(all, some...)
	}
	return all
}

// TestEMF: lines are valid, and say the same as PutMetricData.
func TestEMF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newSink(t, cloudwatch.Config{Writer: &out, By: names.Dimensions(), Dimensions: map[string]string{"FunctionName": "voice-learning"}, Resolution: time.Second})
		for _, c := range someCalls() {
			s.Call(&c)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := map[string][]float64{}
		for _, m := range readEMF(t, out.Bytes()) {
			id := m.name
			for _, key := range slices.Sorted(maps.Keys(m.dimensions)) {
				if key != "FunctionName" {
					id += " " + key + "=" + m.dimensions[key]
				}
			}
			if m.dimensions["FunctionName"] != "voice-learning" || m.namespace != names.Namespace || m.resolution != 1 {
				t.Errorf("%+v", m)
			}
			got[id] = m.values
		}
		for id, want := range map[string][]float64{
			"RequestCount": {5}, "ErrorCount": {2}, "ErrorRate": {0, 0, 0, 100, 100}, "ResponseTime": {2, 1500, 4000},
			"CacheHits": {1}, "CacheLookups": {3}, "CacheHitRate": {0, 0, 100}, "ErrorCount Operation=vc-analysis": {0},
			"RequestCount Status=failure": {2},
		} {
			if !slices.Equal(got[id], want) {
				t.Errorf("%s: %v, want %v", id, got[id], want)
			}
		}
		out.Reset()
		if err := s.Flush(t.Context()); err != nil || out.Len() != 0 {
			t.Errorf("published again: %v %s", err, out.String())
		}
	})
}

// TestEMFOfMany: thousands of values and hundreds of metrics become valid lines, whose sums
// are exact where sums count.
func TestEMFOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newSink(t, cloudwatch.Config{Writer: &out, MaxSeries: 2000})
		random := rand.New(rand.NewPCG(1, 2))
		const calls = 3000
		for i := range calls {
			s.Call(&monitor.Call{Operation: fmt.Sprintf("op-%d", i%150), Outcome: monitor.OK, Cache: "hit", Duration: time.Duration(random.ExpFloat64() * float64(time.Second)), CostMicroUSD: 1})
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var requests, ofOperations, samples float64
		for _, m := range readEMF(t, out.Bytes()) {
			switch {
			case m.name == "RequestCount" && len(m.dimensions) == 0:
				requests += m.sum()
			case m.name == "RequestCount":
				ofOperations += m.sum()
			case m.name == "ResponseTime" && len(m.dimensions) == 0:
				samples += float64(len(m.values))
			}
		}
		if requests != calls || ofOperations != calls || samples < 900 || samples > 1100 {
			t.Errorf("%v calls, %v of operations, %v samples", requests, ofOperations, samples)
		}
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestWriterFails: what could not be written is counted, and not kept.
func TestWriterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost atomic.Int64
		s := newSink(t, cloudwatch.Config{Writer: brokenWriter{}, OnDrop: func(n int64) { lost.Add(n) }})
		c := someCalls()[0]
		s.Call(&c)
		err := s.Flush(t.Context())
		if kind := llm.AsError(err).Kind; kind != llm.ForebayUnavailable || lost.Load() == 0 {
			t.Errorf("%v, %d lost", err, lost.Load())
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Errorf("kept: %v", err)
		}
	})
}
