package cli

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

// The bounds of what waits for a log that does not take it: a busy second of request
// lines, and what a stop waits for the rest.
const (
	sinkBytes = 4 << 20
	sinkFlush = 2 * time.Second
)

// logSink passes lines on to a writer that may block, such as a pipe whose reader has
// stopped, without ever blocking those who log. What it cannot hold is dropped and
// counted, and the count is told as soon as the writer takes lines again.
type logSink struct {
	to    io.Writer
	tell  func(w io.Writer, dropped int)
	wake  chan struct{} // gets a value when there is something to do
	ended chan struct{}

	mu      sync.Mutex // guards what follows; not held while the writer writes
	lines   []byte
	spare   []byte // of the last batch, to be used again
	dropped int
	closed  bool
}

// newLogSink begins to pass lines on; close ends it. tell writes how many were dropped.
func newLogSink(to io.Writer, tell func(w io.Writer, dropped int)) *logSink {
	s := &logSink{to: to, tell: tell, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.run()
	return s
}

// Write takes one line, or drops it. It never fails.
func (s *logSink) Write(line []byte) (int, error) {
	s.mu.Lock()
	if s.closed || len(s.lines)+len(line) > sinkBytes {
		s.dropped++
	} else {
		s.lines = append(s.lines, line...)
	}
	s.mu.Unlock()
	s.nudge()
	return len(line), nil
}

func (s *logSink) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it has been told
	}
}

// run writes what waits until the sink is closed and empty.
func (s *logSink) run() {
	defer close(s.ended)
	for range s.wake {
		for {
			batch, dropped, closed := s.take()
			if dropped > 0 {
				told := bytes.NewBuffer(batch)
				s.tell(told, dropped)
				batch = told.Bytes()
			}
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			_, _ = s.to.Write(batch) // there is nobody to tell
		}
	}
}

func (s *logSink) take() (batch []byte, dropped int, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch, dropped = s.lines, s.dropped
	s.lines, s.spare, s.dropped = s.spare[:0], batch, 0
	return batch, dropped, s.closed
}

// close writes what still waits, as far as the writer takes it in time.
func (s *logSink) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.nudge()
	timer := time.NewTimer(sinkFlush)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
	}
}

// tellDropped writes a line about dropped lines in the log's format.
func tellDropped(format string) func(io.Writer, int) {
	return func(w io.Writer, dropped int) {
		logger(w, slog.LevelWarn, format).Warn("log lines were dropped: the log did not take them", "dropped", dropped)
	}
}
