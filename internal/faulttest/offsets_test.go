//go:build linux

package faulttest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// each does n things, so many workers at a time.
func each(n, workers int, do func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// some reports the first few of many failures.
type some struct {
	t *testing.T

	mu sync.Mutex // guards n
	n  int
}

func (s *some) errorf(format string, args ...any) {
	s.mu.Lock()
	s.n++
	n := s.n
	s.mu.Unlock()
	if n <= 8 {
		s.t.Errorf(format, args...)
	}
}

// sum says how many there were.
func (s *some) sum() {
	if s.n > 8 {
		s.t.Errorf("and %d more", s.n-8)
	}
}

// TestEveryOffset is row 22: a recorded stream, and a whole answer, cut at every byte,
// by the end of the connection and by an end that HTTP takes for a clean one. It never
// looks complete and is never kept; where it is held, B's answer takes its place.
func TestEveryOffset(t *testing.T) {
	stream := testdata(t, "stream.sse")
	t.Run("stream", func(t *testing.T) { cutEverywhere(t, stream, 1, true) })
	t.Run("whole", func(t *testing.T) { cutEverywhere(t, testdata(t, "whole.json"), size(3, 1), false) })
	t.Run("recorded by others", func(t *testing.T) {
		for i, text := range recorded(t) {
			t.Run(strconv.Itoa(i), func(t *testing.T) { cutEverywhere(t, text, size(37, 1), true) })
		}
	})
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "dialect", "openai", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// recorded are streams of OpenAI's that were recorded by others: the first with text
// and the first with calls of tools.
func recorded(t *testing.T) []string {
	t.Helper()
	root := os.Getenv("FOREBAY_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(root, "data", "wire", "otel-py-openai", "exchanges.jsonl.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the recordings are not here (set FOREBAY_SHARED to the folder that holds data/wire): only our own stream is cut")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var text, tools string
	lines := bufio.NewScanner(packed)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r struct {
			URI    string
			Stream string
			Body   string `json:"response_body"`
		}
		if json.Unmarshal(lines.Bytes(), &r) != nil || r.Stream != "sse" || !strings.HasSuffix(r.URI, "/chat/completions") || len(r.Body) > 8<<10 {
			continue
		}
		body := strings.TrimRight(r.Body, "\n") + "\n\n"
		if strings.Contains(body, "tool_calls") && tools == "" {
			tools = body
		} else if !strings.Contains(body, "tool_calls") && text == "" {
			text = body
		}
	}
	if lines.Err() != nil || text == "" || tools == "" {
		t.Fatalf("no streams in the recordings: %v", lines.Err())
	}
	return []string{text, tools}
}

// cutEverywhere cuts text at every step-th byte.
func cutEverywhere(t *testing.T, text string, step int, stream bool) {
	a, b := newUpstream(t, "alpha"), newUpstream(t, "bravo")
	contentType, clean := "Content-Type: application/json", json.Valid
	if stream {
		contentType = eventType
		clean = func(part []byte) bool { return bytes.Contains(part, []byte("[DONE]")) }
	}
	send := func(x *exchange, part string, end string) {
		lines := []string{contentType}
		if end == "length" {
			lines = append(lines, fmt.Sprintf("Content-Length: %d", len(text)))
			x.head(200, lines...)
			x.send(part)
		} else {
			x.head(200, lines...)
			x.chunk(part)
		}
		switch {
		case end == "clean" || part == text:
			if end != "length" {
				x.done()
			}
		default:
			x.cut()
		}
	}
	// The id has the offset and the end.
	script := func(x *exchange) {
		offset, end, _ := strings.Cut(x.ID, "-")
		n, _ := strconv.Atoi(offset)
		if x.Nth > 1 {
			n = len(text)
		}
		send(x, text[:n], end)
	}
	a.on("one", script)
	a.on("two", script)
	g := start(t, setup{
		models: map[string][]target{"one": {{url: a.url, keys: patientBounds}}, "two": {{url: a.url, keys: patientBounds}, {url: b.url, keys: patientBounds}}},
		extra:  operations + "retry: {max: 0}\nbreaker: {enabled: false}\ncache: {max_entries: 0}\n",
	})
	whole := g.ask(question{model: "one", id: fmt.Sprintf("%d-clean", len(text)), stream: stream})
	if whole.status != 200 || whole.end != nil || whole.kind() != "" {
		t.Fatal(whole)
	}
	ends := []string{"cut", "clean"}
	if !stream {
		ends = append(ends, "length")
	}
	bad := &some{t: t}
	// In a short run each offset has one of the ends, in turn.
	perOffset := size(1, len(ends))
	each((len(text)+step-1)/step*perOffset, 24, func(i int) {
		n, end := i/perOffset*step, ends[i%len(ends)]
		id := fmt.Sprintf("%d-%s", n, end)
		mayPass := clean([]byte(text[:n])) && (stream || end == "clean")
		q := question{model: "one", id: id, stream: stream}
		if wrong := judgeCut(g.ask(q), whole, mayPass); wrong != "" {
			bad.errorf("cut at byte %d (%s): %s", n, end, wrong)
			return
		}
		again := g.ask(q)
		// An end mark without its empty line is complete, and so is kept without it.
		if wrong := again.complete(whole.said(), stream); wrong != "" || !mayPass && again.body != whole.body {
			bad.errorf("cut at byte %d (%s), asked again: %s", n, end, wrong)
		}
		if calls := a.byRoute("one", id); calls != 2 && !mayPass {
			bad.errorf("cut at byte %d (%s): A was called %d times in all, want two: a part was kept, or a call repeated", n, end, calls)
		}
		q = question{model: "two", id: id, stream: stream, headers: []string{"X-Forebay-Operation", "held"}}
		got := g.ask(q)
		if wrong := got.complete(textOf("bravo"), stream); wrong != "" && (!mayPass || got.complete(whole.said(), stream) != "") {
			bad.errorf("held, cut at byte %d (%s): %s", n, end, wrong)
		}
	})
	bad.sum()
	g.mustBeCalm(t, a, b)
}

// byRoute counts the calls of a route and an ID without copying them all.
func (u *upstream) byRoute(route, id string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.counts[route+" "+id]
}

// judgeCut says what is wrong with the answer to a cut one.
func judgeCut(got, whole *answer, mayPass bool) string {
	kinds := []string{"provider_truncated", "provider_malformed"}
	if mayPass && got.status == 200 && got.end == nil {
		return got.complete(whole.said(), strings.Contains(whole.body, "data:"))
	}
	if got.status == 200 {
		if wrong := got.broken(kinds...); wrong != "" {
			return wrong
		}
		if !strings.HasPrefix(whole.said(), got.said()) {
			return "what came is no beginning of the answer: " + got.String()
		}
		return ""
	}
	return got.refused(502, kinds...)
}
