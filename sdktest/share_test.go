package sdktest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// TestCoalesce: who asks the same at the same time, in the same form, shares one
// call, and the first of them does not take the answer with him when he leaves.
func TestCoalesce(t *testing.T) {
	t.Parallel()
	for _, streamed := range []bool{true, false} {
		t.Run(map[bool]string{true: "streamed", false: "whole"}[streamed], func(t *testing.T) {
			r := newRig(t, setup{})
			client := r.client(t)
			want, err := r.direct(t).Chat.Completions.New(t.Context(), question("m1", "Hello"))
			if err != nil {
				t.Fatal(err)
			}
			ask := func(ctx context.Context) (text, status string, err error) {
				var res *http.Response
				if streamed {
					got := listen(client.Chat.Completions.NewStreaming(ctx, question("m1", "Hello"), option.WithResponseInto(&res)))
					text, err = got.text, got.err
				} else {
					var got *openai.ChatCompletion
					got, err = client.Chat.Completions.New(ctx, question("m1", "Hello"), option.WithResponseInto(&res))
					text = choice(got).Message.Content
				}
				if res != nil {
					status = res.Header.Get("Cache-Status")
				}
				return text, status, err
			}
			r.forget(t)
			r.faults(t, "delay=300ms")
			first, leave := context.WithCancel(t.Context())
			defer leave()
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, _, err := ask(first); !errors.Is(err, context.Canceled) {
					t.Errorf("who left got %v", err)
				}
			})
			eventually(t, 5*time.Second, "the first call is at the provider", func() bool { return r.calls(t).InFlight == 1 })
			var collapsed atomic.Int32
			for i := range 12 {
				wg.Go(func() {
					text, status, err := ask(t.Context())
					if err != nil || text != choice(want).Message.Content {
						t.Errorf("call %d: %v: %s: %q, want %s", i, err, raw(err), text, want.RawJSON())
					}
					if strings.Contains(status, "collapsed") {
						collapsed.Add(1)
					}
				})
			}
			time.AfterFunc(100*time.Millisecond, leave)
			wg.Wait()
			// The one who left had made the call, and nothing had come of it yet: it ended
			// with him, and those who stayed made one more, together.
			if log := r.calls(t); log.Total != 2 || log.Outcomes["answered"] != 1 || log.Outcomes["cancelled"] != 1 {
				t.Errorf("the provider got %d calls with the outcomes %v, want one cancelled and one answered", log.Total, log.Outcomes)
			}
			if n := collapsed.Load(); n < 10 { // a slow start may come late enough for a hit
				t.Errorf("%d of 12 answers say that they were shared", n)
			}
		})
	}
}

// TestDrain: a stop lets streams that have begun come to their end, and takes
// nothing new.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{provider: []string{"--words", "15", "--fault", "trickle=40ms"}})
	client := r.client(t, option.WithMaxRetries(0))
	s := client.Chat.Completions.NewStreaming(t.Context(), question("m1", "Hello"))
	if !s.Next() {
		t.Fatal(s.Err())
	}
	r.gateway.signal()
	refused := make(chan error, 1)
	time.AfterFunc(200*time.Millisecond, func() {
		_, err := client.Chat.Completions.New(t.Context(), question("m1", "Too late"))
		refused <- err
	})
	if got := listen(s); got.err != nil || got.finish != "stop" {
		t.Errorf("the stream ends with %v, finish %q", got.err, got.finish)
	}
	if err := <-refused; err == nil {
		t.Error("a call was taken during the drain")
	}
}
