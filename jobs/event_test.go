package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// told writes down what a reader is told.
type told struct {
	mu     sync.Mutex
	text   []string
	last   int64
	ended  bool
	err    error
	chunks string // since the last restart
}

func (l *told) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, " ")
}

func (l *told) note(e jobs.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.Type {
	case jobs.EventState:
		l.text = append(l.text, e.Job.State.String())
	case jobs.EventChunk:
		l.text = append(l.text, string(e.Chunk))
		l.chunks += string(e.Chunk)
	default:
		l.text = append(l.text, e.Type)
		l.chunks = ""
	}
	if e.ID <= 0 || e.ID < l.last {
		l.text = append(l.text, fmt.Sprintf("(id %d behind %d)", e.ID, l.last))
	}
	l.last = e.ID
}

// read reads a job's events until they end or limit were read, if limit is not zero.
func (r *rig) read(ctx context.Context, id backlog.ID, after int64, limit int) *told {
	l := &told{}
	for e, err := range r.q.Events(ctx, acme, id, after) {
		if err != nil {
			l.err = err
			break
		}
		if l.note(e); limit == 1 {
			return l
		}
		limit--
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	return l
}

// follow reads in the background.
func (r *rig) follow(id backlog.ID, after int64) (*told, *sync.WaitGroup) {
	l, wg := &told{}, &sync.WaitGroup{}
	wg.Go(func() {
		for e, err := range r.q.Events(context.Background(), acme, id, after) {
			if err != nil {
				l.err = err
				return
			}
			l.note(e)
		}
	})
	synctest.Wait()
	return l, wg
}

// speaks is a step that emits chunks, one a second.
func speaks(chunks ...string) step {
	return func(ctx context.Context, t *jobs.Task) ([]byte, error) {
		for _, c := range chunks {
			b := []byte(c)
			t.Emit(b)
			clear(b) // it was copied
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return echo(ctx, t)
	}
}

func TestEventsLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(speaks("a", "b", "c"))
		r.submit("zero")
		j := r.submit("one")
		first, wg := r.follow(j.ID, 0)
		second, wg2 := r.follow(j.ID, 0)
		wg.Wait()
		wg2.Wait()
		const want = "queued processing a b c completed"
		if first.String() != want || second.String() != want {
			t.Errorf("%v\n%v", first, second)
		}
		if got := r.read(t.Context(), j.ID, 0, 0); got.String() != "completed" {
			t.Errorf("a reader of a final job: %v", got)
		}
	})
}

func TestEventsLateAndResumed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(speaks("a", "b", "c", "d"))
		j := r.submit("one")
		time.Sleep(1500 * time.Millisecond)
		late, wg := r.follow(j.ID, 0)
		part := r.read(t.Context(), j.ID, 0, 2) // state, a
		rest, wg2 := r.follow(j.ID, part.last)
		wg.Wait()
		wg2.Wait()
		if got := late.String(); got != "processing a b c d completed" {
			t.Error(got)
		}
		if got := part.String() + " + " + rest.String(); got != "processing a + b c d completed" {
			t.Error(got)
		}
	})
}

// Another attempt makes void what the first one streamed.
func TestEventsRestartWithTheAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(oneByOne(func(ctx context.Context, k *jobs.Task) ([]byte, error) {
			_, _ = speaks("x", "y")(ctx, k)
			return nil, llm.Errorf(llm.ProviderTruncated, "cut")
		}, speaks("a", "b")))
		j := r.submit("one")
		synctest.Wait()
		l, wg := r.follow(j.ID, 0)
		wg.Wait()
		if got := l.String(); got != "processing x y restart queued processing a b completed" {
			t.Error(got)
		}
	})
}

// What is kept is bounded: a late reader gets a restart with what there is.
func TestEventsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.EventBytes = 10_000 })
		all := make([]string, 100)
		for i := range all {
			all[i] = fmt.Sprintf("%03d%s|", i, strings.Repeat(".", 500))
		}
		r.does(func(ctx context.Context, k *jobs.Task) ([]byte, error) {
			for _, c := range all {
				k.Emit([]byte(c))
			}
			time.Sleep(time.Minute)
			return nil, nil
		})
		j := r.submit("one")
		time.Sleep(time.Second)
		late, wg := r.follow(j.ID, 0)
		resumed, wg2 := r.follow(j.ID, late.last-90)
		wg.Wait()
		wg2.Wait()
		for _, l := range []*told{late, resumed} {
			if strings.Count(l.String(), "restart") != 1 || !strings.HasSuffix(l.chunks, all[99]) || len(l.chunks) > 10_000 || len(l.chunks) < 5000 {
				t.Errorf("%d bytes: %.80s", len(l.chunks), l)
			}
			if !strings.Contains(strings.Join(all, ""), l.chunks) {
				t.Error("what is kept has gaps")
			}
		}
	})
}

// A slow reader never blocks the worker; others get everything.
func TestEventsSlowReader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.EventBytes = 5_000 })
		r.does(func(ctx context.Context, k *jobs.Task) ([]byte, error) {
			for i := range 1000 {
				k.Emit(fmt.Appendf(nil, "%d,", i))
				time.Sleep(time.Millisecond)
			}
			return nil, nil
		})
		j := r.submit("one")
		quick, wg := r.follow(j.ID, 0)
		slow := &told{}
		wg.Go(func() {
			for e, err := range r.q.Events(t.Context(), acme, j.ID, 0) {
				if err != nil {
					t.Error(err)
				}
				slow.note(e)
				time.Sleep(20 * time.Millisecond)
			}
		})
		began := time.Now()
		r.ends(j.ID, backlog.Completed)
		if took := time.Since(began); took != time.Second {
			t.Errorf("the job took %v", took)
		}
		wg.Wait()
		if n := strings.Count(quick.chunks, ","); n != 1000 || strings.Contains(quick.String(), "restart") {
			t.Errorf("the quick one got %d chunks", n)
		}
		if !strings.Contains(slow.String(), "restart") || !strings.HasSuffix(slow.String(), "completed") {
			t.Errorf("the slow one: %.200s", slow)
		}
	})
}

// An ID of before a restart of the process is no place in what there is now.
func TestEventsAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(speaks("a", "b", "c", "d", "e", "f"))
		j := r.submit("one")
		time.Sleep(1500 * time.Millisecond)
		before := r.read(t.Context(), j.ID, 0, 3)
		if before.String() != "processing a b" {
			t.Error(before)
		}
		if err := r.halt(); err != nil {
			t.Fatal(err)
		}
		r = r.again()
		r.does(speaks("A", "B"))
		r.run()
		after, wg := r.follow(j.ID, before.last)
		wg.Wait()
		if got := after.String(); !strings.HasPrefix(got, "restart") || !strings.HasSuffix(got, "A B completed") {
			t.Error(got)
		}
	})
}

// Readers end with their context and with the queue, and leave nothing.
func TestEventsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(takes(time.Hour))
		j := r.submit("one", func(s *jobs.Submission) { s.Timeout = 2 * time.Hour })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if got := r.read(ctx, j.ID, 0, 0); got.String() != "processing" || !got.ended {
			t.Errorf("%v", got)
		}
		now, err := r.q.Wait(ctx, acme, j.ID)
		if err == nil && now.State != backlog.Processing {
			t.Errorf("%+v %v", now, err)
		}
		l, wg := r.follow(j.ID, 0)
		if n := jobs.Topics(r.q); n != 1 {
			t.Errorf("%d topics", n)
		}
		if err := r.halt(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if got := l.String(); got != "processing queued" {
			t.Error(got)
		}
		if n := jobs.Topics(r.q); n != 0 {
			t.Errorf("%d topics are left", n)
		}
	})
}

// A thousand jobs with readers and streams leave no topic behind.
func TestNoTopicsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(speaks("a"))
		for i := range 300 {
			j := r.submit(fmt.Sprint(i))
			if i%3 == 0 {
				_, wg := r.follow(j.ID, 0)
				wg.Wait()
			}
		}
		time.Sleep(time.Minute)
		if n := jobs.Topics(r.q); n != 0 {
			t.Errorf("%d topics are left", n)
		}
	})
}

// Nothing is told of an attempt that is over.
func TestEmitAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var emit func([]byte)
		r.does(func(_ context.Context, k *jobs.Task) ([]byte, error) {
			emit = k.Emit
			return nil, llm.Errorf(llm.ProviderError, "first")
		})
		j := r.submit("one")
		l, _ := r.follow(j.ID, 0)
		emit([]byte("late"))
		synctest.Wait()
		if strings.Contains(l.String(), "late") {
			t.Error(l)
		}
		_, _ = r.q.Cancel(t.Context(), acme, j.ID)
		synctest.Wait()
		if !strings.HasSuffix(l.String(), "cancelled") {
			t.Error(l)
		}
	})
}

// A handler that goes on after its job was cancelled and requeued is not heard in the
// stream of the attempt that follows, whether it was heard before or not.
func TestEmitAfterRequeue(t *testing.T) {
	for _, early := range []string{"", "early"} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.does(oneByOne(func(ctx context.Context, k *jobs.Task) ([]byte, error) {
				if early != "" {
					k.Emit([]byte(early))
				}
				for range 30 {
					time.Sleep(100 * time.Millisecond) // slow to stop
					if ctx.Err() != nil {
						k.Emit([]byte("stale"))
					}
				}
				return nil, ctx.Err()
			}, speaks("a", "b", "c")))
			j := r.submit("one")
			time.Sleep(50 * time.Millisecond)
			if _, err := r.q.Cancel(t.Context(), acme, j.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := r.q.Requeue(t.Context(), acme, j.ID); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			l, wg := r.follow(j.ID, 0)
			wg.Wait()
			if got := l.String(); got != "processing a b c completed" {
				t.Errorf("early %q: %s", early, got)
			}
		})
	}
}

// ended is a context that has ended.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// A handler that is told to stop because the queue does may bring its result, and what
// it emits until then belongs to it.
func TestEmitDuringADrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(func(ctx context.Context, k *jobs.Task) ([]byte, error) {
			k.Emit([]byte("a"))
			<-ctx.Done()
			k.Emit([]byte("b"))
			return nil, nil
		})
		j := r.submit("one")
		synctest.Wait()
		l, wg := r.follow(j.ID, 0)
		if err := r.q.Drain(ended(t)); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if got := l.String(); got != "processing a b completed" {
			t.Error(got)
		}
	})
}

// Whoever tells of a state may be overtaken by whoever tells of the next one.
func TestEventsToldLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(oneByOne(fails(llm.ForebayUnavailable), speaks("a", "b", "c")))
		j := r.submit("one")
		l, wg := r.follow(j.ID, 0)
		time.Sleep(3500 * time.Millisecond) // the second attempt is running
		queued := r.is(j.ID, backlog.Processing)
		queued.State, queued.Attempt = backlog.Queued, 1
		jobs.Publish(r.q, &queued)
		cancelled := queued // before it was requeued, for example
		cancelled.State = backlog.Cancelled
		cancelled.Attempt = 0
		jobs.Publish(r.q, &cancelled)
		wg.Wait()
		if got := l.String(); !strings.HasSuffix(got, " processing a b c completed") {
			t.Error(got)
		}
	})
}

// The same where nobody but the stream itself was there when the attempt began.
func TestEventsToldLateToTheStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(oneByOne(fails(llm.ForebayUnavailable), speaks("a", "b", "c", "d", "e", "f")))
		j := r.submit("one")
		for r.job(j.ID).Attempt < 2 {
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(1500 * time.Millisecond)
		queued := r.is(j.ID, backlog.Processing)
		queued.State, queued.Attempt = backlog.Queued, 1
		jobs.Publish(r.q, &queued)
		l, wg := r.follow(j.ID, 0)
		wg.Wait()
		if got := l.String(); got != "processing a b c d e f completed" {
			t.Error(got)
		}
	})
}

// A claim that the store has lost with its failure does not keep the end from readers.
func TestEventsOfALostClaim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t)
		j := r.submit("one")
		l, wg := r.follow(j.ID, 0)
		claimed, cancelled := j, j
		claimed.State, claimed.Attempt = backlog.Processing, 1
		jobs.Publish(r.q, &claimed)
		cancelled.State = backlog.Cancelled
		jobs.Publish(r.q, &cancelled)
		wg.Wait()
		if got := l.String(); got != "queued processing cancelled" {
			t.Error(got)
		}
	})
}

// Wait and Events see what other processes of a shared store do.
func TestEventsOfOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := storetest.NewBacklog()
		store.Share(true)
		a, _ := lined(t, store, nil)
		a.does(takes(10 * time.Second))
		j := a.submit("one")
		synctest.Wait()
		b := a.again() // does not run
		l, wg := b.follow(j.ID, 0)
		b.ends(j.ID, backlog.Completed)
		wg.Wait()
		if got := l.String(); got != "processing completed" {
			t.Error(got)
		}
	})
}

func TestWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(takes(10 * time.Second))
		j := r.submit("one")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		got, err := r.q.Wait(ctx, acme, j.ID)
		if err != nil || got.State != backlog.Processing || time.Since(began) != 3*time.Second {
			t.Errorf("%s after %v, %v", got.State, time.Since(began), err)
		}
		got, err = r.q.Wait(t.Context(), acme, j.ID)
		if err != nil || got.State != backlog.Completed || time.Since(began) != 10*time.Second {
			t.Errorf("%s after %v, %v", got.State, time.Since(began), err)
		}
	})
}
