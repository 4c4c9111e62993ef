package loadgen

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Fill sends each of the s.Prompts prompts once, over s.Conns connections and as fast
// as they are answered, so that what is behind s.Addr knows them all. It measures
// nothing, and looks at no times of s. The first request that fails ends it.
func Fill(ctx context.Context, s Spec) error {
	s.Rate, s.Unique, s.Warm, s.Duration = 0, false, time.Second, time.Second
	if err := s.validate(); err != nil {
		return err
	}
	r, err := newRun(ctx, &s)
	if err != nil {
		return err
	}
	defer r.close()
	var sent atomic.Int64
	var workers sync.WaitGroup
	for _, c := range r.conns {
		workers.Go(func() {
			for ctx.Err() == nil && sent.Add(1) <= s.Prompts && c.errors+c.notOK == 0 {
				// Requests before the measured part: counted, but not timed.
				r.finish(ctx, c, r.start, r.start, r.send(c))
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, c := range r.conns {
		if c.errors+c.notOK > 0 {
			return fmt.Errorf("loadgen: fill: %s", c.lastError)
		}
	}
	return nil
}
