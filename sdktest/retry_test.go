package sdktest

import (
	"net/http"
	"testing"
	"time"

	"github.com/openai/openai-go/v3/option"
)

// TestRateLimitPasses: a short 429 of the provider is the gateway's to wait for.
// The SDK sees one answer to one attempt.
func TestRateLimitPasses(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	var count tries
	client := r.client(t, count.option())
	r.faults(t, "status=429,retry_after=150ms,to=100ms")
	begin := time.Now()
	var res *http.Response
	got, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello"), option.WithResponseInto(&res))
	if err != nil || choice(got).FinishReason != "stop" {
		t.Fatalf("%v, %v", got, err)
	}
	count.want(t, "0")
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("answered after %v: Retry-After was not waited for", took)
	}
	log := r.calls(t)
	if log.Total != 2 || log.Calls[0].Status != http.StatusTooManyRequests || log.Calls[1].Status != http.StatusOK {
		t.Errorf("the provider's log: %+v", log)
	}
	if n := res.Header.Get("X-Forebay-Attempts"); n != "2" {
		t.Errorf("x-forebay-attempts %q, want 2", n)
	}
}

// TestRateLimitStays: what the gateway cannot wait out reaches the caller in the
// SDK's own terms, and the SDK repeats nothing that was repeated already.
func TestRateLimitStays(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: "retry: {max: 1, base: 1ms}"})
	var count tries
	client := r.client(t, count.option())
	for _, c := range []struct {
		name, fault, should, after, afterMS string
		attempts                            []string
		calls                               int
	}{
		// The gateway has made two attempts: the SDK's would multiply them.
		{"with a time", "status=429,retry_after=120ms", "false", "1", "120", []string{"0"}, 2},
		{"without a time", "status=429", "false", "", "", []string{"0"}, 2},
		// Longer than the gateway may wait within the deadline, and than SDKs wait.
		{"with a long time", "status=429,retry_after=90s", "false", "90", "90000", []string{"0"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.faults(t, c.fault)
			r.forget(t)
			_, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello"))
			e := apiError(t, err)
			if e.StatusCode != http.StatusTooManyRequests || e.Code != "rate_limit_exceeded" || e.Type != "rate_limit_error" || e.Message == "" {
				t.Errorf("status %d: %s", e.StatusCode, e.RawJSON())
			}
			says(t, "the body", e.RawJSON(), `"error_type":"provider_rate_limited"`, `"support_id":"`+e.Response.Header.Get("X-Request-Id")+`"`)
			h := e.Response.Header
			if h.Get("X-Should-Retry") != c.should || h.Get("Retry-After") != c.after || h.Get("Retry-After-Ms") != c.afterMS {
				t.Errorf("x-should-retry %q, retry-after %q, retry-after-ms %q; want %q, %q, %q", h.Get("X-Should-Retry"),
					h.Get("Retry-After"), h.Get("Retry-After-Ms"), c.should, c.after, c.afterMS)
			}
			count.want(t, c.attempts...)
			if log := r.calls(t); log.Total != c.calls {
				t.Errorf("the provider got %d calls, want %d", log.Total, c.calls)
			}
		})
	}
}

// TestSDKRetrySucceeds: the SDK comes back when it was told to, and gets its answer.
// Streams are refused in the same way as long as they have not begun.
func TestSDKRetrySucceeds(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: "retry: {max: 0}\nbreaker: {consecutive: 1, open_for: 100ms}\ncache: {enabled: false}"})
	var count tries
	client, once := r.client(t, count.option()), r.client(t, option.WithMaxRetries(0))
	open := func() {
		r.faults(t, "status=500")
		if _, err := once.Chat.Completions.New(t.Context(), question("m1", "Hello")); err == nil {
			t.Fatal("an answer of a provider that fails")
		}
		r.faults(t)
	}
	open() // refusals of the gateway's own are as good as new later on
	if got, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello")); err != nil || choice(got).FinishReason != "stop" {
		t.Errorf("%v, %v", got, err)
	}
	open()
	if got := listen(client.Chat.Completions.NewStreaming(t.Context(), question("m1", "Hello again"))); got.err != nil || got.finish != "stop" {
		t.Errorf("%v, finish %q", got.err, got.finish)
	}
	count.want(t, "0", "1", "0", "1")
}

// TestRetryBudget: an outage under load is not multiplied. The budget of a tenth
// lets ten retries go ahead and one more for every ten calls.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: "retry: {base: 1ms}\nbreaker: {enabled: false}"})
	client := r.client(t, option.WithMaxRetries(0))
	r.faults(t, "status=500")
	const calls = 60
	for range calls {
		_, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello"))
		if e := apiError(t, err); e.StatusCode != http.StatusBadGateway {
			t.Fatalf("status %d: %s", e.StatusCode, e.RawJSON())
		}
	}
	if got := r.calls(t).Total; got < calls+10 || got > calls+10+calls/10 {
		t.Errorf("%d calls became %d at the provider, want %d to %d", calls, got, calls+10, calls+10+calls/10)
	}
}
