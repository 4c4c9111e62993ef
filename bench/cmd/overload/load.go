package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// request is one call of a load, at its time.
type request struct {
	at       time.Duration // from the start
	service  time.Duration // that the upstream needs
	tenant   int
	band     string
	deadline time.Duration
	class    string // what it counts as
	warm     bool   // sent, and not counted
}

// outcome is what became of a call, as its caller saw it.
type outcome struct {
	request
	status int           // 0 where there was no answer
	took   time.Duration // from its intended time
	waited bool          // it stood in the line before it was refused
}

func (o outcome) inTime() bool { return o.status == http.StatusOK && o.took <= o.deadline }

// fire sends an open-loop load: each request at its time, whatever became of those
// before. It returns when all have their answer.
func fire(ctx context.Context, url string, load []request) []outcome {
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 8192, MaxIdleConnsPerHost: 8192, DisableCompression: true}}
	defer client.CloseIdleConnections()
	out := make([]outcome, len(load))
	var wg sync.WaitGroup
	start := time.Now()
	for i, r := range load {
		if d := time.Until(start.Add(r.at)); d > 0 {
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() { out[i] = send(ctx, client, url, r, start.Add(r.at), i) })
	}
	wg.Wait()
	return out
}

// send makes one call. Its time counts from when it was to be sent.
func send(ctx context.Context, client *http.Client, url string, r request, intended time.Time, number int) outcome {
	o := outcome{request: r}
	ctx, cancel := context.WithTimeout(ctx, r.deadline+30*time.Second)
	defer cancel()
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"request %d at %d"}]}`, modelOf(r.service), number, intended.UnixNano())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+subject.ChatPath, strings.NewReader(body))
	if err != nil {
		return o
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+keyOf(r.tenant))
	req.Header.Set("X-Forebay-Priority", r.band)
	req.Header.Set("X-Forebay-Timeout", fmt.Sprint(r.deadline.Milliseconds()))
	res, err := client.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		o.waited = res.Header.Get("X-Forebay-Queue-Position") != ""
		if err == nil {
			o.status = res.StatusCode
		}
	}
	o.took = time.Since(intended)
	return o
}

// sum is what became of the calls of a class.
type sum struct {
	Sent, InTime, Late, Refused, Other int
	// RefusedP99 is of all that were refused, DoorP99 of those refused without having
	// waited: what a caller waits for a no.
	RefusedP99, DoorP99 time.Duration
	// WaitMax is the longest time to any answer.
	WaitMax            time.Duration
	InTime50, InTime99 time.Duration
}

// share is the part of the calls sent that were answered in time.
func (s sum) share() float64 { return float64(s.InTime) / float64(max(s.Sent, 1)) }

// tally sums up the calls of a class; all where it is empty.
func tally(all []outcome, class string) sum {
	var s sum
	var refused, door, good []time.Duration
	for _, o := range all {
		if o.warm || class != "" && o.class != class {
			continue
		}
		s.Sent++
		s.WaitMax = max(s.WaitMax, o.took)
		switch {
		case o.inTime():
			s.InTime++
			good = append(good, o.took)
		case o.status == http.StatusOK:
			s.Late++
		case o.status == http.StatusServiceUnavailable || o.status == http.StatusTooManyRequests || o.status == http.StatusGatewayTimeout:
			s.Refused++
			refused = append(refused, o.took)
			if !o.waited {
				door = append(door, o.took)
			}
		default:
			s.Other++
		}
	}
	s.RefusedP99, s.DoorP99 = quantile(refused, 0.99), quantile(door, 0.99)
	s.InTime50, s.InTime99 = quantile(good, 0.5), quantile(good, 0.99)
	return s
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(float64(len(d))*q), len(d)-1)]
}
