package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// request is one call of a load, at its time.
type request struct {
	at       time.Duration // from the start
	service  time.Duration // that the upstream needs
	deadline time.Duration
	stream   bool
	leaves   time.Duration // after it was to be sent, its caller goes away; 0 for never
}

// outcome is what became of a call, as its caller saw it.
type outcome struct {
	request
	start  time.Time     // when it was to be sent
	status int           // 0 where there was no whole answer
	took   time.Duration // from start
}

func (o outcome) left() bool   { return o.leaves > 0 }
func (o outcome) inTime() bool { return o.status == http.StatusOK && o.took <= o.deadline }

// end is from when nobody waits for the call any more.
func (o outcome) end() time.Time { return o.start.Add(o.took) }

// fire sends an open-loop load: each request at its time, whatever became of those
// before. It returns when all have their answer.
func fire(ctx context.Context, addr string, load []request, begin time.Time) []outcome {
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 8192, MaxIdleConnsPerHost: 8192, DisableCompression: true}}
	defer client.CloseIdleConnections()
	out := make([]outcome, len(load))
	var wg sync.WaitGroup
	for i, r := range load {
		if !waitUntil(ctx, begin.Add(r.at)) {
			break
		}
		wg.Go(func() { out[i] = send(ctx, client, addr, r, begin.Add(r.at), i) })
	}
	wg.Wait()
	return out
}

// waitUntil reports whether ctx still stands then.
func waitUntil(ctx context.Context, t time.Time) bool {
	if d := time.Until(t); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// send makes one call. Its time counts from when it was to be sent.
func send(ctx context.Context, client *http.Client, addr string, r request, start time.Time, number int) outcome {
	o := outcome{request: r, start: start}
	most := r.deadline + 30*time.Second
	if r.leaves > 0 {
		most = r.leaves
	}
	ctx, cancel := context.WithDeadline(ctx, start.Add(most))
	defer cancel()
	o.status = ask(ctx, client, addr, r, fmt.Sprintf("request %d at %d", number, start.UnixNano()))
	o.took = time.Since(start)
	return o
}

// ask gives the status of a complete answer, and 0 for any other.
func ask(ctx context.Context, client *http.Client, addr string, r request, prompt string) int {
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":%q}]}`, modelOf(r.service), r.stream, prompt)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+subject.ChatPath, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+subject.Key)
	req.Header.Set("X-Forebay-Timeout", fmt.Sprint(r.deadline.Milliseconds()))
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusOK && r.stream && !bytes.HasSuffix(text, []byte("data: [DONE]\n\n")) {
		err = errors.New("the stream has no end")
	}
	if err != nil {
		return 0
	}
	return res.StatusCode
}

// sum is what became of the calls whose callers stayed.
type sum struct {
	Sent, InTime, Late, Refused, Failed int
	P50, P95                            time.Duration
}

// share is the part of the calls sent that were answered in time.
func (s sum) share() float64 { return float64(s.InTime) / float64(max(s.Sent, 1)) }

// tally sums up the calls that came from one time of the load to another.
func tally(all []outcome, from, to time.Duration) sum {
	var s sum
	var good []time.Duration
	for _, o := range all {
		if o.left() || o.at < from || o.at >= to {
			continue
		}
		s.Sent++
		switch {
		case o.inTime():
			s.InTime++
			good = append(good, o.took)
		case o.status == http.StatusOK:
			s.Late++
		case o.status == http.StatusServiceUnavailable || o.status == http.StatusTooManyRequests:
			s.Refused++
		default:
			s.Failed++
		}
	}
	s.P50, s.P95 = quantile(good, 0.5), quantile(good, 0.95)
	return s
}

// use is what the upstreams did for a load.
type use struct {
	calls   int
	refused int // 429
	nobody  int // done although the caller had left by more than grace
	gone    int // of the callers who left
	started int // calls that began when the caller had left
	lateBy  time.Duration
}

// grace is how long after a caller has left the upstream may go on: the time that is
// wanted for the news to get there.
const grace = 100 * time.Millisecond

// useOf compares the upstreams' records with what callers saw. lateBy is the 99th
// percentile of how long the upstreams went on for callers who had left.
func useOf(all []outcome, ups ...*upstream) use {
	var u use
	for _, o := range all {
		if o.left() {
			u.gone++
		}
	}
	var late []time.Duration
	for _, up := range ups {
		for _, s := range up.calls() {
			u.calls++
			if s.ending == tooMany {
				u.refused++
			}
			if s.number >= len(all) || s.ending == tooMany || s.ending == failed {
				continue
			}
			over := s.end.Sub(all[s.number].end())
			if !all[s.number].left() || over < 0 {
				continue
			}
			late = append(late, over)
			if s.ending == done && over > grace {
				u.nobody++
			}
			if s.start.After(all[s.number].end()) {
				u.started++
			}
		}
	}
	u.lateBy = quantile(late, 0.99)
	return u
}
