package main

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFirstCome(t *testing.T) {
	at := func(ms int) request {
		return request{at: time.Duration(ms) * time.Millisecond, service: time.Second, deadline: 2500 * time.Millisecond}
	}
	var load []request
	for range 3 * slots { // three rounds of a second each: the third ends after 3 s
		load = append(load, at(0))
	}
	if got := firstCome(load); got != 2*slots {
		t.Errorf("%d in time, want %d", got, 2*slots)
	}
	if got := firstCome(append(load, at(4000))); got != 2*slots+1 {
		t.Errorf("%d in time behind a pause", got)
	}
}

func TestPoissonKeepsItsRates(t *testing.T) {
	load := poisson(rand.New(rand.NewPCG(1, 2)), 100*time.Second, source{rate: 50, band: "low", class: "a"}, source{rate: 5, band: "critical", class: "b"})
	n := map[string]int{}
	for i, r := range load {
		n[r.class]++
		if i > 0 && r.at < load[i-1].at {
			t.Fatal("not in the order of time")
		}
		if r.warm != (r.at < warmup) {
			t.Fatal("warm-up is counted wrongly")
		}
	}
	if n["a"] < 4700 || n["a"] > 5300 || n["b"] < 430 || n["b"] > 570 {
		t.Errorf("%v", n)
	}
}

func TestTally(t *testing.T) {
	r := request{deadline: time.Second, class: "x"}
	all := []outcome{
		{request: r, status: 200, took: 900 * time.Millisecond},
		{request: r, status: 200, took: 1100 * time.Millisecond},
		{request: r, status: 503, took: time.Millisecond},
		{request: r, status: 503, took: 500 * time.Millisecond, waited: true},
		{request: r, status: 0},
		{request: request{deadline: time.Second, class: "x", warm: true}, status: 200},
		{request: request{deadline: time.Second, class: "y"}, status: 200},
	}
	s := tally(all, "x")
	if s.Sent != 5 || s.InTime != 1 || s.Late != 1 || s.Refused != 2 || s.Other != 1 || s.DoorP99 != time.Millisecond || s.RefusedP99 != 500*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

func TestGoodput(t *testing.T) {
	at := func(at, took, deadline time.Duration, status int) outcome {
		return outcome{request: request{at: at, deadline: deadline}, took: took, status: status}
	}
	all := []outcome{
		at(9*time.Second, 2*time.Second, 3*time.Second, 200),  // began before, came within
		at(15*time.Second, time.Second, 2*time.Second, 200),   // within
		at(15*time.Second, 3*time.Second, 2*time.Second, 200), // late
		at(15*time.Second, time.Second, 2*time.Second, 503),   // refused
		at(19*time.Second, 2*time.Second, 3*time.Second, 200), // came behind the end
		at(1*time.Second, 2*time.Second, 3*time.Second, 200),  // came before the beginning
	}
	if got := goodput(all, 10*time.Second, 10*time.Second); got != 0.2 {
		t.Errorf("%g a second", got)
	}
}

// The stretch is the densest, and its busiest window asks for what it is said to.
func TestBursts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []arrival
	at := time.Unix(0, 0)
	for i := range 3 * burstCalls {
		gap := time.Second
		if i >= burstCalls && i < 2*burstCalls {
			gap = 100 * time.Millisecond
		}
		at = at.Add(time.Duration(rng.ExpFloat64() * float64(gap)))
		all = append(all, arrival{at, rng.IntN(400)})
	}
	load := bursts(all, 1, true)
	if len(load) != burstCalls {
		t.Fatal(len(load))
	}
	most := 0.0
	for i := range load {
		var work time.Duration
		for j := i; j < len(load) && load[j].at-load[i].at < burstWindow; j++ {
			work += load[j].service
		}
		most = max(most, float64(work)/float64(burstWindow)/slots)
	}
	// The window is taken at the recorded speed and the load is faster: sampled in
	// windows of the same length it is a little flatter.
	if most < 1.2*burstOver/1.5 || most > burstOver*1.1 {
		t.Errorf("the busiest window asks for %.2f times the slots", most)
	}
	if !slices.ContainsFunc(load, func(r request) bool { return r.band == "critical" }) {
		t.Error("nothing is critical")
	}
}

// The upstream has its slots and no more.
func TestUpstream(t *testing.T) {
	u, err := startUpstream(1)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	ask := func(ms int) int {
		res, err := http.Post("http://"+u.addr, "application/json", strings.NewReader(`{"model":"`+modelOf(time.Duration(ms)*time.Millisecond)+`"}`))
		if err != nil {
			t.Error(err)
			return 0
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	first := make(chan int)
	go func() { first <- ask(300) }()
	for u.busy.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := ask(1); got != http.StatusTooManyRequests {
		t.Errorf("a second call got %d", got)
	}
	if got := <-first; got != http.StatusOK {
		t.Errorf("the first call got %d", got)
	}
}
