package sdktest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
)

// leaveWithin is the promise: so long after its caller has gone, the call is over
// at the provider too, and costs nothing more.
const leaveWithin = 100 * time.Millisecond

// TestCancel is not parallel: it measures a time.
func TestCancel(t *testing.T) {
	for _, c := range []struct {
		name, fault string
		call        func(t *testing.T, ctx context.Context, client *openai.Client, leave func())
	}{
		{"within a stream", "trickle=30ms", func(t *testing.T, ctx context.Context, client *openai.Client, leave func()) {
			s := client.Chat.Completions.NewStreaming(ctx, question("m1", "Hello"))
			defer s.Close()
			for range 4 {
				if !s.Next() {
					t.Fatalf("the stream ends early: %v", s.Err())
				}
			}
			leave()
			for s.Next() { // what has arrived already
			}
			if !errors.Is(s.Err(), context.Canceled) {
				t.Errorf("the stream ends with %v", s.Err())
			}
		}},
		{"by closing a stream", "trickle=30ms", func(t *testing.T, ctx context.Context, client *openai.Client, leave func()) {
			s := client.Chat.Completions.NewStreaming(ctx, question("m1", "Hello"))
			if !s.Next() {
				t.Fatalf("the stream ends early: %v", s.Err())
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}},
		{"before a stream begins", "hang", func(t *testing.T, ctx context.Context, client *openai.Client, leave func()) {
			time.AfterFunc(50*time.Millisecond, leave)
			if got := listen(client.Chat.Completions.NewStreaming(ctx, question("m1", "Hello"))); !errors.Is(got.err, context.Canceled) {
				t.Errorf("the stream ends with %v", got.err)
			}
		}},
		{"before a whole answer", "delay=20s", func(t *testing.T, ctx context.Context, client *openai.Client, leave func()) {
			time.AfterFunc(50*time.Millisecond, leave)
			if _, err := client.Chat.Completions.New(ctx, question("m1", "Hello")); !errors.Is(err, context.Canceled) {
				t.Errorf("the call ends with %v", err)
			}
		}},
		{"within a whole answer", "stall", func(t *testing.T, ctx context.Context, client *openai.Client, leave func()) {
			time.AfterFunc(50*time.Millisecond, leave)
			if _, err := client.Chat.Completions.New(ctx, question("m1", "Hello")); !errors.Is(err, context.Canceled) {
				t.Errorf("the call ends with %v", err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, setup{})
			r.faults(t, c.fault)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var left time.Time
			c.call(t, ctx, r.client(t), func() { left = time.Now(); cancel() })
			if left.IsZero() {
				left = time.Now()
			}
			var log callLog
			eventually(t, 5*time.Second, "the provider sees that the caller left", func() bool {
				log = r.calls(t)
				return log.Outcomes["cancelled"] == 1
			})
			if took := time.Since(left); took > leaveWithin {
				t.Errorf("the provider worked on for %v, want at most %v", took, leaveWithin)
			}
			if log.Total != 1 || log.InFlight != 0 {
				t.Errorf("the provider's log: %+v", log)
			}
		})
	}
}

// TestCancelledIsNotKept: who asks after somebody who left gets a whole answer.
func TestCancelledIsNotKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	client := r.client(t)
	r.faults(t, "trickle=30ms")
	s := client.Chat.Completions.NewStreaming(t.Context(), question("m1", "Hello"))
	if !s.Next() || s.Close() != nil {
		t.Fatal(s.Err())
	}
	r.faults(t)
	got := listen(client.Chat.Completions.NewStreaming(t.Context(), question("m1", "Hello")))
	want, err := r.direct(t).Chat.Completions.New(t.Context(), question("m1", "Hello"))
	if err != nil || got.err != nil || got.text != choice(want).Message.Content {
		t.Errorf("%v, %v, %q, want %s", err, got.err, got.text, want.RawJSON())
	}
}
