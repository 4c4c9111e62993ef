package simulated_test

import (
	"compress/gzip"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/provider/simulated"
)

// recording is one call of the recorded latencies.
type recording struct {
	operation, exchange string
	ms                  float64
	output              float64 // tokens; 0 where the recording does not say
}

// recordings reads the shared table, or skips the test.
func recordings(t *testing.T) []recording {
	t.Helper()
	shared := os.Getenv("FOREBAY_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	file, err := os.Open(filepath.Join(shared, "data", "wire", "derived-server-latency.csv.gz"))
	if err != nil {
		t.Skip("the recorded latencies are not here (set FOREBAY_SHARED to the folder that holds data/wire): the fit cannot be repeated")
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(unpacked).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var all []recording
	for _, row := range rows[1:] {
		ms, err := strconv.ParseFloat(row[column["server_latency_ms"]], 64)
		if err != nil || ms <= 0 || row[column["provider"]] != "openai" {
			continue
		}
		output, _ := strconv.ParseFloat(row[column["output_tokens"]], 64)
		all = append(all, recording{row[column["operation"]], row[column["exchange_id"]], ms, output})
	}
	return all
}

// fit is the log-normal distribution of values in milliseconds.
func fit(values []float64) simulated.LogNormal {
	var sum, squares float64
	for _, v := range values {
		sum += math.Log(v)
	}
	mu := sum / float64(len(values))
	for _, v := range values {
		squares += (math.Log(v) - mu) * (math.Log(v) - mu)
	}
	return simulated.LogNormal{
		Median: time.Duration(math.Exp(mu) * float64(time.Millisecond)),
		Sigma:  math.Sqrt(squares / float64(len(values)-1)),
	}
}

func TestDefaultsFitTheRecordings(t *testing.T) {
	all := recordings(t)
	var first, perToken, vectors []float64
	for _, r := range all {
		switch {
		case r.operation == "embeddings":
			vectors = append(vectors, r.ms)
		case r.operation == "chat/completions" && r.output == 0 && strings.Contains(r.exchange, "stream"):
			first = append(first, r.ms)
		}
	}
	head := fit(first)
	for _, r := range all {
		rest := r.ms - float64(head.Median)/float64(time.Millisecond)
		if r.operation == "chat/completions" && r.output >= 50 && rest > 0 {
			perToken = append(perToken, rest/r.output)
		}
	}
	want := simulated.DefaultLatency()
	for _, c := range []struct {
		name      string
		fit, want simulated.LogNormal
		n, wantN  int
	}{
		{"first token", head, want.FirstToken, len(first), 44},
		{"per token", fit(perToken), want.PerToken, len(perToken), 52},
		{"embedding", fit(vectors), want.Embedding, len(vectors), 31},
	} {
		t.Logf("%s: %d recordings, median %v, sigma %.3f", c.name, c.n, c.fit.Median, c.fit.Sigma)
		if c.n != c.wantN {
			t.Errorf("%s: %d recordings, the comment says %d", c.name, c.n, c.wantN)
		}
		if off(float64(c.fit.Median), float64(c.want.Median)) > 0.1 || off(c.fit.Sigma, c.want.Sigma) > 0.1 {
			t.Errorf("%s: the recordings give %+v, the default is %+v: more than 10 %% apart", c.name, c.fit, c.want)
		}
	}
}

func off(got, want float64) float64 { return math.Abs(got-want) / want }

func TestDrawsFollowTheDistribution(t *testing.T) {
	want := simulated.LogNormal{Median: 300 * time.Millisecond, Sigma: 0.8}
	r := rand.New(rand.NewPCG(1, 2))
	var values []float64
	for range 20_000 {
		values = append(values, float64(want.Draw(r))/float64(time.Millisecond))
	}
	if got := fit(values); off(float64(got.Median), float64(want.Median)) > 0.03 || off(got.Sigma, want.Sigma) > 0.03 {
		t.Errorf("draws are distributed as %+v, want %+v", got, want)
	}
	if d := (simulated.LogNormal{Median: time.Hour, Sigma: 10}).Draw(r); d < 0 || d > time.Hour {
		t.Errorf("drew %v", d)
	}
	if d := (simulated.LogNormal{}).Draw(r); d != 0 {
		t.Errorf("the zero distribution drew %v", d)
	}
}
