package main

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// trace writes a trace of so many calls a second, each of 100 tokens.
func trace(t *testing.T, calls int, every time.Duration) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("TIMESTAMP,ContextTokens,GeneratedTokens\n")
	at := time.Date(2023, 11, 16, 18, 15, 46, 0, time.UTC)
	for range calls {
		text.WriteString(at.Format("2006-01-02 15:04:05.0000000") + ",374,100\n")
		at = at.Add(every)
	}
	path := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The whole program runs for a moment, and prints both parts.
func TestRun(t *testing.T) {
	runtime.LockOSThread() // children die with the thread that started them
	defer runtime.UnlockOSThread()
	var out strings.Builder
	args := []string{"-root", "../../..", "-length", "3s", "-scale", "0.05", "-trace", trace(t, 2000, 100*time.Millisecond)}
	if err := run(t.Context(), args, &out); err != nil && !errors.Is(err, table.ErrMissed) {
		t.Fatal(err)
	}
	for _, want := range []string{"outage direct", "answered in time with the outage", "500s for 30 s", "20 times slower", "what has to hold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{
		{"-length", "0s"}, {"-rounds", "0"}, {"-share", "3"}, {"-leave", "1"}, {"-scale", "0"}, {"-parts", "none", "-binary", "x"}, {"-no-such-flag"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil || errors.Is(err, table.ErrMissed) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestRealLoad(t *testing.T) {
	arrivals, err := readTrace(trace(t, 2000, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	load, err := realLoad(arrivals, 50*time.Second, 0.8, 0.1, 1)
	if err != nil {
		t.Fatal(err)
	}
	// 400 s of work at half a second each.
	if len(load) != 800 || load[len(load)-1].at != 50*time.Second {
		t.Errorf("%d calls, the last at %v", len(load), load[len(load)-1].at)
	}
	leave, streams := 0, 0
	for _, r := range load {
		if r.leaves > 0 {
			leave++
		}
		if r.stream {
			streams++
		}
		if r.leaves >= r.service {
			t.Fatalf("leaves after %v of %v", r.leaves, r.service)
		}
	}
	if leave < 50 || leave > 110 || streams < 300 || streams > 500 {
		t.Errorf("%d leave, %d streams", leave, streams)
	}
	if _, err := realLoad(arrivals[:10], time.Minute, 0.8, 0, 1); err == nil {
		t.Error("a trace that is too short is taken")
	}
}

func TestTallyAndUse(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	r := request{deadline: time.Second}
	gone := request{deadline: time.Second, leaves: 500 * time.Millisecond}
	all := []outcome{
		{request: r, start: begin, status: 200, took: 900 * time.Millisecond},
		{request: r, start: begin, status: 200, took: 1100 * time.Millisecond},
		{request: r, start: begin, status: 503, took: time.Millisecond},
		{request: r, start: begin, took: time.Millisecond},
		{request: gone, start: begin, took: 500 * time.Millisecond},
		{request: gone, start: begin, took: 500 * time.Millisecond},
		{request: gone, start: begin, took: 500 * time.Millisecond},
	}
	if s := tally(all, 0, time.Second); s != (sum{Sent: 4, InTime: 1, Late: 1, Refused: 1, Failed: 1, P50: 900 * time.Millisecond, P95: 900 * time.Millisecond}) {
		t.Errorf("%+v", s)
	}
	up := &upstream{log: []served{
		{number: -1}, // the start's
		{number: 0, start: at(0), end: at(900), ending: done},
		{number: 2, start: at(0), end: at(1), ending: tooMany},
		{number: 4, start: at(0), end: at(800), ending: done}, // for nobody
		{number: 5, start: at(0), end: at(510), ending: cut},
		{number: 6, start: at(550), end: at(560), ending: cut}, // begun for nobody
	}}
	u := useOf(all, up)
	if want := (use{calls: 5, refused: 1, nobody: 1, gone: 3, started: 1, lateBy: 300 * time.Millisecond}); u != want {
		t.Errorf("%+v, want %+v", u, want)
	}
}

func TestRecovered(t *testing.T) {
	p := phase{from: 10 * time.Second, to: 20 * time.Second}
	var all []outcome
	add := func(from, to int, good bool) {
		for ms := from * 1000; ms < to*1000; ms += 50 {
			o := outcome{request: request{at: time.Duration(ms) * time.Millisecond, deadline: time.Second}, status: 200}
			if !good {
				o.status = 503
			}
			all = append(all, o)
		}
	}
	add(0, 10, true)
	add(10, 23, false)
	add(23, 40, true)
	if r := recovered(all, p, 5*time.Second, time.Second); r.after != 3*time.Second || r.before.share() != 1 || r.during.share() != 0 || r.then.share() != 1 {
		t.Errorf("%+v", r)
	}
	all = all[:0]
	add(0, 10, true)
	add(10, 40, false)
	if r := recovered(all, p, 5*time.Second, time.Second); r.after != math.MaxInt64 {
		t.Errorf("never recovered: %+v", r)
	}
}

// The upstream has its slots and no more, frees those of callers who leave, and fails
// when it is told to.
func TestUpstream(t *testing.T) {
	u, err := startUpstream(1)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	ask := func(ctx context.Context, ms int, stream bool) int {
		return ask(ctx, http.DefaultClient, u.addr, request{service: time.Duration(ms) * time.Millisecond, stream: stream, deadline: time.Second}, "request 7 at 0")
	}
	first := make(chan int)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { first <- ask(ctx, 20_000, true) }()
	for u.busy.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := ask(t.Context(), 1, false); got != http.StatusTooManyRequests {
		t.Errorf("a second call got %d", got)
	}
	cancel()
	if got := <-first; got != 0 {
		t.Errorf("the call that left got %d", got)
	}
	for u.busy.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	for _, stream := range []bool{false, true} {
		if got := ask(t.Context(), 50, stream); got != http.StatusOK {
			t.Errorf("stream %t got %d", stream, got)
		}
	}
	u.set(failing)
	if got := ask(t.Context(), 1, false); got != http.StatusInternalServerError {
		t.Errorf("a failing target gave %d", got)
	}
	var endings []ending
	for _, s := range u.calls() {
		endings = append(endings, s.ending)
	}
	if want := []ending{tooMany, cut, done, done, failed}; !slices.Equal(endings, want) {
		t.Errorf("%v, want %v", endings, want)
	}
}
