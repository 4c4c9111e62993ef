package llmtest

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Harness tells the conformance suite how to make a provider whose back end
// behaves as a case needs it.
type Harness struct {
	// New starts a back end that behaves as b says for every call, and a provider
	// that calls it. It registers what has to be stopped with t.Cleanup. It skips
	// the case (t.Skip) where the back end cannot behave so.
	New func(t *testing.T, b Behaviour) Backend
	// Request makes a request for Model, whole or streamed. Behaviour Answers must
	// answer it with a text of at least four chunks when streamed, and report usage.
	Request func(stream bool) *llm.Request
	// Model is what Call is given; the same as the request's.
	Model string
	// Sockets says that New uses real sockets. Then the cases run on the real clock
	// and look for leaked goroutines by counting. Otherwise each case runs in a
	// testing/synctest bubble, where times are exact and a leak is a deadlock.
	Sockets bool
}

// Behaviour is what a back end does with every call.
type Behaviour struct {
	Does Does
	// After counts the chunks before a stream stalls or is cut.
	After int
	// Status is the HTTP status, or its like, of Refuses.
	Status int
}

// Does names a behaviour.
type Does string

// The behaviours.
const (
	Answers Does = "answers"     // answers at once
	Hangs   Does = "hangs"       // accepts the call and never gives a head
	Stalls  Does = "stalls"      // gives the head and After chunks, then silence
	Cuts    Does = "cuts"        // gives the head and After chunks, then breaks the connection
	NoEnd   Does = "no end mark" // gives all but the end mark, then ends the connection cleanly
	Refuses Does = "refuses"     // answers with Status
)

// Backend is a provider under test and what can be seen behind it.
type Backend struct {
	Provider llm.Provider
	// Called gets a value for each call that the back end has read. Needed with
	// Sockets, where nothing else tells when a call has arrived; else it may be nil.
	Called <-chan struct{}
	// Cancelled gets a value for each call that the back end saw end before its
	// answer was complete. Nil where that cannot be seen.
	Cancelled <-chan struct{}
	// Bodies returns the bodies that the back end has read so far. Nil where they
	// cannot be seen.
	Bodies func() [][]byte
}

// prompt is the bound of the contract on noticing the end of a context or stream.
const prompt = 100 * time.Millisecond

// bound is prompt in a bubble, where times are exact. With sockets the goroutines of
// a busy machine may be late by themselves, so there it is ten times as much.
func (h Harness) bound() time.Duration {
	if h.Sockets {
		return 10 * prompt
	}
	return prompt
}

// grace is how long the suite waits for what must happen at all. It is long
// because it only passes when something is broken, or the machine very busy.
const grace = 5 * time.Second

// TestProvider runs the conformance suite: what llm.Provider and llm.Stream
// promise, case by case.
func TestProvider(t *testing.T, h Harness) {
	cases := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"whole answer", wholeAnswer},
		{"stream", streamedAnswer},
		{"chunks are never changed", chunksKept},
		{"no end mark is an error", noEndMark},
		{"cut is an error", cutStream},
		{"statuses map to kinds", statuses},
		{"ended context", endedContext},
		{"cancel before the head", func(t *testing.T, h Harness) { cancelBeforeHead(t, h, false) }},
		{"cancel before the head of a stream", func(t *testing.T, h Harness) { cancelBeforeHead(t, h, true) }},
		{"cancel during Next", cancelDuringNext},
		{"deadline before the head", deadlineBeforeHead},
		{"deadline during Next", deadlineDuringNext},
		{"close early", closeEarly},
		{"close during Next", closeDuringNext},
		{"close after the end", closeAfterEnd},
		{"request is left alone", requestLeftAlone},
		{"concurrent calls", concurrentCalls},
	}
	for _, c := range cases {
		h.run(t, c.name, c.run)
	}
}

func (h Harness) run(t *testing.T, name string, run func(*testing.T, Harness)) {
	if !h.Sockets {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, h) })
		})
		return
	}
	before := runtime.NumGoroutine()
	t.Run(name, func(t *testing.T) { run(t, h) })
	for end := time.Now().Add(grace); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%s: %d goroutines before, %d after", name, before, runtime.NumGoroutine())
			return
		}
	}
}

// call starts a call that must be accepted, and closes its stream in the end.
func call(ctx context.Context, t *testing.T, h Harness, b Backend, stream bool) llm.Stream {
	t.Helper()
	s, err := b.Provider.Call(ctx, h.Model, h.Request(stream))
	if err != nil {
		t.Fatalf("Call: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wantKind checks err and that it is an *llm.Error, not something to be wrapped later.
func wantKind(t *testing.T, what string, err error, want llm.Kind) {
	t.Helper()
	var e *llm.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: error %v (%T), want an *llm.Error of kind %s", what, err, err, want)
		return
	}
	if e.Kind != want {
		t.Errorf("%s: %v, want kind %s", what, e, want)
	}
}

// wantSticky checks that Next keeps returning an error of kind want.
func wantSticky(t *testing.T, s llm.Stream, want llm.Kind) {
	t.Helper()
	for range 2 {
		_, err := s.Next()
		wantKind(t, "Next after the error", err, want)
	}
}

// wantCancelled checks that the back end saw the end of a call in time.
func (h Harness) wantCancelled(t *testing.T, b Backend, since time.Time) {
	t.Helper()
	if b.Cancelled == nil {
		return
	}
	select {
	case <-b.Cancelled:
		if d := time.Since(since); d > h.bound() {
			t.Errorf("the back end saw the end after %v, want %v at most", d, h.bound())
		}
	case <-time.After(grace):
		t.Errorf("the back end did not see the end within %v", grace)
	}
}

// outcome is what a call or Next returned, and when.
type outcome struct {
	err error
	at  time.Time
}

// within waits for an outcome that must come soon after since.
func (h Harness) within(t *testing.T, done <-chan outcome, since time.Time) error {
	t.Helper()
	select {
	case o := <-done:
		if d := o.at.Sub(since); d > h.bound() {
			t.Errorf("took %v, want %v at most", d, h.bound())
		}
		return o.err
	case <-time.After(grace):
		t.Fatalf("still blocked after %v", grace)
		return nil
	}
}

// started runs f in a goroutine. In a bubble it returns when f is blocked.
func (h Harness) started(f func() error) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		err := f()
		done <- outcome{err, time.Now()}
	}()
	if !h.Sockets {
		synctest.Wait()
	}
	return done
}

// arrived waits until the back end has read a call.
func (h Harness) arrived(t *testing.T, b Backend) {
	t.Helper()
	if !h.Sockets {
		return // started has waited for it
	}
	select {
	case <-b.Called:
	case <-time.After(grace):
		t.Fatalf("the call did not arrive within %v", grace)
	}
}
