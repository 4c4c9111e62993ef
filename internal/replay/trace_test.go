package replay_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/internal/replay"
	"github.com/forebay-ai/forebay/llm"
)

const header = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"

const azureSample = header + "2023-11-16 23:59:59.5000000,374,44\r\n2023-11-16 23:59:59.5000000,2,1\r\n2023-11-17 00:00:01.0000001,396,109"

const mooncakeSample = `{"timestamp": 27, "input_length": 600, "output_length": 3, "hash_ids": [4, 9]}
{"timestamp": 1030, "input_length": 13, "output_length": 0, "hash_ids": [], "session": "new member"}
`

func zipped(t testing.TB, s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRead(t *testing.T) {
	azure := replay.Trace{Format: replay.Azure, Arrivals: []replay.Arrival{
		{At: 0, PromptTokens: 374, OutputTokens: 44},
		{At: 0, PromptTokens: 2, OutputTokens: 1},
		{At: 1500*time.Millisecond + 100, PromptTokens: 396, OutputTokens: 109},
	}}
	mooncake := replay.Trace{Format: replay.Mooncake, Arrivals: []replay.Arrival{
		{At: 0, PromptTokens: 600, OutputTokens: 3, Blocks: []int64{4, 9}},
		{At: 1003 * time.Millisecond, PromptTokens: 13, OutputTokens: 0, Blocks: []int64{}},
	}}
	tests := map[string]struct {
		in   string
		want replay.Trace
	}{
		"azure":             {azureSample, azure},
		"azure, LF":         {strings.ReplaceAll(azureSample, "\r", "") + "\n\n\n", azure},
		"azure, zipped":     {zipped(t, azureSample), azure},
		"mooncake":          {mooncakeSample, mooncake},
		"mooncake, zipped":  {zipped(t, mooncakeSample), mooncake},
		"mooncake, trimmed": {strings.TrimSpace(mooncakeSample), mooncake},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := replay.Read(iotest.OneByteReader(strings.NewReader(tt.in)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Duration() != tt.want.Arrivals[len(tt.want.Arrivals)-1].At {
				t.Errorf("duration %v", got.Duration())
			}
		})
	}
}

func TestReadFaults(t *testing.T) {
	const good = "2023-11-16 18:15:46.6805900,374,44\n"
	const moon = `{"timestamp": 5, "input_length": 1, "output_length": 1, "hash_ids": [1]}` + "\n"
	tests := []struct{ name, in, want string }{
		{"nothing", "", "line 1 is neither"},
		{"another file", "hello\n", "line 1 is neither"},
		{"a byte", "x", "line 1 is neither"},
		{"other columns", "TIMESTAMP,ContextTokens\n", "line 1 is neither"},
		{"header only", header, "line 2 is missing: the trace holds no requests"},
		{"two fields", header + good + "2023-11-16 18:15:47,374\n", "line 3 has not three fields"},
		{"four fields", header + "2023-11-16 18:15:47,374,4,\n", "line 2 has not three fields"},
		{"no date", header + good + "18:15:47,374,4\n", "line 3 has no time of the form"},
		{"no such day", header + "2023-02-30 18:15:47,374,4\n", "line 2 has no time of the form"},
		{"year out of range", header + "0001-01-01 18:15:47,374,4\n", "line 2 has no time of the form"},
		{"negative", header + "2023-11-16 18:15:47,-1,4\n", "line 2 has in ContextTokens no whole number"},
		{"fraction", header + "2023-11-16 18:15:47,1,4.5\n", "line 2 has in GeneratedTokens no whole number"},
		{"space", header + "2023-11-16 18:15:47, 1,4\n", "line 2 has in ContextTokens no whole number"},
		{"far too many", header + "2023-11-16 18:15:47,1,10000001\n", "line 2 has in GeneratedTokens no whole number from 0 to 10000000"},
		{"back in time", header + good + "2023-11-16 18:15:46.6805899,374,44\n", "line 3 is earlier than the line before it"},
		{"years later", header + good + "2026-11-16 18:15:46,374,44\n", "line 3 is too long after the first one (time span"},
		{"gap", header + good + "\n\n" + good, "line 4 is empty"},
		{"endless line", header + good + strings.Repeat("1", 2<<20), "line 3 is too long (line bytes = 1048576)"},
		{"endless header", strings.Repeat("T", 2<<20), "line 1 is too long"},
		{"not JSON", moon + "{\n", "line 2 is not a Mooncake record"},
		{"two on a line", moon + moon[:len(moon)-1] + moon, "line 2 is not a Mooncake record"},
		{"duplicate member", moon + `{"timestamp": 5, "timestamp": 6}`, "line 2 is not a Mooncake record"},
		{"text for number", `{"timestamp": "5"}`, "line 1 is not a Mooncake record"},
		{"fraction of a millisecond", `{"timestamp": 5.5}`, "line 1 is not a Mooncake record"},
		{"other case", `{"Timestamp": 5, "input_length": 1, "output_length": 1, "hash_ids": []}`, "line 1 lacks one of"},
		{"no hash_ids", moon + `{"timestamp": 5, "input_length": 1, "output_length": 1}`, "line 2 lacks one of"},
		{"negative time", `{"timestamp": -5, "input_length": 1, "output_length": 1, "hash_ids": []}`, "line 1 has a timestamp outside"},
		{"negative length", `{"timestamp": 5, "input_length": 1, "output_length": -1, "hash_ids": []}`, "line 1 has a length outside"},
		{"mixed", moon + good, "line 2 is not a Mooncake record"},
		{"gzip head only", "\x1f\x8b\x08", "line 1 is not valid gzip"},
		{"cut gzip", zipped(t, azureSample)[:60], "line 2 cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := replay.Read(strings.NewReader(tt.in))
			if llm.KindOf(err) != llm.CallerInvalidRequest || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if _, err := replay.Read(iotest.ErrReader(errors.New("disk"))); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Errorf("a reader that fails: %v", err)
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.csv")
	if _, err := replay.Open(path); llm.KindOf(err) != llm.CallerNotFound || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte(header+"x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Open(path); err == nil || !strings.Contains(err.Error(), path+", line 2 has not three fields") {
		t.Errorf("faulty file: %v", err)
	}
	if err := os.WriteFile(path, []byte(azureSample), 0o600); err != nil {
		t.Fatal(err)
	}
	if tr, err := replay.Open(path); err != nil || len(tr.Arrivals) != 3 {
		t.Errorf("%d arrivals, %v", len(tr.Arrivals), err)
	}
}

// sharedTraces finds the recorded traces, which are not part of the repository.
func sharedTraces(t *testing.T) string {
	shared := os.Getenv("FOREBAY_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(shared, "data", "traces")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded traces are not here: put them beside the repository or set FOREBAY_SHARED")
	}
	return dir
}

func TestRecordedTraces(t *testing.T) {
	dir := sharedTraces(t)
	tests := []struct {
		file           string
		format         replay.Format
		calls          int
		prompt, output int // sums, counted with awk and Python
		duration       time.Duration
	}{
		{"AzureLLMInferenceTrace_conv.csv.gz", replay.Azure, 19_366, 22_361_870, 4_088_665, 58*time.Minute + 21*time.Second + 721937*time.Microsecond},
		{"mooncake_synthetic_trace.jsonl.gz", replay.Mooncake, 3_993, 0, 0, 1_022_025 * time.Millisecond},
	}
	for _, tt := range tests {
		got, err := replay.Open(filepath.Join(dir, tt.file))
		if err != nil {
			t.Fatal(err)
		}
		prompt, output := 0, 0
		for _, a := range got.Arrivals {
			prompt += a.PromptTokens
			output += a.OutputTokens
		}
		if got.Format != tt.format || len(got.Arrivals) != tt.calls || got.Duration() != tt.duration {
			t.Errorf("%s: %s, %d calls in %v", tt.file, got.Format, len(got.Arrivals), got.Duration())
		}
		if tt.prompt != 0 && (prompt != tt.prompt || output != tt.output) {
			t.Errorf("%s: %d prompt and %d output tokens", tt.file, prompt, output)
		}
	}
}

// Whatever it is given, Read either fails with an error for the caller or gives a
// trace that Run can send; and Azure's format survives being written again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(azureSample))
	f.Add([]byte(mooncakeSample))
	f.Add([]byte(zipped(f, mooncakeSample)))
	f.Add([]byte(header + "2023-11-16 18:15:46.68059,374,44\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := replay.Read(bytes.NewReader(in))
		if err != nil {
			if llm.KindOf(err) != llm.CallerInvalidRequest || len(got.Arrivals) != 0 {
				t.Fatalf("%d arrivals and %v", len(got.Arrivals), err)
			}
			return
		}
		var again strings.Builder
		again.WriteString(header)
		last := time.Duration(0)
		for i, a := range got.Arrivals {
			if a.At < last || a.PromptTokens < 0 || a.OutputTokens < 0 || i == 0 && a.At != 0 {
				t.Fatalf("arrival %d: %+v after %v", i, a, last)
			}
			last = a.At
			stamp := time.Unix(0, 0).UTC().Add(a.At).Format("2006-01-02 15:04:05.999999999")
			fmt.Fprintf(&again, "%s,%d,%d\n", stamp, a.PromptTokens, a.OutputTokens)
			got.Arrivals[i].Blocks = nil
		}
		if len(got.Arrivals) == 0 {
			t.Fatal("no arrivals and no error")
		}
		back, err := replay.Read(strings.NewReader(again.String()))
		if err != nil || !cmp.Equal(back.Arrivals, got.Arrivals) {
			t.Fatalf("%v\n%s", err, cmp.Diff(got.Arrivals, back.Arrivals))
		}
	})
}

// slowGateway answers without a network: a whole trace is 90 MB of prompts.
type slowGateway struct{ busy, most, calls atomic.Int64 }

func (g *slowGateway) RoundTrip(r *http.Request) (*http.Response, error) {
	g.most.Store(max(g.most.Load(), g.busy.Add(1))) // a rough figure: two writers may cross
	defer g.busy.Add(-1)
	n := g.calls.Add(1)
	time.Sleep(time.Duration(n%5) * time.Second)
	w := httptest.NewRecorder()
	switch n % 7 {
	case 0:
		write(503, `{"error":{"error_type":"policy_overloaded"}}`)(w, r)
	case 1:
		withHeader(write(200, wholeAnswer), "X-Forebay-Fallback", "template")(w, r)
	default:
		write(200, wholeAnswer)(w, r)
	}
	return w.Result(), nil
}

// The whole Azure trace, an hour in a minute, at a gateway that is too slow for
// its peaks: every call is accounted for, and far more calls are under way at once
// than a closed loop of any usual size would have.
func TestReplayOfTheWholeAzureTrace(t *testing.T) {
	trace, err := replay.Open(filepath.Join(sharedTraces(t), "AzureLLMInferenceTrace_conv.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		g := &slowGateway{}
		rep := mustRun(t, t.Context(), replay.Config{
			Trace: trace.Arrivals, Speed: 60, URL: "http://gateway", Model: "m", Transport: g, Repeat: 0.2, Users: 50,
		})
		c := rep.Counts
		want := replay.Counts{Planned: 19_366, Answered: 13_833, Degraded: 2767, Refused: 2766}
		if c != want || g.calls.Load() != 19_366 {
			t.Errorf("%+v of %d calls, failures %v", c, g.calls.Load(), rep.Failures)
		}
		if g.most.Load() < 500 || rep.StartLagMaxMS != 0 || rep.WallSeconds < 58 || rep.WallSeconds > 65 {
			t.Errorf("at most %d at once, lag %v ms, %v s", g.most.Load(), rep.StartLagMaxMS, rep.WallSeconds)
		}
	})
}
