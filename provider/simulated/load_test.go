package simulated_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/simulated"
)

func TestCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, simulated.Config{Capacity: 2, RetryAfter: 1500 * time.Millisecond})
		if err := p.SetFaults([]simulated.Fault{fault(t, "stall=1")}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			if _, err := p.Call(ctx, chatModel, chat(true)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := p.Call(t.Context(), chatModel, chat(true))
		e := llm.AsError(err)
		if e.Kind != llm.ProviderRateLimited || e.RetryAfter != 1500*time.Millisecond || e.Status != 429 {
			t.Errorf("third call: %v, retry after %v", e, e.RetryAfter)
		}
		cancel() // nobody reads the streams; their places must be free all the same
		synctest.Wait()
		s, err := p.Call(t.Context(), chatModel, chat(true))
		if err != nil {
			t.Fatalf("after the others left: %v", err)
		}
		_ = s.Close()
		log := p.Calls()
		if log.InFlight != 0 || log.MostInFlight != 2 || log.Outcomes[simulated.Cancelled] != 3 || log.Outcomes[simulated.OverCapacity] != 1 {
			t.Errorf("log %+v", log)
		}
		if err := p.Set(simulated.Settings{Capacity: -1}); err == nil {
			t.Error("capacity -1 was accepted")
		}
	})
}

func TestFaultsWithinTheProcess(t *testing.T) {
	for _, c := range []struct {
		fault  string
		stream bool
		kind   llm.Kind
	}{
		{"status=503,retry_after=2s", false, llm.ProviderOverloaded},
		{"status=429", true, llm.ProviderRateLimited},
		{"status=401", true, llm.ProviderAuthFailed},
		{"refuse", false, llm.ProviderConnectionFailed},
		{"cut=2", true, llm.ProviderTruncated},
		{"cut", false, llm.ProviderTruncated},
		{"garbage=1", true, llm.ProviderMalformed},
		{"garbage", false, llm.ProviderMalformed},
		{"error_event=2", true, llm.ProviderError},
		{"error_event", false, llm.ProviderError},
		{"no_end", true, llm.ProviderTruncated},
		{"no_end", false, llm.ProviderMalformed},
		{"hang", false, llm.CallerDeadline},
		{"stall=3", true, llm.CallerDeadline},
		{"stall", false, llm.CallerDeadline},
		{"trickle=10s", true, llm.CallerDeadline},
		{"trickle=1ms", false, ""},
		{"share=0.5,model=other,cut", true, ""},
		{"from=2m,refuse", true, ""},
		{"to=2030-01-01T00:00:00Z,refuse", true, llm.ProviderConnectionFailed},
		{"from=2030-01-01T00:00:00Z,refuse", true, ""},
	} {
		t.Run(fmt.Sprintf("%s stream %v", c.fault, c.stream), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := provider(t, simulated.Config{Faults: []simulated.Fault{fault(t, c.fault)}})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				s, err := p.Call(ctx, chatModel, chat(c.stream))
				if err == nil {
					_, err = llm.Collect(s)
				}
				if got := llm.KindOf(err); got != c.kind {
					t.Errorf("%v, want kind %q", err, c.kind)
				}
				if log := p.Calls(); log.InFlight != 0 || len(log.Calls) != 1 {
					t.Errorf("log %+v, want one call that ended", log)
				}
			})
		})
	}
}

func TestFaultShareAndWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, simulated.Config{})
		if err := p.SetFaults([]simulated.Fault{fault(t, "status=500,share=0.3,from=10s,to=20s")}); err != nil {
			t.Fatal(err)
		}
		failures := func() (n int) {
			for range 400 {
				if _, err := collect(t, p, chat(false)); err != nil {
					n++
				}
			}
			return n
		}
		if n := failures(); n != 0 {
			t.Errorf("%d failures before the window", n)
		}
		time.Sleep(10 * time.Second)
		if n := failures(); n < 90 || n > 150 {
			t.Errorf("%d failures of 400 within the window, want about 120", n)
		} else if hits := p.Faults()[0].Hits; hits != int64(n) {
			t.Errorf("%d hits counted for %d failures", hits, n)
		}
		time.Sleep(10 * time.Second)
		if n := failures(); n != 0 {
			t.Errorf("%d failures after the window", n)
		}
	})
}
