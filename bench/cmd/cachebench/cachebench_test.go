package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay/bench/internal/redisfake"
	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// TestMain lets the test binary be every child of a measurement, stand-ins for Forebay
// and Redis included.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "redis-server" {
		fmt.Fprintln(os.Stderr, fakeRedis(os.Args[1:]))
		os.Exit(1)
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case cmdUpstream, cmdRedis, cmdLoad:
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

func fakeRedis(args []string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:"+args[slices.Index(args, "--port")+1])
	if err != nil {
		return err
	}
	return new(redisfake.Server).Serve(ln)
}

// standIn is a gateway that stores what it fetches and says that each hit was one of
// either tier.
func standIn(config string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	find := func(pattern string) string { return regexp.MustCompile(pattern).FindStringSubmatch(string(text))[1] }
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: find(`base_url: "http://([^/]+)/v1"`)})
	var mu sync.Mutex
	seen, hits := map[string]bool{}, 0
	return http.ListenAndServe(find(`listen: (\S+)`), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		known := seen[string(body)]
		seen[string(body)] = true
		if known {
			hits++
		}
		count := hits
		mu.Unlock()
		switch {
		case r.URL.Path == subject.MetricsPath:
			fmt.Fprintf(w, "forebay_cache_store_pending_bytes 0\nforebay_cache_store_dropped_total 0\n")
			fmt.Fprintf(w, "forebay_cache_hits_total{tier=\"memory\"} %d\nforebay_cache_hits_total{tier=\"store\"} %d\n", count, count)
		case known:
			w.Header().Set("Cache-Status", "forebay; hit; ttl=60")
			_, _ = io.WriteString(w, `{"object":"chat.completion"}`)
		default:
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			pass.ServeHTTP(w, r)
		}
	}))
}

// small has everything measured in little time.
func small(t *testing.T, more ...string) options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseOptions(append([]string{
		"-forebay", self, "-rounds", "1", "-entries", "2000", "-puts", "1000", "-memory", "4", "-prompts", "1000", "-rate", "200",
		"-duration", "500ms", "-warm", "100ms", "-dir", t.TempDir(),
	}, more...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAWholeMeasurement(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "redis-server")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	file := filepath.Join(t.TempDir(), "results", "out.txt")
	o := small(t, "-out", file)
	var out strings.Builder
	if err := measure(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"a memory hit adds to otter", "key of it", "disk hit p99 among 2000 entries", "put of a 2 KB answer", "at once", "heap over configured",
		"Forebay, disk: p50 of a hit at 200/s", "Required", "Filled with 2000 entries",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	_, required, _ := strings.Cut(out.String(), "\nRequired\n")
	if !strings.Contains(required, "Forebay, memory: CPU of a hit") || strings.Contains(required, "Forebay, disk") {
		t.Errorf("required:\n%s", required)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != out.String() {
		t.Errorf("the file says something else: %v\n%s", err, text)
	}
	if left, err := os.ReadDir(o.dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestWithoutRedis(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out strings.Builder
	if err := measure(t.Context(), small(t, "-parts", "redis"), &out); err != nil || !strings.Contains(out.String(), "NOT MEASURED: hits through Redis") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := measure(t.Context(), small(t, "-parts", "redis", "-demand"), io.Discard); err == nil {
		t.Error("demanded, and not there: no error")
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{
		"-rounds 0", "-entries 10", "-puts 1", "-memory 0", "-prompts 5", "-duration 2m", "-warm -1s", "-parts nothing", "-no-such-flag", "argument",
	} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
	if _, err := parseOptions([]string{"-h"}, io.Discard); err != flag.ErrHelp {
		t.Errorf("-h: %v", err)
	}
	if o, err := parseOptions(nil, io.Discard); err != nil || len(o.parts) != len(allParts()) || o.entries != 1_000_000 || o.memory != 256<<20 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestRequiredFigures(t *testing.T) {
	for measured, want := range map[float64]string{59.9: "yes", 60: "yes", 60.1: "NO"} {
		var out strings.Builder
		r := report{w: &out}
		r.begin("Title")
		r.add(figure{name: "put", measured: measured, decimals: 1, unit: "us", atMost: 60}, figure{name: "beside", measured: 99, unit: "us"})
		r.end()
		err := r.finish(true)
		if (err == nil) != (want == "yes") || err != nil && !errors.Is(err, errMissed) {
			t.Errorf("%v: %v", measured, err)
		}
		if required := out.String()[strings.Index(out.String(), "Required"):]; !strings.Contains(required, want) || !strings.Contains(required, "<= 60 ") || strings.Contains(required, "beside") {
			t.Errorf("%v:\n%s", measured, required)
		}
	}
	if r := (&report{w: failing{}}); true {
		r.line("text")
		if err := r.finish(false); err == nil {
			t.Error("a write that failed is forgotten")
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestMedianAndPercentiles(t *testing.T) {
	if m := median([]float64{5, 1, 9, 3}); m != 3 {
		t.Errorf("median %v", m)
	}
	var f finds
	for n := 1; n <= 100; n++ {
		f.took = append(f.took, float64(n))
	}
	if f.at(0.5) != 50 || f.at(0.99) != 99 || f.at(1) != 100 || (&finds{}).at(0.5) != 0 {
		t.Errorf("%v %v %v", f.at(0.5), f.at(0.99), f.at(1))
	}
	if r := ratios([]float64{1, 8, 3}, []float64{2, 4, 3}); r != 1 {
		t.Errorf("ratio %v", r)
	}
}
