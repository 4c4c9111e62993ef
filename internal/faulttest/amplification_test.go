//go:build linux

package faulttest_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestAmplification: whatever share of the calls fails, the upstream gets at most 1.1
// calls for each of the clients', with one gateway and with two in a row, with
// breakers and without. Retries are there, though: where few calls fail, nearly none of
// the clients' does.
func TestAmplification(t *testing.T) {
	for _, gateways := range []int{1, 2} {
		for _, guarded := range []bool{true, false} {
			for _, percent := range []int{1, 10, 50, 100} {
				name := fmt.Sprintf("%d gateways, breaker %t, %d %% fail", gateways, guarded, percent)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					amplify(t, gateways, guarded, percent)
				})
			}
		}
	}
}

func amplify(t *testing.T, gateways int, guarded bool, percent int) {
	n := size(1000, 4000)
	a := newUpstream(t, "alpha")
	var mu sync.Mutex // guards luck
	luck := rand.New(rand.NewPCG(*flags.seed, uint64(percent)))
	a.on("amp", func(x *exchange) {
		mu.Lock()
		fails := luck.IntN(100) < percent
		mu.Unlock()
		if fails {
			// 500 is repeated, and it says nothing of when.
			status(500, errorBody("boom", "server_error", ""))(x)
			return
		}
		speak("alpha")(x)
	})
	extra := fmt.Sprintf("retry: {base: 1ms, cap: 10ms}\ncache: {enabled: false}\nbreaker: {enabled: %t}\n", guarded)
	front := start(t, setup{models: map[string][]target{"amp": {{url: a.url, keys: patientBounds}}}, extra: extra})
	all := []*gateway{front}
	for range gateways - 1 {
		front = start(t, setup{models: map[string][]target{"amp": {{url: front.url, keys: patientBounds, gate: "amp"}}}, extra: extra})
		all = append(all, front)
	}
	var answered, odd atomic.Int64
	each(n, 24, func(i int) {
		got := front.ask(question{model: "amp", id: fmt.Sprintf("n%d", i), stream: i%2 == 0})
		switch {
		case got.complete(textOf("alpha"), i%2 == 0) == "":
			answered.Add(1)
		case got.status != 502 && got.status != 503:
			if odd.Add(1) <= 3 {
				t.Errorf("an odd answer: %s", got)
			}
		case got.header.Get("X-Should-Retry") == "":
			t.Errorf("no advice against retries: %v", got.header)
		}
	})
	calls := len(a.seen("amp"))
	ratio := float64(calls) / float64(n)
	t.Logf("%d of %d answered, %d calls upstream: %.3f a request", answered.Load(), n, calls, ratio)
	if ratio > 1.1 {
		t.Errorf("%.4f calls upstream a request, want at most 1.1", ratio)
	}
	if percent == 1 && answered.Load() < int64(n)*995/1000 {
		t.Errorf("%d of %d answered although one in a hundred calls fails: nothing is repeated", answered.Load(), n)
	}
	if !guarded && calls < n {
		t.Errorf("%d calls upstream for %d requests, without a breaker", calls, n)
	}
	for _, g := range all[1:] {
		g.mustBeQuiet(t)
	}
	if gateways == 1 { // two keep their connections to one another
		front.mustBeCalm(t, a)
		return
	}
	all[0].mustBeQuiet(t, a)
}
