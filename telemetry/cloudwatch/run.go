package cloudwatch

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

const (
	// takenFor is how long after its time CloudWatch takes a datum: two weeks, less what a
	// request may take.
	takenFor = 14*24*time.Hour - time.Hour
	// readEvery is how often gauges are read between two sendings.
	readEvery = 15 * time.Second
	// Pauses before another try: random up to firstPause, which doubles up to longestPause.
	firstPause   = time.Second
	longestPause = time.Minute
	logEvery     = time.Minute
)

// fullJitter is a pause of random length.
func fullJitter(most time.Duration) time.Duration { return rand.N(most + 1) }

// Run sends at each interval until ctx ends, and then once more what is left, for
// Config.Timeout at most. It returns when that is done: the error says what could not be
// sent, which is counted too. It may be called once at a time.
func (s *Sink) Run(ctx context.Context) error {
	read := time.NewTicker(min(readEvery, s.cfg.Interval))
	defer read.Stop()
	next := time.NewTimer(s.cfg.Interval)
	defer next.Stop()
	fault := fault{log: s.cfg.Logger}
	for {
		select {
		case <-read.C:
			s.read()
		case <-next.C:
			err := s.push(ctx)
			if ctx.Err() != nil {
				continue
			}
			next.Reset(fault.told(err, time.Now(), s.cfg))
		case <-ctx.Done():
			return s.last(ctx)
		}
	}
}

// last sends what is left, and drops what cannot be sent.
func (s *Sink) last(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
	defer cancel()
	err := s.Flush(ctx)
	s.mu.Lock()
	n := s.spool.empty()
	s.mu.Unlock()
	if n == 0 {
		return err
	}
	s.cfg.OnDrop(int64(n))
	return fmt.Errorf("cloudwatch: %d data were not sent: %w", n, err)
}

// Flush reads gauges, and sends all that was measured until now. On Lambda it is called
// after each invocation, where no goroutine may run between two. What CloudWatch does not
// take stays for the next Flush: the error, of kind ForebayUnavailable, is worth a line in
// a log and nothing more. It returns soon after ctx has ended.
func (s *Sink) Flush(ctx context.Context) error {
	s.read()
	s.mu.Lock()
	s.sharesLocked() // Run leaves them until their minute is over
	s.end()
	return s.push(ctx)
}

// push sends what was measured until now.
func (s *Sink) push(ctx context.Context) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.mu.Lock()
	s.closeLocked()
	s.end()
	for {
		batch := s.take()
		if len(batch) == 0 {
			return nil
		}
		o := s.send(ctx, batch)
		s.mu.Lock()
		s.spool.done(o.done)
		s.spool.dropped += o.refused
		s.end()
		if o.err != nil {
			return &llm.Error{Kind: llm.ForebayUnavailable, Message: "CloudWatch did not take the metrics", Err: o.err}
		}
	}
}

// take gives the oldest data that wait.
func (s *Sink) take() []datum {
	s.mu.Lock()
	defer s.end()
	return s.spool.take(mostData, time.Now().Add(-takenFor))
}

// fault logs that sending fails, rarely, and that it works again, and says when to try
// next.
type fault struct {
	log           *slog.Logger
	tries         int
	since, logged time.Time
}

// told takes the end of one sending and gives the pause before the next.
func (f *fault) told(err error, now time.Time, cfg Config) time.Duration {
	if err == nil {
		if f.tries > 0 {
			f.log.Info("CloudWatch takes metrics again", "after", now.Sub(f.since).Round(time.Second))
		}
		*f = fault{log: f.log}
		return cfg.Interval
	}
	if f.tries == 0 {
		f.since = now
	}
	if f.logged.IsZero() || now.Sub(f.logged) >= logEvery {
		f.log.Warn("CloudWatch does not take metrics", "error", err, "since", f.since)
		f.logged = now
	}
	pause := min(longestPause, firstPause<<min(f.tries, 10))
	f.tries++
	return max(cfg.Jitter(pause), time.Millisecond)
}
