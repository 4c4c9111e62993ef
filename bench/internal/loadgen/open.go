package loadgen

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// ticket is a request that was written and whose answer is to be read.
type ticket struct {
	conn           *conn
	intended, sent time.Time
	err            error
}

// open sends requests at fixed times, each on a connection that is free then. One
// goroutine keeps the time and writes; readers wait for the answers.
func (r *run) open(ctx context.Context) {
	free := make(chan *conn, len(r.conns))
	sent := make(chan ticket, len(r.conns)) // never full: there is a connection a ticket
	var readers sync.WaitGroup
	for _, c := range r.conns {
		free <- c
		readers.Go(func() {
			for t := range sent {
				r.finish(ctx, t.conn, t.intended, t.sent, t.err)
				free <- t.conn
			}
		})
	}
	r.pace(ctx, free, sent)
	close(sent)
	readers.Wait()
}

// pace writes each request at its time, or as soon after it as a connection is free.
func (r *run) pace(ctx context.Context, free <-chan *conn, sent chan<- ticket) {
	// A thread of its own that sleeps in the kernel: the runtime's timers are up to a
	// millisecond late, several times what is measured here.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sharpenTimers()
	interval := float64(time.Second) / r.spec.Rate
	giveUp := time.NewTimer(time.Until(r.end) + drainTime)
	defer giveUp.Stop()
	for i := 0; ; i++ {
		intended := r.start.Add(time.Duration(float64(i) * interval))
		if !intended.Before(r.end) {
			return
		}
		if !nap(ctx, intended) {
			return
		}
		var c *conn
		select {
		case c = <-free:
		case <-giveUp.C:
			r.unsent = int(float64(r.end.Sub(intended))/interval) + 1
			return
		case <-ctx.Done():
			return
		}
		now := time.Now()
		sent <- ticket{conn: c, intended: intended, sent: now, err: r.send(c)}
	}
}

// sharpenTimers lets this thread's sleeps end on time, where the kernel would
// gather wake-ups within 50 us. A refusal only makes them less sharp.
func sharpenTimers() {
	const setTimerSlack, nanosecond = 29, 1 // PR_SET_TIMERSLACK of prctl(2)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, nanosecond, 0)
}

// nap sleeps until t, in pieces that let it notice the end of ctx.
func nap(ctx context.Context, t time.Time) bool {
	const piece = 100 * time.Millisecond
	for ctx.Err() == nil {
		d := time.Until(t)
		if d <= 0 {
			return true
		}
		ts := syscall.NsecToTimespec(int64(min(d, piece)))
		_ = syscall.Nanosleep(&ts, nil) // a signal may end it early: the loop goes on
	}
	return false
}
