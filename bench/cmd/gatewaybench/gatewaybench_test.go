package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/loadgen"
	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// TestMain lets the test binary be every child of a measurement, a stand-in for
// Forebay included.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case cmdUpstream, cmdProxy, cmdLoad:
			if err := dispatch(context.Background(), os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		case "serve":
			fmt.Fprintln(os.Stderr, standIn(os.Args[len(os.Args)-1]))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// standIn is a gateway that asks for the key and answers repeated bodies itself.
func standIn(config string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	find := func(pattern string) string { return regexp.MustCompile(pattern).FindStringSubmatch(string(text))[1] }
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: find(`base_url: "http://([^/]+)/v1"`)})
	pass.ErrorLog = nil
	var mu sync.Mutex
	seen := map[string]bool{}
	return http.ListenAndServe(find(`listen: (\S+)`), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+find(`secret: ([^,]+),`) {
			http.Error(w, "key?", http.StatusUnauthorized)
			return
		}
		if r.URL.Path == subject.MetricsPath {
			writeMallocs(w)
			fmt.Fprintf(w, "forebay_cache_store_pending_bytes 0\nforebay_cache_store_dropped_total 0\n")
			return
		}
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		known := seen[string(body)]
		seen[string(body)] = true
		mu.Unlock()
		if known {
			w.Header().Set("Cache-Status", "forebay; hit; ttl=60")
			_, _ = io.WriteString(w, `{"object":"chat.completion"}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(w, r)
	}))
}

// measureFor runs a short measurement of the stand-in. A machine that is busy with
// other tests may leave nothing to a short run: then it is tried with longer ones.
func measureFor(t *testing.T, file string) (rep report, out string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, duration := range []string{"200ms", "1s", "3s"} {
		o, err := parseOptions([]string{
			"-forebay", self, "-rounds", "1", "-duration", duration, "-warm", "100ms", "-cells", "start,open-whole,closed-2k,closed-store", "-out", file,
		}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		switch err := measure(t.Context(), o, &b); {
		case errors.Is(err, errProblem):
			t.Logf("with %s: %v", duration, err)
			continue
		case err != nil:
			t.Fatalf("%v\n%s", err, b.String())
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &rep); err != nil {
			t.Fatal(err)
		}
		return rep, b.String()
	}
	t.Fatal("no measurement without a problem")
	return rep, ""
}

func TestAWholeMeasurement(t *testing.T) {
	rep, out := measureFor(t, filepath.Join(t.TempDir(), "results", "out.json"))
	if len(rep.Runs) != 2+2*4+2 || len(rep.Summary) != 2+2*4+2 || rep.SchemaVersion != schemaVersion || rep.Machine.Cores == 0 || rep.Machine.Kernel == "" {
		t.Errorf("%d runs, %d summaries, %+v", len(rep.Runs), len(rep.Summary), rep.Machine)
	}
	for _, r := range rep.Runs {
		switch {
		case r.Cell == startCell:
			if r.StartMS <= 0 || r.IdleMB <= 1 {
				t.Errorf("%+v", r)
			}
		case r.Load.Requests == 0 || r.Load.CPUSeconds <= 0 || r.Load.PeakRSSMB <= 1:
			t.Errorf("%+v", r)
		case (r.CPUInAllPer10K != nil) != (r.Cell == "closed-store"):
			t.Errorf("%s, %s: CPU in all %v", r.Cell, r.System, r.CPUInAllPer10K)
		case (r.AllocsPerRequest == nil) != (r.System == direct):
			t.Errorf("%s: allocations %v", r.System, r.AllocsPerRequest)
		}
	}
	for _, want := range []string{"Forebay hit", "x proxy", "CPU of a hit, answer of 2 KB", "CPU of a miss, kept on disk too", "not measured", "idle memory", rep.Machine.CPU} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func TestAProgramThatDoesNotStart(t *testing.T) {
	o, err := parseOptions([]string{"-forebay", "/bin/false", "-rounds", "1", "-cells", "start"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := measure(t.Context(), o, io.Discard); err == nil || !strings.Contains(err.Error(), "ended at once") {
		t.Errorf("%v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-rounds 0", "-duration 2m", "-duration 0s", "-warm -1s", "-cells nothing", "-no-such-flag", "argument"} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
	if _, err := parseOptions([]string{"-h"}, io.Discard); err != flag.ErrHelp {
		t.Errorf("-h: %v", err)
	}
	o, err := parseOptions(nil, io.Discard)
	if err != nil || len(o.cells) != len(allCells()) || o.rounds < 3 || o.duration != 5*time.Second {
		t.Errorf("%+v, %v", o, err)
	}
}

// made gives a run with chosen figures.
func made(round int, cell string, s system, p50, cpu float64) outcome {
	r := &loadgen.Result{Requests: 10_000, All: 10_000, Seconds: 20, PerSecond: 500, CPUSecondsPer10K: cpu}
	r.Latency.P50 = p50
	return outcome{Round: round, Cell: cell, System: s, Load: r}
}

func TestFiguresCompareWithinARound(t *testing.T) {
	rep := report{Settings: settings{Rounds: 3}, Runs: []outcome{
		// The second round ran on a busy machine: its ratios still count.
		made(1, "open-whole", direct, 100, 0.1), made(1, "open-whole", proxy, 200, 1.0), made(1, "open-whole", miss, 210, 1.3),
		made(2, "open-whole", direct, 500, 0.2), made(2, "open-whole", proxy, 900, 2.0), made(2, "open-whole", miss, 980, 2.8),
		made(3, "open-whole", direct, 100, 0.1), made(3, "open-whole", proxy, 200, 1.0), made(3, "open-whole", miss, 230, 1.5),
	}}
	c, err := selectCells("open-whole")
	if err != nil {
		t.Fatal(err)
	}
	rep.summarize(c)
	m := rep.Summary[2]
	if m.System != miss || *m.P50US != 230 || *m.AddedP50US != 130 || *m.AddedP50Ratio != 1.2 || *m.CPURatio != 1.4 || m.AllocsRatio != nil {
		t.Errorf("%s: p50 %v, added %v, ratio %v, cpu %v", m.System, *m.P50US, *m.AddedP50US, *m.AddedP50Ratio, *m.CPURatio)
	}
	verdicts := map[string]string{}
	for _, c := range rep.Checks {
		verdicts[c.Name] = c.Verdict
	}
	if verdicts["added p50 at 500/s, whole"] != pass || verdicts["CPU of a miss"] != notMeasured || len(rep.Checks) != len(requirements()) {
		t.Errorf("%v", verdicts)
	}
	rep.Runs[8].Load.Latency.P50 = 240
	rep.Runs[5].Load.Latency.P50 = 1400
	rep.Summary = nil
	rep.summarize(c)
	for _, c := range rep.Checks {
		if c.Cell == "open-whole" && c.Verdict != missed {
			t.Errorf("%s is %s at %v", c.Name, c.Verdict, *c.Measured)
		}
	}
	o := options{strict: true, cells: c}
	rep.Summary = nil
	if err := rep.finish(o, io.Discard); err != errMissed {
		t.Errorf("strict: %v", err)
	}
}

func TestProblems(t *testing.T) {
	open := cell{rate: 500}
	good := loadgen.Result{Requests: 2500, All: 3000, Seconds: 5}
	tests := map[string]struct {
		cell   cell
		system system
		change func(*loadgen.Result)
		want   string
	}{
		"good":                 {open, miss, func(*loadgen.Result) {}, ""},
		"good hits":            {open, hit, func(r *loadgen.Result) { r.Hits = 2499 }, ""},
		"one error":            {open, miss, func(r *loadgen.Result) { r.Errors = 1 }, "went wrong"},
		"a cut stream":         {open, hit, func(r *loadgen.Result) { r.Incomplete = 1 }, "went wrong"},
		"a refusal":            {open, direct, func(r *loadgen.Result) { r.NotOK = 1 }, "went wrong"},
		"the proxy's race":     {open, proxy, func(r *loadgen.Result) { r.Errors = 3 }, ""},
		"more than its race":   {open, proxy, func(r *loadgen.Result) { r.Errors = 40 }, "went wrong"},
		"nothing":              {cell{}, miss, func(r *loadgen.Result) { r.Requests = 0 }, "no request"},
		"too slow":             {open, miss, func(r *loadgen.Result) { r.Unsent = 5 }, "keep up"},
		"too few":              {open, miss, func(r *loadgen.Result) { r.Requests = 2400 }, "only 2400"},
		"misses for hits":      {open, hit, func(r *loadgen.Result) { r.Hits = 100 }, "only 100 of 2500 were hits"},
		"hits for misses":      {open, miss, func(r *loadgen.Result) { r.Hits = 1 }, "1 hits"},
		"closed has no quota":  {cell{}, miss, func(r *loadgen.Result) { r.Requests = 1 }, ""},
		"the proxy has no hit": {open, proxy, func(r *loadgen.Result) { r.Hits = 1 }, "1 hits"},
	}
	for name, tt := range tests {
		r := good
		tt.change(&r)
		if got := problem(tt.cell, tt.system, &r); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
