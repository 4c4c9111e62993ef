//go:build linux

package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// check lets the crowd rest, lets the queue drain, and compares what was seen with
// what is there.
func (d *drill) check() ([]string, error) {
	if err := d.up(); err != nil {
		return nil, err
	}
	d.rest()
	if err := d.drain(); err != nil {
		return nil, err
	}
	found, err := d.examine()
	if err != nil || len(found) > 0 {
		return found, err
	}
	return d.resubmit()
}

// drainFor bounds the time until nothing is queued: jobs that were retried often pause
// for seconds.
const drainFor = 90 * time.Second

func (d *drill) drain() error {
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		f, err := d.caller.figures(context.Background(), d.process.url)
		if err != nil {
			return err
		}
		if f.Queued+f.Processing == 0 {
			return nil
		}
		if time.Since(begun) > drainFor {
			return fmt.Errorf("I1: %d jobs are queued and %d processing after %s of rest\n%s", f.Queued, f.Processing, drainFor, d.process.log)
		}
	}
}

// examine scans all jobs, reads the results that no check has read and some that one
// has, and checks everything.
func (d *drill) examine() ([]string, error) {
	ctx := context.Background()
	e := d.evidence()
	var err error
	if e.Stored, err = d.caller.list(ctx, d.process.url, nil); err != nil {
		return nil, err
	}
	var mu sync.Mutex // guards fresh and failed
	fresh := map[string]string{}
	var failed []error
	work := make(chan view)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for v := range work {
				a := d.caller.get(ctx, d.process.url+"/v1/jobs/"+v.ID+"/result")
				mu.Lock()
				fresh[v.ID] = a.body
				if a.outcome != ok {
					failed = append(failed, fmt.Errorf("the result of %s (%s): status %d: %s", v.CustomID, v.ID, a.status, a.body))
				}
				mu.Unlock()
			}
		})
	}
	for _, v := range e.Stored {
		if v.State == "completed" && (!d.checked[v.ID] || d.dice.chance(5)) {
			work <- v
		}
	}
	close(work)
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return []string{"I4: " + err.Error()}, nil
	}
	var changed []string
	for id, result := range fresh {
		if before, read := d.results[id]; read && before != result {
			changed = append(changed, fmt.Sprintf("I4: the result of %s was %.300s and is %.300s", id, before, result))
		}
		d.results[id], d.checked[id] = result, true
	}
	if e.Figures, err = d.caller.figures(ctx, d.process.url); err != nil {
		return nil, err
	}
	return append(changed, check(e)...), nil
}

// resubmit sends some submissions of which nobody knows what became of them again,
// twice, under their keys: those that are there come back as they are, the others are
// made now, once.
func (d *drill) resubmit() ([]string, error) {
	ctx := context.Background()
	var found []string
	asked := 0
	for _, c := range d.clients {
		for _, t := range slices.Clone(c.open) {
			if t.id != "" || !t.Keyed || asked == 50 {
				continue
			}
			asked++
			there, err := d.caller.list(ctx, d.process.url, url.Values{"custom_id": {t.Name}})
			if err != nil {
				return nil, err
			}
			c.submit(d.process.url, t)
			first := t.id
			c.submit(d.process.url, t)
			c.look(d.process.url, t, "poll", "")
			a := d.caller.do(ctx, t.request(d.process.url))
			again, err := a.job()
			switch {
			case err != nil || first == "":
				return nil, fmt.Errorf("resubmitting %s: %w", t.Name, err)
			case a.status != http.StatusOK || again.ID != first || len(there) > 0 && there[0].ID != first:
				found = append(found, fmt.Sprintf("I3: %s was %v, became %s and then %s with status %d", t.Name, there, first, again.ID, a.status))
			}
		}
	}
	return found, d.drain()
}
