package cli

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A log that nobody reads blocks nobody; what was dropped is counted and told.
func TestLogSinkDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		s := newLogSink(w, tellDropped("json"))
		line := []byte(strings.Repeat("x", 1023) + "\n")
		const lines = 10_000 // 10 MB, more than it holds
		for range lines {
			if n, err := s.Write(line); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		got := make(chan string)
		go func() {
			all, _ := io.ReadAll(r)
			got <- string(all)
		}()
		synctest.Wait()
		_, _ = s.Write([]byte("the last\n"))
		s.close()
		_ = w.Close()
		text := <-got
		kept := strings.Count(text, string(line))
		if kept == 0 || kept == lines || !strings.Contains(text, `"dropped":`) || !strings.HasSuffix(text, "the last\n") {
			t.Errorf("%d lines of %d, end %q", kept, lines, text[max(0, len(text)-200):])
		}
	})
}

// A stop does not wait for ever for a log that nobody reads.
func TestLogSinkCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		s := newLogSink(w, tellDropped("json"))
		_, _ = s.Write([]byte("line\n"))
		began := time.Now()
		s.close()
		if took := time.Since(began); took != sinkFlush {
			t.Errorf("closed after %s", took)
		}
		_ = r.Close() // frees the writer
		<-s.ended
	})
}
