package forebay_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/requestlog"
)

// Whose fault a failure is, who pays for it, and what is left behind by it: each test
// was seen to fail before that was right.

func uncached(cfg *forebay.Config) { cfg.Cache.Off = true }

// saying answers at once what of a call says.
func saying(of func(req *llm.Request) error) llmtest.Step {
	return llmtest.Do(func(_ context.Context, _ string, req *llm.Request) (llm.Stream, error) {
		if err := of(req); err != nil {
			return nil, err
		}
		return &plan{chunks: []llm.Chunk{{Raw: llmtest.Whole("fine", llm.Usage{}), Events: 1, Useful: true, Finish: llm.FinishStop}}, end: io.EOF}, nil
	})
}

// A full target does not keep calls from one that is idle.
func TestNobodyWaitsBesideAnIdleTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := llmtest.Script(llmtest.Hang()), llmtest.Script(llmtest.OK("b"))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Cache.Off, cfg.Limits.MaxConcurrent = true, 2 }, a, b)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() { _, _ = c.Do(ctx, request(fmt.Sprint("hangs ", i))) })
		}
		synctest.Wait()
		began := time.Now()
		for i := range 8 {
			if got := llmtest.Text(do(t, c, request(fmt.Sprint(i))).Body); got != "b" || time.Since(began) > 0 {
				t.Errorf("%q after %s", got, time.Since(began))
			}
		}
		stop()
		wg.Wait()
	})
}

// A target that hangs is found out, with a fallback that keeps time for itself as without.
func TestHangingTargetIsBlamedBesideAFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := llmtest.Script(llmtest.Hang())
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Operations["o"] = forebay.Operation{Deadline: 20 * time.Second, Fallback: []degrade.Strategy{degrade.Simplified}}
		}, a)
		c.Simplify("o", func(context.Context, *llm.Request) (string, error) { return "less", nil })
		for i := range 5 {
			r := request(fmt.Sprint(i))
			r.Operation = "o"
			do(t, c, r)
		}
		if s := c.Targets()[0].Breaker; s.State != breaker.Open {
			t.Errorf("breaker %+v", s)
		}
	})
}

// Callers who read slowly or leave late are not the target's fault.
func TestCallersAreNotTheTargetsFault(t *testing.T) {
	for name, test := range map[string]struct {
		step llmtest.Step
		read func(s *forebay.Stream)
	}{
		"slow": {llmtest.OK(llmtest.EightWords), func(s *forebay.Stream) {
			_, _ = s.Next()
			time.Sleep(11 * time.Second)
			_, _ = s.Next()
		}},
		"late": {llmtest.Trickle(3 * time.Second), func(s *forebay.Stream) {
			for range 5 {
				_, _ = s.Next()
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, func(cfg *forebay.Config) {
					cfg.Cache.Off, cfg.Defaults.Deadline, cfg.Defaults.Pace.MinRate = true, 10*time.Second, -1
				}, llmtest.Script(test.step))
				for range 6 {
					r := streamed("hi")
					if name == "late" {
						r.Timeout = time.Minute
					}
					s, err := c.Stream(t.Context(), r)
					if err != nil {
						t.Fatal(err)
					}
					test.read(s)
					_ = s.Close()
				}
				if b := c.Targets()[0].Breaker; b.State != breaker.Closed || b.Failures != 0 {
					t.Errorf("breaker %+v", b)
				}
			})
		})
	}
}

// A tenant without a budget uses up nobody else's.
func TestBudgetsAreSpentTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		a := llmtest.Script(saying(func(req *llm.Request) error {
			if req.Tenant == "A" || req.Tenant == "B" && first {
				first = first && req.Tenant != "B"
				return llm.Errorf(llm.ProviderError, "boom")
			}
			return nil
		}))
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Cache.Off, cfg.Breaker.Off, cfg.Retry = true, true, forebay.Retry{Max: 3}
		}, a)
		of := func(tenant string) *llm.Request {
			r := request("x")
			r.Tenant = tenant
			return r
		}
		for range 300 {
			_, _ = c.Do(t.Context(), of("A"))
			for range 9 {
				do(t, c, of("C"))
			}
		}
		do(t, c, of("B"))
	})
}

// boom panics where a provider reads.
type boom struct{}

func (boom) Next() (llm.Chunk, error) { panic("next") }
func (boom) Close() error             { return nil }

func TestPanicWhileReading(t *testing.T) {
	for _, off := range []bool{true, false} {
		a := llmtest.Script(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) { return boom{}, nil }))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Cache.Off = off }, a)
		_, err := c.Do(t.Context(), request("x"))
		wantKind(t, err, llm.ForebayInternal)
		if n := c.Targets()[0].InFlight; n != 0 {
			t.Errorf("%d slots are taken for ever", n)
		}
	}
}

// unsteady brings a piece, and panics where the next one is waited for.
type unsteady struct{ llm.OneChunk }

func (*unsteady) Await() { panic("await") }

func TestPanicWhileAwaiting(t *testing.T) {
	for _, off := range []bool{true, false} {
		a := llmtest.Script(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) {
			return &unsteady{llm.OneChunk{Chunk: llm.Chunk{Raw: []byte("data: {}\n\n"), Events: 1, Useful: true}}}, nil
		}))
		c := newClient(t, func(cfg *forebay.Config) { cfg.Cache.Off = off }, a)
		r := request("x")
		r.Stream = true
		s, err := c.Stream(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first is there before it is waited for
			s.Await()
			_, err = s.Next()
		}
		wantKind(t, err, llm.ForebayInternal)
		if n := c.Targets()[0].InFlight; n != 0 {
			t.Errorf("%d slots are taken for ever", n)
		}
	}
}

// The fallback to a smaller answer repeats nothing: not at a target that refused, and
// once for all who ask the same.
func TestSimplifiedAddsFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := llmtest.Script(llmtest.Fail(429))
		c := newClient(t, func(cfg *forebay.Config) {
			uncached(cfg)
			cfg.Defaults.Fallback, cfg.Defaults.Simplified = []degrade.Strategy{degrade.Simplified}, forebay.Simplified{MaxTokens: 10}
		}, a)
		for range 100 {
			_, _ = c.Do(t.Context(), request("hi"))
		}
		if n := len(a.Calls()); n != 100 {
			t.Errorf("%d calls of 100 requests", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := llmtest.Script(llmtest.Fail(500).After(time.Second)), llmtest.Script(llmtest.OK("less").After(time.Second))
		c := newClient(t, func(cfg *forebay.Config) {
			all := cfg.Models["m"].Targets
			cfg.Models["m"], cfg.Models["small"] = forebay.Model{Targets: all[:1]}, forebay.Model{Targets: all[1:]}
			cfg.Defaults.Fallback, cfg.Defaults.Simplified = []degrade.Strategy{degrade.Simplified}, forebay.Simplified{Model: "small"}
		}, a, b)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if res, err := c.Do(t.Context(), request("hi")); err != nil || res.Meta.Fallback != degrade.Simplified {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if len(a.Calls()) != 1 || len(b.Calls()) != 1 {
			t.Errorf("%d and %d calls for 50 who asked the same", len(a.Calls()), len(b.Calls()))
		}
	})
}

// accounts is a ledger that keeps what it is told.
type accounts struct {
	mu   sync.Mutex // guards recs
	recs []cost.Record
}

func (*accounts) Reserve(context.Context, *llm.Request) error { return nil }

func (l *accounts) Settle(r cost.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recs = append(l.recs, r)
}

// total sums up what was booked, and counts the calls that it is of.
func (l *accounts) total() (calls int, sum cost.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.recs {
		if !r.Part {
			calls++
		}
		sum.Usage, sum.MicroUSD, sum.Estimated = sum.Usage.Plus(r.Usage), sum.MicroUSD+r.MicroUSD, sum.Estimated || r.Estimated
	}
	return calls, sum
}

// What was used of an answer that nobody saw is booked, with the ledger and the quota.
func TestUnseenAnswersAreBooked(t *testing.T) {
	for _, hold := range []int{1, forebay.HoldAll} {
		synctest.Test(t, func(t *testing.T) {
			l := &accounts{}
			c := newClient(t, func(cfg *forebay.Config) {
				cfg.Cache.Off, cfg.Ledger, cfg.Defaults.Hold = true, l, hold
				cfg.Models["m"].Targets[0].Quota = limit.QuotaConfig{TokensPerMinute: 600}
			}, llmtest.Script(llmtest.StallAfter(5)))
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := c.Do(ctx, streamed("hello hello hello")); err == nil {
				t.Fatal("an answer that stalls was whole")
			}
			if n, sum := l.total(); n != 1 || sum.Usage.Input == 0 || sum.Usage.Output != 5 || !sum.Estimated || sum.MicroUSD == 0 {
				t.Errorf("hold %d: booked %+v", hold, l.recs)
			}
			if left := c.Targets()[0].Quota.TokensLeft; left > 596 {
				t.Errorf("hold %d: %d tokens are left", hold, left)
			}
		})
	}
}

// Calls that lose the race for a quota wait for the next place in it.
func TestQuotaIsWaitedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Cache.Off, cfg.Limits.MaxConcurrent = true, 1
			cfg.Models["m"].Targets[0].Quota = limit.QuotaConfig{RequestsPerMinute: 6}
		}, llmtest.Script(llmtest.OK("x").After(500*time.Millisecond)))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { do(t, c, request(fmt.Sprint(i))) })
		}
		wg.Wait()
	})
}

// The error, and with it the fallback, is that of the target that was called.
func TestTheMostTellingErrorIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := llmtest.Script(llmtest.Fail(500)), llmtest.Script(llmtest.OK("b"))
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Models["m"].Targets[1].Quota = limit.QuotaConfig{RequestsPerMinute: 1}
			cfg.Defaults.Deadline, cfg.Defaults.Fallback = 5*time.Second, []degrade.Strategy{degrade.Template}
			uncached(cfg)
		}, a, b)
		do(t, c, request("1"))
		if res := do(t, c, request("2")); res.Meta.Fallback != degrade.Template {
			t.Errorf("%+v", res.Meta)
		}
	})
}

// A function has all of its time where no simplified answer could take any.
func TestFunctionsKeepTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Models["small"] = cfg.Models["m"]
			cfg.Operations["o"] = forebay.Operation{
				Deadline: 10 * time.Second, Fallback: []degrade.Strategy{degrade.Simplified}, Simplified: forebay.Simplified{Model: "small"},
			}
		}, llmtest.Script(llmtest.OK("x")))
		_, err := forebay.Process(t.Context(), c, forebay.Task[int]{Operation: "o"}, func(context.Context, int) (int, error) {
			time.Sleep(9 * time.Second)
			return 1, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A repeated attempt is not booked with what the one before it had brought.
func TestAttemptsAreBookedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &accounts{}
		c := newClient(t, func(cfg *forebay.Config) {
			cfg.Cache.Off, cfg.Ledger, cfg.Defaults.Hold = true, l, forebay.HoldAll
		}, llmtest.Script(llmtest.CutAfter(5)), llmtest.Script(llmtest.Fail(500)))
		_, err := c.Do(t.Context(), streamed("hello hello hello"))
		wantKind(t, err, llm.ProviderError)
		if n, sum := l.total(); n != 1 || sum.Usage.Output != 5 || l.recs[0].Provider != "p1" || l.recs[0].MicroUSD != sum.MicroUSD {
			t.Errorf("booked %+v", l.recs)
		}
	})
}

// A stream that its caller gives up in the middle is logged with what it cost: with what
// stands in the books.
func TestGivenUpIsLoggedAtItsPrice(t *testing.T) {
	for name, end := range map[string]func(*forebay.Stream, context.CancelFunc){
		"closed":  func(s *forebay.Stream, _ context.CancelFunc) { _ = s.Close() },
		"resting": func(s *forebay.Stream, cancel context.CancelFunc) { cancel(); _, _ = s.Next() },
		"reading": func(s *forebay.Stream, cancel context.CancelFunc) {
			time.AfterFunc(time.Second, cancel)
			for err := error(nil); err == nil; _, err = s.Next() {
				s.Await()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, log := &accounts{}, &logged{}
				c := newClient(t, func(cfg *forebay.Config) { cfg.Ledger, cfg.Observer = l, log }, llmtest.Script(llmtest.StallAfter(5)))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s, err := c.Stream(ctx, streamed("hello hello hello"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Next(); err != nil {
					t.Fatal(err)
				}
				end(s, cancel)
				synctest.Wait()
				n, sum := l.total()
				if n != 1 || sum.MicroUSD == 0 || len(*log) != 1 || (*log)[0].MicroUSD != sum.MicroUSD {
					t.Errorf("booked %+v, logged %+v", l.recs, *log)
				}
			})
		})
	}
}

// A leader that leaves an answer to those who share it is logged with what it had cost by
// then, though it is booked when the answer ends.
func TestLeftToOthersIsLoggedAtItsPrice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := &accounts{}, &logged{}
		c := newClient(t, func(cfg *forebay.Config) { cfg.Ledger, cfg.Observer = l, log }, llmtest.Script(llmtest.StallAfter(5)))
		var both []*forebay.Stream
		for range 2 {
			s, err := c.Stream(t.Context(), streamed("hello hello hello"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
			both = append(both, s)
		}
		_ = both[0].Close()
		if n, _ := l.total(); n != 0 || len(*log) != 1 || (*log)[0].MicroUSD == 0 || !(*log)[0].Estimated {
			t.Errorf("booked %+v, logged %+v", l.recs, *log)
		}
		_ = both[1].Close()
		synctest.Wait()
		if _, sum := l.total(); sum.MicroUSD < (*log)[0].MicroUSD || (*log)[1].MicroUSD != 0 {
			t.Errorf("booked %+v, logged %+v", l.recs, *log)
		}
	})
}

// logged is an observer that keeps what it is told, of one call at a time.
type logged []requestlog.Entry

func (l *logged) Observe(e *requestlog.Entry) { *l = append(*l, *e) }

// A reader who takes his time between waiting and reading has a slow reader, not a slow provider.
func TestTheReadersOwnTimeIsNotTheProviders(t *testing.T) {
	for _, off := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(t, func(cfg *forebay.Config) {
				cfg.Cache.Off, cfg.Defaults.Deadline = off, time.Hour
			}, llmtest.Script(llmtest.OK(strings.Repeat("word ", 20))))
			r := streamed("hello")
			r.Timeout = time.Hour
			s, err := c.Stream(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			chunks := 0
			for ; err == nil; chunks++ {
				s.Await()
				time.Sleep(2 * time.Minute)
				_, err = s.Next()
			}
			if err != io.EOF || chunks < 10 {
				t.Errorf("%d chunks, %v", chunks, err)
			}
		})
	}
}
