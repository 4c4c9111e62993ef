package queue_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// told wants a request's place.
func told(t *testing.T, w *llm.Waiting, want llm.Place, waits bool) {
	t.Helper()
	if got, ok := w.Now(); got != want || ok != waits {
		t.Errorf("told %+v, %t, want %+v, %t", got, ok, want, waits)
	}
}

// TestPlaceIsTold: while a request waits its holder learns where it stands, as the
// order would serve those who wait.
func TestPlaceIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		var first, second, job, none llm.Waiting
		if _, err := r.Enter(context.Background(), queue.Entry{Waiting: &none}); err != nil {
			t.Fatal(err)
		}
		if _, ok := none.Joined(); ok {
			t.Error("who got a slot at once did not wait")
		}
		ctx := context.Background()
		r.enter(ctx, "first", queue.Entry{Waiting: &first}, 2*time.Second)
		told(t, &first, llm.Place{}, true) // no call has ended: nobody knows how long
		time.Sleep(2 * time.Second)
		r.Leave(2 * time.Second)
		synctest.Wait()
		told(t, &first, llm.Place{}, false)
		r.enter(ctx, "job", queue.Entry{Waiting: &job, Durable: true}, 2*time.Second)
		r.enter(ctx, "second", queue.Entry{Waiting: &second}, 2*time.Second)
		told(t, &job, llm.Place{Wait: 2 * time.Second}, true)
		told(t, &second, llm.Place{Ahead: 1, Wait: 4 * time.Second}, true)
		r.enter(ctx, "other", queue.Entry{Tenant: "other"}, 0) // takes a turn before second
		told(t, &second, llm.Place{Ahead: 2, Wait: 6 * time.Second}, true)
		r.enter(ctx, "critical", queue.Entry{Priority: llm.Critical}, 0)
		told(t, &second, llm.Place{Ahead: 3, Wait: 8 * time.Second}, true)
		if n, ok := second.Joined(); n != 1 || !ok {
			t.Errorf("joined with %d ahead, %t", n, ok)
		}
		time.Sleep(3 * time.Second) // first has left, critical and job got their turns
		synctest.Wait()
		told(t, &job, llm.Place{}, false)
		told(t, &second, llm.Place{Ahead: 1, Wait: 4 * time.Second}, true)
		r.check()
		told(t, &second, llm.Place{}, false)
	})
}

// TestWaitingEnds: whatever ends the wait.
func TestWaitingEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{Max: 3}, 1)
		r.take()
		ctx, cancel := context.WithCancel(context.Background())
		var w [4]llm.Waiting
		r.enter(context.Background(), "", queue.Entry{Waiting: &w[0], Deadline: in(time.Second)}, 0)
		r.enter(ctx, "", queue.Entry{Waiting: &w[1]}, 0)
		r.enter(context.Background(), "", queue.Entry{Waiting: &w[2], Priority: llm.Low}, 0)
		r.enter(context.Background(), "", queue.Entry{Priority: llm.Critical}, 0) // displaces the low one
		r.refused(queue.Entry{Waiting: &w[3], Priority: llm.Low})
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		for i := range w {
			told(t, &w[i], llm.Place{}, false)
			if _, ok := w[i].Joined(); ok != (i < 3) {
				t.Errorf("request %d joined: %t", i, ok)
			}
		}
		r.Leave(0)
		r.check()
	})
}

// TestPlaceNewestFirst: in a band whose newest go first, places are the other way round.
func TestPlaceNewestFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, controlledConfig(), 1)
		r.take()
		var w [9]llm.Waiting
		for i := range w {
			r.enter(context.Background(), fmt.Sprint(i), queue.Entry{Waiting: &w[i]}, 0)
			time.Sleep(600 * time.Millisecond)
		}
		r.refused(queue.Entry{}) // 0 and 1 leave
		for i := range w {
			place := llm.Place{Ahead: 8 - i}
			if i < 2 {
				place = llm.Place{}
			}
			told(t, &w[i], place, i >= 2)
		}
		r.Leave(0)
		r.check()
	})
}

// BenchmarkAsk is one question of one of 500 who wait.
func BenchmarkAsk(b *testing.B) {
	l := queue.NewLine(queue.Config{}, newSlots(1))
	if _, err := l.Enter(b.Context(), queue.Entry{}); err != nil {
		b.Fatal(err)
	}
	const n = 500
	waiting := make([]llm.Waiting, n)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	for i := range waiting {
		go func() {
			_, err := l.Enter(ctx, queue.Entry{
				Priority: llm.Priorities[i%4], Tenant: fmt.Sprint(i % 20), Waiting: &waiting[i],
			})
			done <- err
		}()
	}
	for l.Stats().Waiting < n {
		time.Sleep(time.Millisecond)
	}
	i := 0
	for b.Loop() {
		if _, ok := waiting[i%n].Now(); !ok {
			b.Fatal("it does not wait")
		}
		i++
	}
	cancel()
	for range n {
		<-done
	}
}
