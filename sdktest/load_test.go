package sdktest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/openai/openai-go/v3/option"
)

// TestQueue: a burst beyond the limit waits, by priority, and all of it is answered.
func TestQueue(t *testing.T) {
	t.Parallel()
	// The provider would refuse a third call at once: that none is refused shows
	// that the gateway keeps the limit.
	r := newRig(t, setup{config: "limits: {max_concurrent: 2}\nretry: {max: 0}", provider: []string{"--capacity", "2", "--fault", "delay=250ms"}})
	client := r.client(t, option.WithMaxRetries(0))
	bands := []string{"low", "normal", "high", "critical"}
	const each = 5
	waits := map[string][]int{}
	var mu sync.Mutex // guards waits
	var wg sync.WaitGroup
	for i := range each * len(bands) {
		wg.Go(func() {
			band := bands[i%len(bands)]
			var res *http.Response
			got, err := client.Chat.Completions.New(t.Context(), question("m1", fmt.Sprintf("Question %d", i)),
				option.WithHeader("X-Forebay-Priority", band), option.WithResponseInto(&res))
			if err != nil || choice(got).FinishReason != "stop" {
				t.Errorf("call %d (%s): %v: %s", i, band, err, raw(err))
				return
			}
			waited, err := strconv.Atoi(res.Header.Get("X-Forebay-Queue-Ms"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			waits[band] = append(waits[band], waited)
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	waited, mean := 0, map[string]float64{}
	for band, all := range waits {
		for _, ms := range all {
			mean[band] += float64(ms) / each
			if ms > 0 {
				waited++
			}
		}
	}
	t.Logf("mean waits in ms: %v", mean)
	if waited < 16 { // of 20, two start at once; two more for a slow start of the burst
		t.Errorf("%d of 20 calls waited: %v", waited, waits)
	}
	if mean["critical"] >= mean["low"] {
		t.Errorf("critical calls waited longer than low ones: %v", mean)
	}
	if log := r.calls(t); log.Total != 20 || log.Outcomes["answered"] != 20 || log.MostInFlight > 2 {
		t.Errorf("the provider's log: total %d, outcomes %v, at most %d at once", log.Total, log.Outcomes, log.MostInFlight)
	}
}

// TestQueueRefuses: who cannot be served before his deadline is told at once.
func TestQueueRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: "limits: {max_concurrent: 1}\nqueue: {max: 1}", provider: []string{"--fault", "delay=3s"}})
	client := r.client(t, option.WithMaxRetries(0))
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 2 { // one runs, one waits
		wg.Go(func() {
			if _, err := client.Chat.Completions.New(t.Context(), question("m1", fmt.Sprintf("Question %d", i))); err != nil {
				t.Errorf("call %d: %v: %s", i, err, raw(err))
			}
		})
	}
	eventually(t, 5*time.Second, "one call runs", func() bool { return r.calls(t).InFlight == 1 })
	eventually(t, 2*time.Second, "the other one waits", func() bool { return r.metric(t, `forebay_queue_depth{priority="normal"}`) == 1 })
	begin := time.Now()
	_, err := client.Chat.Completions.New(t.Context(), question("m1", "Question 3"))
	took := time.Since(begin)
	e := apiError(t, err)
	if e.StatusCode != http.StatusServiceUnavailable || e.Code != "policy_overloaded" || took > 2*time.Second { // a call takes 3 s
		t.Errorf("after %v: status %d: %s", took, e.StatusCode, e.RawJSON())
	}
	says(t, "the message", e.Message, "queue.max = 1")
	if e.Response.Header.Get("Retry-After") == "" || e.Response.Header.Get("X-Should-Retry") != "true" {
		t.Errorf("retry-after %q, x-should-retry %q", e.Response.Header.Get("Retry-After"), e.Response.Header.Get("X-Should-Retry"))
	}
}

// TestBreaker: a provider that is down costs a connection attempt a few times, then
// nothing until its time is up, and is used again when it is back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: "retry: {max: 0}\nbreaker: {consecutive: 3, open_for: 700ms}"})
	client := r.client(t, option.WithMaxRetries(0))
	r.faults(t, "refuse")
	for i := range 3 {
		_, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello"))
		if e := apiError(t, err); e.StatusCode != http.StatusBadGateway || e.Code != "provider_connection_failed" {
			t.Fatalf("call %d: status %d: %s", i, e.StatusCode, e.RawJSON())
		}
	}
	r.forget(t)
	fastest := time.Minute
	for range 5 {
		begin := time.Now()
		_, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello"))
		fastest = min(fastest, time.Since(begin))
		e := apiError(t, err)
		h := e.Response.Header
		if e.StatusCode != http.StatusServiceUnavailable || e.Code != "policy_breaker_open" || e.Type != "server_error" {
			t.Fatalf("status %d: %s", e.StatusCode, e.RawJSON())
		}
		if h.Get("Retry-After") == "" || h.Get("X-Should-Retry") != "true" || h.Get("X-Forebay-Attempts") != "0" {
			t.Errorf("retry-after %q, x-should-retry %q, attempts %q", h.Get("Retry-After"), h.Get("X-Should-Retry"), h.Get("X-Forebay-Attempts"))
		}
		says(t, "the message", e.Message, "breaker", "sim", "later")
	}
	if fastest > 20*time.Millisecond {
		t.Errorf("the fastest refusal took %v", fastest)
	}
	if log := r.calls(t); log.Total != 0 {
		t.Errorf("the provider got %d calls while its breaker was open", log.Total)
	}
	r.faults(t)
	patient := r.client(t) // with the SDK's own retries, which Retry-After paces
	if got, err := patient.Chat.Completions.New(t.Context(), question("m1", "Hello")); err != nil || choice(got).FinishReason != "stop" {
		t.Errorf("once mended: %v: %s", err, raw(err))
	}
}

// TestProviderGone is the same with a provider whose process has ended, and with
// another one to turn to.
func TestProviderGone(t *testing.T) {
	t.Parallel()
	gone := newRig(t, setup{config: "retry: {max: 0}\nbreaker: {consecutive: 3}"})
	gone.provider.stop(t)
	client := gone.client(t, option.WithMaxRetries(0))
	codes := map[string]int{}
	for range 6 {
		_, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello"))
		codes[apiError(t, err).Code]++
	}
	if codes["provider_connection_failed"] != 3 || codes["policy_breaker_open"] != 3 {
		t.Errorf("six calls ended with %v", codes)
	}

	r := newRig(t, setup{
		config: "retry: {max: 0}\n",
		target: "}\n  gone: {type: openai, base_url: \"" + gone.provider.url + "/v1\"",
		models: `  "*": {targets: [{provider: gone, family: f}, {provider: sim, family: f}]}`,
	})
	other := r.client(t, option.WithMaxRetries(0))
	for i := range 8 {
		var res *http.Response
		if _, err := other.Chat.Completions.New(t.Context(), question("m1", fmt.Sprintf("Question %d", i)), option.WithResponseInto(&res)); err != nil {
			t.Fatalf("call %d: %v: %s", i, err, raw(err))
		}
		want := "2"
		if i >= 5 { // the first target's breaker is open
			want = "1"
		}
		if n, p := res.Header.Get("X-Forebay-Attempts"), res.Header.Get("X-Forebay-Provider"); n != want || p != "sim" {
			t.Errorf("call %d: %s attempts, answered by %q; want %s and sim", i, n, p, want)
		}
	}
}

// TestNothingIsLeftBehind runs by itself: it counts goroutines and memory.
func TestNothingIsLeftBehind(t *testing.T) {
	r := newRig(t, setup{provider: []string{"--fault", "trickle=1ms"}})
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	client := r.client(t, option.WithHTTPClient(&http.Client{Transport: transport}), option.WithMaxRetries(0))
	load := func(round, calls int) (cancelled int) {
		var mu sync.Mutex // guards cancelled
		var wg sync.WaitGroup
		slots := make(chan struct{}, 32)
		for i := range calls {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := client.Chat.Completions.NewStreaming(ctx, question("m1", fmt.Sprintf("Round %d, question %d", round, i)))
				defer s.Close()
				for n := 0; s.Next(); n++ {
					if i%5 == 0 && n == 5 {
						cancel()
						mu.Lock()
						cancelled++
						mu.Unlock()
						return
					}
				}
				if s.Err() != nil {
					t.Errorf("call %d: %v", i, s.Err())
				}
			})
		}
		wg.Wait()
		transport.CloseIdleConnections()
		eventually(t, 5*time.Second, "the provider has no call in progress", func() bool { return r.calls(t).InFlight == 0 })
		return cancelled
	}
	goroutines := r.settled(t, 0)
	load(0, 500) // memory pools are filled, by as many calls as are counted
	memory := r.metric(t, "process_resident_memory_bytes")
	r.forget(t)
	if cancelled := load(1, 500); cancelled != 100 {
		t.Errorf("%d calls were cancelled, want 100", cancelled)
	}
	grown := r.metric(t, "process_resident_memory_bytes") - memory
	log := r.calls(t)
	if log.Total != 500 || log.Outcomes["answered"]+log.Outcomes["cancelled"] != 500 {
		t.Errorf("the provider's log: total %d, outcomes %v", log.Total, log.Outcomes)
	}
	r.provider.stop(t) // and with it the kept connections, which have two goroutines each
	after := r.settled(t, goroutines)
	t.Logf("goroutines %v before and %v after, resident memory %.1f MB and %+.1f MB", goroutines, after, memory/1e6, grown/1e6)
	if after > goroutines+4 {
		t.Errorf("%v goroutines, %v before the load", after, goroutines)
	}
	if grown > 30e6 {
		t.Errorf("the memory grew by %.1f MB", grown/1e6)
	}
}

// settled reads the number of goroutines once it is at most want, or once it stays
// the same for longer than those wait for work that pass streams on.
func (r *rig) settled(t *testing.T, want float64) float64 {
	t.Helper()
	last, same := -1.0, 0
	for range 200 {
		n := r.metric(t, "go_goroutines")
		if n <= want {
			return n
		}
		if n == last {
			same++
		} else {
			last, same = n, 0
		}
		if same == 40 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return last
}
