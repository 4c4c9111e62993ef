package sdktest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDemo: the first thing that anybody sees, without key, network or file.
func TestDemo(t *testing.T) {
	begin := time.Now()
	stdout, stderr, err := run(t, time.Minute, "demo", "--exit", "--listen", "127.0.0.1:0")
	took := time.Since(begin)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	says(t, "the table", stdout, "miss", "hit", "wait", "breaker opens", "fallback")
	if took > 5*time.Second {
		t.Errorf("it took %v, want at most 5 s", took)
	}
	t.Logf("%v", took.Round(time.Millisecond))
}

// report is what replay writes as JSON, as far as the tests read it.
type report struct {
	Counts struct {
		Planned, Answered, Degraded, Refused, Failed, Unsent, Cancelled int
	}
	Latency struct{ Count int } `json:"latency_ms"`
	Cache   map[string]int
	Tokens  struct{ Input, Output int64 }
}

// replay sends a trace to the gateway and checks that every call is accounted for.
func (r *rig) replay(t *testing.T, bound time.Duration, args ...string) report {
	t.Helper()
	args = append([]string{"replay", "--url", r.gateway.url, "--json", "-"}, args...)
	stdout, stderr, err := run(t, bound, args...)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
	}
	var rep report
	if err := json.Unmarshal([]byte(stdout), &rep); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	c := rep.Counts
	if sum := c.Answered + c.Degraded + c.Refused + c.Failed + c.Unsent + c.Cancelled; sum != c.Planned {
		t.Errorf("%d of %d calls are accounted for: %+v", sum, c.Planned, c)
	}
	if c.Failed+c.Unsent+c.Cancelled != 0 {
		t.Errorf("some calls were neither answered, degraded nor refused: %s", stdout)
	}
	return rep
}

// TestReplay: calls at their real times, every one accounted for, on both sides.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	trace := filepath.Join(t.TempDir(), "trace.csv")
	var text strings.Builder
	text.WriteString("TIMESTAMP,ContextTokens,GeneratedTokens\n")
	at := time.Date(2023, 11, 16, 18, 15, 46, 680590000, time.UTC)
	for i := range 700 {
		fmt.Fprintf(&text, "%s,%d,%d\n", at.Format("2006-01-02 15:04:05.0000000"), 20+i%900, 1+i%100)
		at = at.Add(time.Duration(i%7) * 40 * time.Millisecond)
	}
	if err := os.WriteFile(trace, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	rep := r.replay(t, time.Minute, "--key", operatorKey, "--trace", trace, "--speed", "30", "--limit", "500")
	if rep.Counts.Planned != 500 || rep.Counts.Answered != 500 || rep.Latency.Count != 500 || rep.Tokens.Output == 0 {
		t.Errorf("%+v", rep)
	}
	served := rep.Cache["hit"] + rep.Cache["collapsed"]
	if served == 0 || r.calls(t).Total+served != 500 {
		t.Errorf("%d calls at the provider and %d served without it, of 500: %v", r.calls(t).Total, served, rep.Cache)
	}
	// Whatever the gateway takes for a key can be given to replay too.
	few := r.replay(t, time.Minute, "--key", apiKey, "--trace", trace, "--limit", "3", "--seed", "2")
	if few.Counts.Answered != 3 {
		t.Errorf("with a key that has spaces: %+v", few.Counts)
	}
}

// azure is the public trace of Azure's LLM inference, and how many calls it has.
const (
	azure      = "AzureLLMInferenceTrace_conv.csv.gz"
	azureCalls = 19366
)

// TestReplayAzure is the whole trace at sixty times its speed: a minute of load, after
// which the gateway is as it was.
func TestReplayAzure(t *testing.T) {
	if os.Getenv("FOREBAY_LONG") != "1" {
		t.Skip("it takes more than a minute: set FOREBAY_LONG=1 to run it")
	}
	trace := filepath.Join(or(os.Getenv("FOREBAY_SHARED"), filepath.Join("..", "..", "shared")), "data", "traces", azure)
	if _, err := os.Stat(trace); err != nil {
		t.Skip("the recorded trace is not on this machine: set FOREBAY_SHARED to the folder with data/traces/" + azure)
	}
	// A small cache: what it holds is not what a leak would hold.
	r := newRig(t, setup{config: "cache: {memory: 8MiB}", provider: []string{"--scale", "0.05"}})
	goroutines := r.settled(t, 0)
	r.replay(t, time.Minute, "--key", operatorKey, "--trace", trace, "--speed", "60", "--limit", "300", "--seed", "2") // memory pools are filled
	memory := r.metric(t, "process_resident_memory_bytes")
	rep := r.replay(t, 5*time.Minute, "--key", operatorKey, "--trace", trace, "--speed", "60")
	if rep.Counts.Planned != azureCalls {
		t.Errorf("%d calls of %d were planned", rep.Counts.Planned, azureCalls)
	}
	if log := r.calls(t); log.InFlight != 0 {
		t.Errorf("%d calls are still in progress at the provider", log.InFlight)
	}
	grown := r.metric(t, "process_resident_memory_bytes") - memory
	r.provider.stop(t) // and with it the kept connections, which have two goroutines each
	after := r.settled(t, goroutines)
	t.Logf("%+v; cache %v", rep.Counts, rep.Cache)
	t.Logf("goroutines %v before and %v after; resident memory %.1f MB and %+.1f MB", goroutines, after, memory/1e6, grown/1e6)
	if after > goroutines+4 {
		t.Errorf("%v goroutines, %v before", after, goroutines)
	}
	if grown > 60e6 {
		t.Errorf("the memory grew by %.1f MB", grown/1e6)
	}
}
