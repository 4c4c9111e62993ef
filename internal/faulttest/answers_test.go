//go:build linux

package faulttest_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// classified are the rest of row 26: what answers mean.
func classified() []fault {
	refuse := func(name string, code int, body, kind string) fault {
		return fault{name: name, play: status(code, body), final: code, kinds: []string{kind}, bound: aMoment}
	}
	next := func(name string, code int, body string, most int) fault {
		return fault{name: name, play: status(code, body), most: most, bound: aMoment}
	}
	filtered := completion("", "content_filter")
	return []fault{
		refuse("azure-filter", 400, `{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, "provider_filtered"),
		refuse("policy-violation", 400, errorBody("Your request was rejected by our safety system", "invalid_request_error", "content_policy_violation"), "provider_filtered"),
		{name: "filter-at-the-end", play: func(x *exchange) {
			if !x.Stream {
				x.answer(200, "application/json", strings.Replace(filtered, `"content":""`, `"content":"alpha0 "`, 1))
				return
			}
			x.begin("alpha", 1)
			x.chunk(event("{}", "content_filter") + doneEvent)
			x.done()
		}, fine: "alpha0 ", bound: aMoment},
		refuse("invalid", 400, errorBody("no such parameter", "invalid_request_error", ""), "provider_rejected"),
		refuse("no-such-model", 404, errorBody("no such model", "invalid_request_error", "model_not_found"), "provider_rejected"),
		refuse("teapot", 418, errorBody("short and stout", "", ""), "provider_rejected"),
		refuse("unprocessable", 422, `{"detail":[{"loc":["body","n"],"msg":"too many","type":"value_error"}]}`, "provider_rejected"),
		refuse("context", 400, errorBody("This model's maximum context length is 8192 tokens", "invalid_request_error", "context_length_exceeded"), "provider_context_exceeded"),
		next("unauthorized", 401, errorBody("Incorrect API key provided", "invalid_request_error", "invalid_api_key"), 1),
		next("forbidden", 403, errorBody("no access", "", ""), 1),
		next("no-credit", 402, errorBody("pay", "", ""), 1),
		next("quota", 429, errorBody("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), 1),
		next("timeout-408", 408, "", 4),
		next("bad-gateway", 502, "<html>Bad gateway</html>", 4),
		next("gateway-timeout", 504, "", 4),
		next("overloaded-529", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, 4),
		next("error-as-text", 200, `{"error":"the model runner has stopped"}`, 4),
		next("error-of-vllm", 200, `{"object":"error","message":"engine dead","type":"InternalServerError","code":500}`, 4),
		next("empty-body", 200, "", 4),
		next("null", 200, "null", 4),
		next("list", 200, "[]", 4),
		next("empty-object", 200, "{}", 4),
		{name: "told-not-to-retry", play: status(500, errorBody("boom", "server_error", ""), "X-Should-Retry: false"), most: 1, bound: aMoment},
	}
}

// TestClassified: what answers mean for the call, with B beside A.
func TestClassified(t *testing.T) {
	f := newField(t)
	for _, fl := range classified() {
		f.add(fl)
	}
	t.Log(f.run(t))
}

// TestRedirects is row 27: a redirect is not followed, and our key does not go there.
func TestRedirects(t *testing.T) {
	f := newField(t)
	attacker := newUpstream(t, "attacker")
	for _, code := range []int{300, 301, 302, 303, 305, 307, 308} {
		f.add(fault{name: fmt.Sprintf("redirect-%d", code), play: func(x *exchange) {
			x.answer(code, "text/html", "", "Location: "+attacker.url+"/"+x.Route)
		}, most: 1, bound: aMoment})
	}
	t.Log(f.run(t))
	if n := attacker.connected(); n != 0 {
		t.Errorf("%d connections to where a redirect led", n)
	}
}

// pauses are the forms of Retry-After: a header, and how long the pause has to be.
// Longer ones than a call has time for end it.
func pauses() map[string]struct {
	lines []string
	body  string
	pause time.Duration
} {
	now := time.Now()
	date := func(d time.Duration) []string {
		return []string{"Date: " + now.UTC().Format(http.TimeFormat), "Retry-After: " + now.Add(d).UTC().Format(http.TimeFormat)}
	}
	type row = struct {
		lines []string
		body  string
		pause time.Duration
	}
	busy := errorBody("slow down", "rate_limit_error", "")
	ago := now.Add(-time.Hour).UTC().Format(http.TimeFormat)
	return map[string]row{
		"none":        {nil, busy, 0},
		"seconds":     {[]string{"Retry-After: 1"}, busy, time.Second},
		"fraction":    {[]string{"Retry-After: 0.4"}, busy, 400 * time.Millisecond},
		"millis":      {[]string{"Retry-After-Ms: 700", "Retry-After: 1"}, busy, 700 * time.Millisecond},
		"azure":       {[]string{"X-Ms-Retry-After-Ms: 600"}, busy, 600 * time.Millisecond},
		"date":        {date(2 * time.Second), busy, 2 * time.Second},
		"reset":       {[]string{"X-Ratelimit-Remaining-Requests: 0", "X-Ratelimit-Reset-Requests: 800ms"}, busy, 800 * time.Millisecond},
		"body":        {nil, errorBody("Rate limit reached. Please try again in 900ms.", "rate_limit_error", ""), 900 * time.Millisecond},
		"zero":        {[]string{"Retry-After: 0"}, busy, 0},
		"negative":    {[]string{"Retry-After: -1"}, busy, 0},
		"past":        {[]string{"Retry-After: " + ago}, busy, 0},
		"garbage":     {[]string{"Retry-After: soon"}, busy, 0},
		"a-day":       {[]string{"Retry-After: 86400"}, busy, time.Hour},
		"billion":     {[]string{"Retry-After: 1000000000"}, busy, time.Hour},
		"overflowing": {[]string{"Retry-After: 99999999999999999999999999"}, busy, time.Hour},
	}
}

// TestRetryAfter: with one target, a pause that the provider asks for is kept to in
// all its forms, absurd ones are bounded, and one that is longer than the call may
// take ends it at once, with the pause told to the caller.
func TestRetryAfter(t *testing.T) {
	a := newUpstream(t, "alpha")
	models := map[string][]target{}
	for name, p := range pauses() {
		for _, code := range []int{429, 503} {
			if code == 503 && (name == "reset" || name == "body") {
				continue // these are about rates
			}
			route := fmt.Sprintf("%s-%d", name, code)
			models[route] = []target{{url: a.url, keys: bounds}}
			a.on(route, func(x *exchange) {
				if x.Nth == 1 {
					x.answer(code, "application/json", p.body, p.lines...)
					return
				}
				speak("alpha")(x)
			})
		}
	}
	// Each call has a tenant of its own, because a tenant may repeat ten at once only.
	g := start(t, setup{models: models, extra: operations, crowd: len(models)})
	var wg sync.WaitGroup
	found := map[string]string{}
	var mu sync.Mutex // guards found
	for i, route := range slices.Sorted(maps.Keys(models)) {
		name, _, _ := strings.Cut(route, "-429")
		name, _, _ = strings.Cut(name, "-503")
		wg.Go(func() {
			got := g.ask(question{model: route, id: route, stream: strings.HasSuffix(route, "3"), key: fmt.Sprint(secret, i)})
			wrong := judgePause(got, a.seen(route), pauses()[name].pause)
			mu.Lock()
			defer mu.Unlock()
			found[route] = wrong
		})
	}
	wg.Wait()
	for route, wrong := range found {
		t.Run(route, func(t *testing.T) {
			if wrong != "" {
				t.Error(wrong)
			}
		})
	}
	g.mustBeCalm(t, a)
}

func judgePause(got *answer, calls []call, pause time.Duration) string {
	if pause > deadline {
		seconds, _ := strconv.ParseFloat(got.header.Get("Retry-After"), 64)
		switch {
		case got.status != 429 && got.status != 503 || got.took() > 2*time.Second || len(calls) != 1:
			return fmt.Sprintf("want an error at once, and one call, not %d: %s", len(calls), got)
		case seconds < 1 || seconds > time.Hour.Seconds():
			return fmt.Sprintf("it asks to wait for %q s, want at most an hour: %s", got.header.Get("Retry-After"), got)
		case got.header.Get("X-Should-Retry") != "false":
			return "it does not keep SDKs from coming back at once: " + fmt.Sprint(got.header)
		}
		return ""
	}
	if wrong := got.complete(textOf("alpha"), strings.Contains(got.body, "data:")); wrong != "" {
		return wrong
	}
	if len(calls) != 2 {
		return fmt.Sprintf("%d calls, want two", len(calls))
	}
	paused := calls[1].At.Sub(calls[0].FirstByte)
	// The first retry is drawn from 0 to 100 ms where nothing else is asked for; the rest
	// is for a busy machine.
	if paused < pause || paused > pause+2*time.Second {
		return fmt.Sprintf("the second call came %s after the first answer, want %s", paused, pause)
	}
	return ""
}

// TestCooling: while a provider asks for a pause all calls prefer another one, not only
// the call that was told, and come back when the pause is over.
func TestCooling(t *testing.T) {
	a, b := newUpstream(t, "alpha"), newUpstream(t, "beta")
	var mu sync.Mutex // guards told
	told := time.Time{}
	a.on("cool", func(x *exchange) {
		mu.Lock()
		first := told.IsZero()
		if first {
			told = time.Now()
		}
		mu.Unlock()
		if first {
			status(429, errorBody("slow down", "rate_limit_error", ""), "Retry-After: 1")(x)
			return
		}
		speak("alpha")(x)
	})
	b.on("cool", speak("beta"))
	g := start(t, setup{models: map[string][]target{"cool": {{url: a.url, keys: bounds}, {url: b.url, keys: bounds}}}, extra: operations})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i > 0 {
				time.Sleep(100*time.Millisecond + time.Duration(i)*40*time.Millisecond)
			}
			if got := g.ask(question{model: "cool", id: fmt.Sprint("n", i), stream: i%2 == 0}); got.status != 200 {
				t.Errorf("call %d: %s", i, got)
			}
		})
	}
	wg.Wait()
	for i, c := range a.seen("cool") {
		if early := time.Second - c.At.Sub(told); i > 0 && early > 0 {
			t.Errorf("%s came %s too early", c.ID, early)
		}
	}
	time.Sleep(time.Until(told.Add(1100 * time.Millisecond)))
	if got := g.ask(question{model: "cool", id: "after"}); got.complete(textOf("alpha"), false) != "" {
		t.Errorf("after the pause: %s", got)
	}
	g.mustBeCalm(t, a, b)
}

// TestRateIsNoFailure: 429 never opens a breaker, and 500 does.
func TestRateIsNoFailure(t *testing.T) {
	a := newUpstream(t, "alpha")
	a.on("rated", status(429, errorBody("slow down", "rate_limit_error", "")))
	a.on("rejecting", status(400, errorBody("no", "invalid_request_error", "")))
	a.on("failing", status(500, errorBody("boom", "server_error", "")))
	models := map[string][]target{"rated": {{url: a.url, keys: bounds}}, "rejecting": {{url: a.url, keys: bounds}}, "failing": {{url: a.url, keys: bounds}}}
	g := start(t, setup{models: models, extra: "retry: {max: 0}\ncache: {enabled: false}\n"})
	for i := range 40 {
		for name := range models {
			g.ask(question{model: name, id: fmt.Sprint("n", i), stream: i%2 == 0})
		}
	}
	m := g.metrics(t)
	for name, opens := range map[string]bool{"rated": false, "rejecting": false, "failing": true} {
		changes := m.sum("forebay_breaker_transitions_total", `target="`+name+`-0/up"`)
		if (changes > 0) != opens {
			t.Errorf("%s: the breaker changed %v times", name, changes)
		}
	}
	if n := len(a.seen("failing")); n > 20 {
		t.Errorf("%d calls of a target that fails always", n)
	}
	g.mustBeCalm(t, a)
}

// TestEchoes is row 28: a provider that repeats our key, wherever, does not get it to
// the caller or into the log. The oracle looks through all answers and the log.
func TestEchoes(t *testing.T) {
	a := newUpstream(t, "alpha")
	key := func(x *exchange) string { return strings.TrimPrefix(x.Header.Get("Authorization"), "Bearer ") }
	echoes := map[string]play{
		"header-of-200": func(x *exchange) {
			x.answer(200, "application/json", completion("hello", "stop"), "X-Echo: "+key(x), "Set-Cookie: k="+key(x))
		},
		"header-of-500": func(x *exchange) { x.answer(500, "application/json", errorBody("boom", "", ""), "X-Echo: "+key(x)) },
		"message-of-400": func(x *exchange) {
			x.answer(400, "application/json", errorBody("bad key "+key(x)+".", "invalid_request_error", key(x)))
		},
		"param-of-400": func(x *exchange) {
			x.answer(400, "application/json", `{"error":{"message":"no","param":"`+key(x)+`","type":"`+key(x)+`","code":"`+key(x)+`"}}`)
		},
		"message-of-401": func(x *exchange) {
			x.answer(401, "application/json", errorBody("Incorrect API key provided: "+key(x), "", "invalid_api_key"))
		},
		"message-of-500": func(x *exchange) {
			x.answer(500, "application/json", errorBody("Authorization: Bearer "+key(x), "server_error", ""))
		},
		"html-of-502":    func(x *exchange) { x.answer(502, "text/html", "<p>"+key(x)+"</p>") },
		"escaped-of-400": func(x *exchange) { x.answer(400, "application/json", `{"error":{"message":"`+escaped(key(x))+`"}}`) },
		"error-in-stream": func(x *exchange) {
			x.begin("alpha", 3)
			x.chunk("data: " + errorBody(key(x), "server_error", key(x)) + "\n\n")
			x.done()
		},
		"error-in-200": func(x *exchange) { x.answer(200, "application/json", errorBody(key(x), "server_error", key(x))) },
		"content-type": func(x *exchange) { x.answer(200, "text/"+key(x), "hello") },
		"encoding":     func(x *exchange) { x.answer(200, "application/json", "hello", "Content-Encoding: "+key(x)) },
		"location":     func(x *exchange) { x.answer(302, "text/html", "", "Location: http://127.0.0.1:1/"+key(x)) },
		"status-line":  func(x *exchange) { x.send("HTTP/1.1 " + key(x) + "\r\n\r\n"); x.cut() },
		"reason":       func(x *exchange) { x.send("HTTP/1.1 503 " + key(x) + "\r\nContent-Length: 0\r\n\r\n") },
		"not-http":     func(x *exchange) { x.send(key(x) + "\r\n\r\n"); x.cut() },
		"bad-header":   func(x *exchange) { x.send("HTTP/1.1 200 OK\r\n" + key(x) + "\r\n\r\n"); x.cut() },
		"bad-chunk":    func(x *exchange) { x.head(200, "Content-Type: application/json"); x.send(key(x) + "\r\n\r\n"); x.cut() },
		"bad-event":    func(x *exchange) { x.begin("alpha", 3); x.chunk("data: " + key(x) + "\n\n"); x.done() },
		"retry-after": func(x *exchange) {
			x.answer(429, "application/json", errorBody("slow", "", ""), "Retry-After: "+key(x))
		},
		"unsolicited": func(x *exchange) { speak("alpha")(x); x.send(key(x)); x.rest(20 * time.Millisecond); x.cut() },
	}
	models := map[string][]target{}
	for name, p := range echoes {
		models[name] = []target{{url: a.url, keys: bounds}}
		a.on(name, p)
	}
	g := start(t, setup{models: models, extra: "retry: {max: 0}\nlog: {level: debug, requests: true, format: json}\n", ownLog: true})
	for name := range echoes {
		for _, stream := range []bool{false, true} {
			got := g.ask(question{model: name, id: name, stream: stream})
			if strings.Contains(fmt.Sprint(got.header)+got.body, canary) {
				t.Errorf("%s: our key goes to the caller: %v %s", name, got.header, got)
			}
			if len(a.seen(name)) == 0 {
				t.Errorf("%s: was not asked", name)
			}
		}
	}
	g.mustBeCalm(t, a)
}

// escaped is s in JSON with every character escaped.
func escaped(s string) string {
	var b strings.Builder
	for _, c := range s {
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return b.String()
}
