package sdktest

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// raw is the body of an SDK's error.
func raw(err error) string {
	var e *openai.Error
	if errors.As(err, &e) {
		return e.RawJSON()
	}
	return "not an *openai.Error"
}

// refusal is an error as the SDK's users read it.
type refusal struct {
	status           int
	code, kind, para string
	says             []string // parts of the message: what happened, the limit, the fix
}

// check compares err with w. All refusals are final for the SDK.
func (w refusal) check(t *testing.T, err error) {
	t.Helper()
	e := apiError(t, err)
	if e.StatusCode != w.status || e.Code != w.code || e.Type != w.kind || e.Param != w.para {
		t.Errorf("status %d, code %q, type %q, param %q; want %+v", e.StatusCode, e.Code, e.Type, e.Param, w)
	}
	says(t, "the message", e.Message, w.says...)
	id := e.Response.Header.Get("X-Request-Id")
	if id == "" || !strings.Contains(e.RawJSON(), `"support_id":"`+id+`"`) {
		t.Errorf("the request id is %q, and the body %s", id, e.RawJSON())
	}
	if e.Response.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("x-should-retry is %q", e.Response.Header.Get("X-Should-Retry"))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{
		config: "gateway: {max_body: 2KiB}\noperations: {summary: {model: chat}}",
		models: `  chat: {targets: [{provider: sim, model: simulated-chat}]}`,
		scopes: "[call]", bands: "[low, normal]",
	})
	header, set := option.WithHeader, option.WithJSONSet
	const invalid, missing, denied = "invalid_request_error", "not_found_error", "permission_error"
	for _, c := range []struct {
		name    string
		options []option.RequestOption
		want    refusal
	}{
		{
			"a wrong key",
			[]option.RequestOption{option.WithAPIKey("sk-wrong-key")},
			refusal{401, "caller_unauthenticated", "authentication_error", "", []string{"key"}},
		},
		{
			"no key",
			[]option.RequestOption{option.WithHeaderDel("Authorization")},
			refusal{401, "caller_unauthenticated", "authentication_error", "", []string{"key"}},
		},
		{
			"an unknown model",
			[]option.RequestOption{set("model", "chta")},
			refusal{404, "caller_unknown_model", missing, "model", []string{"chta", "chat"}},
		},
		{
			"an unknown operation",
			[]option.RequestOption{header("X-Forebay-Operation", "sumary")},
			refusal{404, "caller_unknown_operation", missing, "operation", []string{"sumary", "summary"}},
		},
		{
			"an unknown header",
			[]option.RequestOption{header("X-Forebay-Prioritty", "high")},
			refusal{400, "caller_invalid_request", invalid, "x-forebay-prioritty", []string{"x-forebay-priority"}},
		},
		{
			"an unknown priority",
			[]option.RequestOption{header("X-Forebay-Priority", "urgent")},
			refusal{400, "caller_invalid_request", invalid, "x-forebay-priority", []string{"urgent", "low, normal, high, critical"}},
		},
		{
			"a priority that is not granted",
			[]option.RequestOption{header("X-Forebay-Priority", "critical")},
			refusal{403, "caller_forbidden", denied, "x-forebay-priority", []string{"critical", "keys.sdk.bands = low, normal", "Ask for"}},
		},
		{
			"a time out of bounds",
			[]option.RequestOption{header("X-Forebay-Timeout", "25h")},
			refusal{400, "caller_invalid_request", invalid, "x-forebay-timeout", []string{"25h", "1ms to 24h", "Send milliseconds"}},
		},
		{
			"a body that is too large",
			[]option.RequestOption{set("x_large", strings.Repeat("x", 2<<10))},
			refusal{413, "caller_too_large", invalid, "", []string{"gateway.max_body = 2", "Send"}},
		},
		{
			"a member twice",
			[]option.RequestOption{option.WithRequestBody("application/json", []byte(`{"model":"chat","model":"x","messages":[]}`))},
			refusal{400, "caller_invalid_request", invalid, "model", []string{`duplicate member "model"`, "at byte 16 (line 1, column 17)", "once"}},
		},
		{
			"half a body",
			[]option.RequestOption{option.WithRequestBody("application/json", []byte(`{"model":"chat","mess`))},
			refusal{400, "caller_invalid_request", invalid, "", []string{"ends too early", "at byte 21"}},
		},
		{
			"no messages",
			[]option.RequestOption{option.WithJSONDel("messages")},
			refusal{400, "caller_invalid_request", invalid, "messages", []string{"messages"}},
		},
		{
			"a model that is no text",
			[]option.RequestOption{set("model", 7)},
			refusal{400, "caller_invalid_request", invalid, "model", []string{"model"}},
		},
		{
			"not in the cache",
			[]option.RequestOption{header("Cache-Control", "only-if-cached")},
			refusal{504, "caller_not_cached", "timeout_error", "Cache-Control", []string{"cache"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var count tries
			client := r.client(t, count.option())
			_, err := client.Chat.Completions.New(t.Context(), question("chat", "Hello"), c.options...)
			c.want.check(t, err)
			count.want(t, "0")
		})
	}
	t.Run("a scope that is not granted", func(t *testing.T) {
		client := r.client(t)
		_, err := client.Chat.Completions.Get(t.Context(), "chatcmpl-1")
		refusal{403, "caller_forbidden", denied, "", []string{"stored", "keys.sdk.scopes"}}.check(t, err)
	})
	t.Run("a base URL without v1", func(t *testing.T) {
		client := r.client(t, option.WithBaseURL(r.gateway.url))
		_, err := client.Chat.Completions.New(t.Context(), question("chat", "Hello"))
		refusal{404, "caller_not_found", missing, "", []string{"/v1/chat/completions", "base URL"}}.check(t, err)
	})
	if log := r.calls(t); log.Total != 0 {
		t.Errorf("the provider got %d calls of requests that were refused", log.Total)
	}
}

// TestProviderRefusals: what the provider thinks of a request reaches the caller
// with the provider's own status, and its credentials' troubles do not look like
// the caller's.
func TestProviderRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{config: quick})
	var count tries
	client := r.client(t, count.option())
	for _, c := range []struct {
		fault  string
		status int
		kind   string
	}{
		{"status=400", http.StatusBadRequest, "provider_rejected"},
		{"status=404", http.StatusNotFound, "provider_rejected"},
		{"status=422", http.StatusUnprocessableEntity, "provider_rejected"},
		{"status=401", http.StatusBadGateway, "provider_auth_failed"},
		{"status=500", http.StatusBadGateway, "provider_error"},
		{"status=503", http.StatusServiceUnavailable, "provider_overloaded"},
		{"refuse", http.StatusBadGateway, "provider_connection_failed"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			r.faults(t, c.fault) // and another question: a refusal of the same one is repeated for a minute
			_, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello, "+c.fault))
			e := apiError(t, err)
			if e.StatusCode != c.status || e.Message == "" || !strings.Contains(e.RawJSON(), `"error_type":"`+c.kind+`"`) {
				t.Errorf("status %d, want %d and %s: %s", e.StatusCode, c.status, c.kind, e.RawJSON())
			}
			count.want(t, "0")
		})
	}
}

// TestRequestIDIsKept: the id that a caller brings is the one that everybody uses.
func TestRequestIDIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	client := r.client(t)
	var res *http.Response
	if _, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello"),
		option.WithHeader("X-Request-Id", "order-4711"), option.WithResponseInto(&res)); err != nil {
		t.Fatal(err)
	}
	log := r.calls(t)
	if got := res.Header.Get("X-Request-Id"); got != "order-4711" || log.Calls[0].RequestID != "order-4711" {
		t.Errorf("the caller got the id %q, the provider %q", got, log.Calls[0].RequestID)
	}
	for _, name := range []string{
		"Cache-Status", "Server-Timing", "Traceparent", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests",
		"X-Forebay-Provider", "X-Forebay-Model", "X-Forebay-Attempts", "X-Forebay-Fallback", "X-Forebay-Degradation",
		"X-Forebay-Queue-Ms", "X-Forebay-Cost-Usd",
	} {
		if res.Header.Get(name) == "" {
			t.Errorf("the answer has no header %s", name)
		}
	}
}
