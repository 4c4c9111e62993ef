package gateway_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// bad is a request that has to be refused, and how.
type bad struct {
	name    string
	raw     string
	status  int
	kind    llm.Kind
	message string // part of it: what happened, with the limit
	fix     string // part of it: what to do
}

const (
	invalid  = llm.CallerInvalidRequest
	auth     = "Authorization: Bearer " + webKey
	jsonBody = "Content-Type: application/json"
)

// framing is what net/http refuses before a handler sees it, and what it lets pass.
func framing() []bad {
	long := strings.Repeat("a", 1<<20)
	many := strings.Repeat("X-A: b\r\n", 10_000)
	return []bad{
		{"request line", "GARBAGE AND MORE OF IT\r\n\r\n", 400, invalid, "malformed", "well-formed HTTP"},
		{"version", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505, invalid, "protocol version", "HTTP/1.1"},
		{"broken HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n", 404, llm.CallerNotFound, "nothing is served at *", "GET / lists"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, invalid, "missing required Host", "well-formed"},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, invalid, "malformed", "well-formed"},
		{"bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, invalid, "malformed Host", "well-formed"},
		{"bad escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, invalid, "malformed", "well-formed"},
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, invalid, "malformed", "well-formed"},
		{"length no number", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ten\r\n\r\n", 400, invalid, "malformed", "well-formed"},
		{"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, invalid, "malformed", "well-formed"},
		{"transfer coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, invalid, "transfer coding", "content-length"},
		{"coding twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501, invalid, "transfer coding", "chunked"},
		{"space before colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400, invalid, "malformed", "well-formed"},
		{"header name", "GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400, invalid, "malformed", "well-formed"},
		{"NUL in header", "GET / HTTP/1.1\r\nHost: a\r\nX-A: a\x00b\r\n\r\n", 400, invalid, "malformed", "well-formed"},
		{"1 MB header", "GET / HTTP/1.1\r\nHost: a\r\nX-A: " + long + "\r\n\r\n", 431, llm.CallerTooLarge, "gateway.max_header = 32768 bytes", "shorter headers"},
		{"10,000 headers", "GET / HTTP/1.1\r\nHost: a\r\n" + many + "\r\n", 431, llm.CallerTooLarge, "gateway.max_header = 32768 bytes", "fewer"},
		{"long path", "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, llm.CallerTooLarge, "gateway.max_header", "shorter"},
		{"expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n{}", 417, invalid, "expectation", "100-continue"},
		{"chunk size", request("POST", chatPath, "", auth, jsonBody, "Transfer-Encoding: chunked") + "zz\r\n{}\r\n0\r\n\r\n", 400, invalid, "badly framed", "well-formed chunks"},
		{"chunk too short", request("POST", chatPath, "", auth, jsonBody, "Transfer-Encoding: chunked") + "1\r\n{}\r\n0\r\n\r\n", 400, invalid, "badly framed", "well-formed chunks"},
		{"length and chunks", request("POST", chatPath, "", auth, jsonBody, "Transfer-Encoding: chunked", "Content-Length: 4") + "2\r\n[]\r\n0\r\n\r\n", 400, invalid, "an array, not an object", "JSON object"},
	}
}

// routing is paths and methods that are not served.
func routing() []bad {
	get := func(path string) string { return request("GET", path, "", auth) }
	none, method := llm.CallerNotFound, llm.CallerMethodNotAllowed
	return []bad{
		{"double slash", post("//v1/chat/completions", chatBody), 404, none, "//v1/chat/completions", "GET / lists"},
		{"dots", get("/v1/../metrics"), 404, none, "/v1/../metrics", "GET / lists"},
		{"encoded dots", get("/v1/%2e%2e/metrics"), 404, none, "/v1/../metrics", "GET / lists"},
		{"case", post("/V1/Chat/Completions", chatBody), 404, none, "/V1/Chat", "Did you mean /v1/chat/completions"},
		{"base URL without /v1", post("/chat/completions", chatBody), 404, none, "/chat/completions", "base URL of the SDK end in /v1"},
		{"slash at the end", post("/v1/embeddings/", chatBody), 404, none, "/v1/embeddings/", "Did you mean /v1/embeddings"},
		{"NUL", get("/metrics%00"), 404, none, "/metrics?", "Did you mean /metrics"},
		{"semicolon", get("/metrics;a=b"), 404, none, "/metrics;a=b", "GET / lists"},
		{"typo", get("/helthz"), 404, none, "/helthz", "Did you mean /healthz"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404, none, "*", "GET / lists"},
		{"slash in operation", post("/v1/operations/a%2fb", `{}`), 404, none, "/v1/operations/a/b", "GET / lists"},
		{"wrong method", get("/v1/embeddings"), 405, method, "GET is not served", "Use POST"},
		{"no such method", request("BREW", chatPath, "", auth), 405, method, "BREW is not served", "Use POST or GET"},
		{"delete models", request("DELETE", "/v1/models", "", auth), 405, method, "DELETE is not served", "Use GET or HEAD"},
		{"preflight", request("OPTIONS", chatPath, ""), 405, method, "OPTIONS is not served", "Use POST"},
		{"get an operation", get(opPath), 405, method, "/v1/operations/{operation}", "Use POST"},
		{"unknown operation", post("/v1/operations/vc-analyses", `{"payload":1}`), 404, llm.CallerUnknownOperation, "did you mean vc-analysis?", "Use one of content-generation, vc-analysis"},
		{"unknown model", get("/v1/models/haiko"), 404, llm.CallerUnknownModel, "did you mean haiku?", "GET /v1/models"},
		{"stored id", request("GET", chatPath+"/..%5c", "", "Authorization: Bearer "+adminKey), 404, none, "id = 128 characters", "Ids have letters"},
	}
}

// callers is who may not.
func callers() []bad {
	none, forbidden := llm.CallerUnauthenticated, llm.CallerForbidden
	with := func(headers ...string) string {
		return request("POST", chatPath, chatBody, append(headers, jsonBody)...)
	}
	return []bad{
		{"no key", with(), 401, none, "no key", "Authorization: Bearer"},
		{"unknown key", with("Authorization: Bearer nobody-knows"), 401, none, "not known", "Authorization: Bearer"},
		{"prefix of a key", with("Authorization: Bearer web-key-secre"), 401, none, "not known", "Authorization: Bearer"},
		{"unknown x-api-key", with("X-Api-Key: nobody-knows"), 401, none, "not known", "x-api-key"},
		{"unknown api-key", with("Api-Key: nobody-knows"), 401, none, "not known", "x-api-key"},
		{"basic", with("Authorization: Basic d2ViOndlYg=="), 401, none, "no bearer token", "Authorization: Bearer"},
		{"bare token", with("Authorization: " + webKey), 401, none, "no bearer token", "Authorization: Bearer"},
		{"empty token", with("Authorization: Bearer "), 401, none, "empty", "Authorization: Bearer"},
		{"long token", with("Authorization: Bearer " + strings.Repeat("k", 600)), 401, none, "too long", "Authorization: Bearer"},
		{"two tokens", with(auth, auth), 401, none, "more than once", "Authorization: Bearer"},
		{"expired", with("Authorization: Bearer " + expiredKey), 401, none, "expired", "Authorization: Bearer"},
		{"no scope call", with("Authorization: Bearer " + metricsKey), 403, forbidden, "keys.metrics.scopes = [metrics]", "scope call"},
		{"no scope stored", request("GET", chatPath, "", auth), 403, forbidden, "does not grant the scope stored", "scope stored"},
		{"no scope metrics", request("GET", "/metrics", "", auth), 403, forbidden, "does not grant the scope metrics", "scope metrics"},
		{"no key for metrics", request("GET", "/metrics", ""), 401, none, "no key", "Authorization: Bearer"},
		{"no band", with(auth, "X-Forebay-Priority: critical"), 403, forbidden, "keys.web.bands = low, normal, high", "Ask for one of low, normal, high"},
		{"no band by default", with("Authorization: Bearer "+bareKey, "X-Forebay-Priority: high"), 403, forbidden, "keys.bare.bands = low, normal", "Ask for one of low, normal"},
		{"no band for an operation", post(opPath, `{"payload":1,"priority":"critical"}`), 403, forbidden, "keys.web.bands = low, normal, high", "Ask for one of"},
	}
}

// media is bodies that are not read.
func media() []bad {
	with := func(headers ...string) string { return request("POST", chatPath, chatBody, append(headers, auth)...) }
	unsupported := llm.CallerUnsupportedMedia
	return []bad{
		{"text", with("Content-Type: text/plain"), 415, unsupported, "text/plain", "Send application/json"},
		{"form", with("Content-Type: application/x-www-form-urlencoded"), 415, unsupported, "form-urlencoded", "Send application/json"},
		{"latin-1", with("Content-Type: application/json; charset=iso-8859-1"), 415, unsupported, "iso-8859-1", "UTF-8"},
		{"two types", with(jsonBody, "Content-Type: text/plain"), 415, unsupported, "content-type", "Send application/json"},
		{"gzip", with(jsonBody, "Content-Encoding: gzip"), 415, unsupported, "gzip", "uncompressed"},
		{"zstd", with(jsonBody, "Content-Encoding: zstd"), 415, unsupported, "zstd", "uncompressed"},
		{"no body", post(chatPath, ""), 400, invalid, "no body", "JSON object"},
		{"announced body too large", request("POST", chatPath, "", auth, jsonBody, "Content-Length: 10485761"), 413, llm.CallerTooLarge, "gateway.max_body = 10485760 bytes", "smaller body"},
		{"body too large", post(chatPath, strings.Repeat(" ", 10<<20+1)), 413, llm.CallerTooLarge, "gateway.max_body = 10485760 bytes", "smaller body"},
		{"chunked body too large", request("POST", chatPath, "", auth, jsonBody, "Transfer-Encoding: chunked") + "a00001\r\n" + strings.Repeat(" ", 10<<20+1) + "\r\n0\r\n\r\n", 413, llm.CallerTooLarge, "gateway.max_body", "smaller body"},
		{"operation's body too large", post(opPath, strings.Repeat(" ", 10<<20+1)), 413, llm.CallerTooLarge, "gateway.max_body", "smaller body"},
	}
}

// headers is request headers with values that say nothing.
func headers() []bad {
	with := func(header string) string { return post(chatPath, chatBody, header) }
	return []bad{
		{"priority", with("X-Forebay-Priority: urgent"), 400, invalid, "x-forebay-priority", "low, normal, high, critical"},
		{"empty priority", with("X-Forebay-Priority: "), 400, invalid, "x-forebay-priority", "low, normal, high, critical"},
		{"two priorities", post(chatPath, chatBody, "X-Forebay-Priority: low", "X-Forebay-Priority: high"), 400, invalid, "more than once", "Send it once"},
		{"deadline in words", with("X-Forebay-Timeout: soon"), 400, invalid, "x-forebay-timeout = 1ms to 24h", "25s"},
		{"negative deadline", with("X-Forebay-Timeout: -5s"), 400, invalid, "x-forebay-timeout = 1ms to 24h", "25s"},
		{"no deadline", with("X-Forebay-Timeout: 0"), 400, invalid, "x-forebay-timeout = 1ms to 24h", "25s"},
		{"late deadline", with("X-Forebay-Timeout: 25h"), 400, invalid, "x-forebay-timeout = 1ms to 24h", "25s"},
		{"huge deadline", with("X-Forebay-Timeout: 99999999999999999999"), 400, invalid, "1ms to 24h", "25s"},
		{"deadline that overflows", with("X-Forebay-Timeout: 1099511627775"), 400, invalid, "1ms to 24h", "25s"},
		{"cache", with("X-Forebay-Cache: maybe"), 400, invalid, "x-forebay-cache", "rw, ro, wo, off"},
		{"ttl 0", with("X-Forebay-Cache-Ttl: 0"), 400, invalid, "x-forebay-cache-ttl = 1s to 720h", "600"},
		{"ttl 31 days", with("X-Forebay-Cache-Ttl: 744h"), 400, invalid, "1s to 720h", "600"},
		{"max-age", with("Cache-Control: max-age=young"), 400, invalid, "max-age", "max-age=3600"},
		{"negative max-age", with("Cache-Control: no-store, max-age=-1"), 400, invalid, "max-age", "max-age=3600"},
		{"empty max-age", with("Cache-Control: max-age"), 400, invalid, "max-age", "max-age=3600"},
		{"long namespace", with("X-Forebay-Cache-Namespace: " + strings.Repeat("n", 257)), 400, invalid, "x-forebay-cache-namespace = 256 bytes", "1 to 256 bytes"},
		{"user not UTF-8", with("X-Forebay-User: \xff\xfe"), 400, invalid, "not valid UTF-8", "printable UTF-8"},
		{"user with a control character", with("X-Forebay-User: a\u0085b"), 400, invalid, "do not print", "printable UTF-8"},
		{"empty persona", with("X-Forebay-Persona: "), 400, invalid, "is empty", "1 to 256 bytes"},
		{"long operation", with("X-Forebay-Operation: " + strings.Repeat("o", 300)), 400, invalid, "x-forebay-operation = 256 bytes", "1 to 256 bytes"},
		{"fallback", with("X-Forebay-Fallback: perhaps"), 400, invalid, "x-forebay-fallback", "allow, deny"},
		{"misspelt", with("X-Forebay-Priorty: high"), 400, invalid, "did you mean x-forebay-priority?", "Use x-forebay-cache,"},
		{"misspelt, for an operation", post(opPath, `{"payload":1}`, "X-Forebay-Tiemout: 5s"), 400, invalid, "did you mean x-forebay-timeout?", "Use x-forebay-cache,"},
	}
}

// bodies is bodies of calls that cannot be understood.
func bodies() []bad {
	chat := func(body string) string { return post(chatPath, body) }
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	return []bad{
		{"truncated", chat(`{"model":"haiku","messages":[{"role":`), 400, invalid, "ends too early at byte 37", "whole body"},
		{"duplicate member", chat(`{"model":"a","messages":[],"model":"b"}`), 400, invalid, `duplicate member "model"`, "once"},
		{"duplicate in a message", chat(`{"model":"a","messages":[{"role":"user","role":"system","content":""}]}`), 400, invalid, `duplicate member "role"`, "once"},
		{"duplicate by escape", chat(`{"model":"a","mo\u0064el":"b","messages":[]}`), 400, invalid, "duplicate", "once"},
		{"model a number", chat(`{"model":1,"messages":[{}]}`), 400, invalid, "model", ""},
		{"stream a word", chat(`{"model":"a","stream":"yes","messages":[{}]}`), 400, invalid, "stream", ""},
		{"no model", chat(`{"messages":[{"role":"user","content":"x"}]}`), 400, invalid, "model", "Name the model"},
		{"no messages", chat(`{"model":"haiku"}`), 400, invalid, "messages", ""},
		{"long model", chat(`{"model":"` + strings.Repeat("m", 300) + `","messages":[{"role":"user","content":"x"}]}`), 404, llm.CallerUnknownModel, "model = 256 bytes", "GET /v1/models"},
		{"depth 1,000", chat(`{"model":"a","messages":` + deep + `}`), 400, invalid, "json_depth = 64", "flatter"},
		{"NUL bytes", chat("{\"model\":\"a\x00b\",\"messages\":[]}"), 400, invalid, "at byte", ""},
		{"only NUL bytes", chat("\x00\x00\x00\x00"), 400, invalid, "at byte 0", ""},
		{"byte order mark", chat("\xef\xbb\xbf" + chatBody), 400, invalid, "byte order mark", "without a byte order mark"},
		{"UTF-16", chat("\xff\xfe{\x00}\x00"), 400, invalid, "at byte 0", ""},
		{"invalid UTF-8", chat("{\"model\":\"a\xff\",\"messages\":[]}"), 400, invalid, "UTF-8", ""},
		{"lone surrogate", chat(`{"model":"\ud800","messages":[]}`), 400, invalid, "surrogate", ""},
		{"array", chat(`[]`), 400, invalid, "an array, not an object", "JSON object"},
		{"null", chat(`null`), 400, invalid, "null, not an object", "JSON object"},
		{"white space", chat("   \n"), 400, invalid, "empty", "JSON object"},
		{"more behind it", chat(chatBody + "{}"), 400, invalid, "something follows", ""},
		{"NaN", chat(`{"model":"a","messages":[],"temperature":NaN}`), 400, invalid, "at byte", ""},
		{"comment", chat(`{"model":"a"/*b*/}`), 400, invalid, "at byte", ""},
		{"single quotes", chat(`{'model':'a'}`), 400, invalid, "at byte 1", ""},
		{"embeddings without input", post("/v1/embeddings", `{"model":"haiku"}`), 400, invalid, "input", ""},
		{"embeddings truncated", post("/v1/embeddings", `{"model":"haiku","input":["a`), 400, invalid, "ends too early", "whole body"},
	}
}

// operationBodies is bodies of operations that cannot be understood.
func operationBodies() []bad {
	op := func(body string) string { return post(opPath, body) }
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	return []bad{
		{"truncated", op(`{"payload":{"a":`), 400, invalid, "ends too early", "whole body"},
		{"no payload", op(`{}`), 400, invalid, "payload is missing", `Send {"payload": ...}`},
		{"unknown member", op(`{"payload":1,"userID":"u"}`), 400, invalid, "did you mean userId?", "Send members of payload,"},
		{"duplicate member", op(`{"payload":1,"payload":2}`), 400, invalid, `duplicate member "payload"`, "once"},
		{"array", op(`[1]`), 400, invalid, "not a JSON object", "payload"},
		{"depth 1,000", op(`{"payload":` + deep + `}`), 400, invalid, "json_depth = 64", "flatter"},
		{"timeout a word", op(`{"payload":1,"timeoutMs":"soon"}`), 400, invalid, "timeoutMs = 1 to 86400000", "25000"},
		{"timeout 0", op(`{"payload":1,"timeoutMs":0}`), 400, invalid, "timeoutMs = 1 to 86400000", "25000"},
		{"timeout with a fraction", op(`{"payload":1,"timeoutMs":1.5}`), 400, invalid, "timeoutMs = 1 to 86400000", "25000"},
		{"timeout too large", op(`{"payload":1,"timeoutMs":86400001}`), 400, invalid, "timeoutMs = 1 to 86400000", "25000"},
		{"priority", op(`{"payload":1,"priority":"urgent"}`), 400, invalid, `"urgent"`, "low, normal, high, critical"},
		{"user a number", op(`{"payload":1,"userId":7}`), 400, invalid, "userId is not a string", "string"},
		{"empty persona", op(`{"payload":1,"personaType":""}`), 400, invalid, "personaType is empty", "256 bytes"},
		{"long user", op(`{"payload":1,"userId":"` + strings.Repeat("u", 300) + `"}`), 400, invalid, "userId = 256 bytes", "256 bytes"},
		{"request id", op(`{"payload":1,"requestId":"a b"}`), 400, invalid, "requestId = 128 characters", "visible ASCII"},
		{"invalid UTF-8", op("{\"payload\":\"\xff\"}"), 400, invalid, "UTF-8", ""},
		{"byte order mark", op("\xef\xbb\xbf{}"), 400, invalid, "byte order mark", "without"},
		{"more behind it", op(`{"payload":1} 2`), 400, invalid, "follows", ""},
	}
}

// TestBadInput sends what no client should over real sockets. Each request gets its
// status, its kind, a message with the limit and what to do, and every header;
// afterwards the process is as before.
func TestBadInput(t *testing.T) {
	b := newBackend(llmtest.OK("answered"))
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.HeaderTimeout = time.Minute }))
	goroutines := runtime.NumGoroutine()
	parts := map[string][]bad{
		"framing": framing(), "routing": routing(), "callers": callers(), "media": media(),
		"headers": headers(), "bodies": bodies(), "operations": operationBodies(),
	}
	total := 0
	for part, cases := range parts {
		total += len(cases)
		for _, c := range cases {
			t.Run(part+"/"+c.name, func(t *testing.T) { checkBad(t, c, send(t, addr, c.raw)) })
		}
	}
	if total < 60 {
		t.Errorf("only %d requests", total)
	}
	if n := len(b.provider.Calls()); n != 0 {
		t.Errorf("%d of the bad requests came to the provider", n)
	}
	if r := send(t, addr, post(chatPath, chatBody)); r.status != 200 || !strings.Contains(r.body, "answered") {
		t.Errorf("a good request afterwards: %d %s", r.status, r.body)
	}
	settled(t, goroutines)
}

func checkBad(t *testing.T, c bad, r reply) {
	t.Helper()
	if r.status != c.status || r.errorType() != string(c.kind) {
		t.Errorf("got %d %s, want %d %s: %s", r.status, r.errorType(), c.status, c.kind, r.body)
	}
	text := r.text()
	if !strings.Contains(text, c.message) || !strings.Contains(text, c.fix) {
		t.Errorf("message %q does not say %q and %q", text, c.message, c.fix)
	}
	if strings.Contains(text, webKey) || strings.Contains(text, adminKey) {
		t.Errorf("message %q gives a key away", text)
	}
	if r.status == http.StatusUnauthorized && r.header.Get("Www-Authenticate") == "" {
		t.Error("401 without www-authenticate")
	}
	if r.status == http.StatusMethodNotAllowed && r.header.Get("Allow") == "" {
		t.Error("405 without allow")
	}
	if !strings.Contains(r.body, r.header.Get("X-Request-Id")) {
		t.Errorf("the support id %s is not in %s", r.header.Get("X-Request-Id"), r.body)
	}
	wantHeaders(t, r)
}

// settled waits for goroutines to end and checks that memory is bounded.
func settled(t *testing.T, goroutines int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines+2; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
			break
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 128<<20 {
		t.Errorf("%s of heap in use", fmt.Sprint(m.HeapAlloc>>20, " MiB"))
	}
}

// TestUnusualInput is what has to pass: unusual is not malformed.
func TestUnusualInput(t *testing.T) {
	b := newBackend(llmtest.OK("answered"))
	addr := serve(t, newGateway(t, b, nil))
	for name, raw := range map[string]string{
		"no content type":         request("POST", chatPath, chatBody, auth),
		"charset":                 request("POST", chatPath, chatBody, auth, `Content-Type: Application/JSON; charset="UTF-8"`),
		"identity":                post(chatPath, chatBody, "Content-Encoding: identity"),
		"chunked":                 request("POST", chatPath, "", auth, jsonBody, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(chatBody), chatBody),
		"x-api-key":               request("POST", chatPath, chatBody, "X-Api-Key: "+webKey),
		"api-key":                 request("POST", chatPath, chatBody, "Api-Key: "+webKey),
		"bearer in small letters": request("POST", chatPath, chatBody, "Authorization: bearer "+webKey),
		"unknown members":         post(chatPath, `{"model":"haiku","messages":[{"role":"user","content":"x"}],"max_tokens":0,"stream_options":{},"new":1}`),
		"bad traceparent":         post(chatPath, chatBody, "Traceparent: 00-zz-11-00"),
		"bad request id":          post(chatPath, chatBody, "X-Request-Id: a b"),
		"encoded letter":          post("/v1/chat/%63ompletions", chatBody),
		"absolute form":           post("http://gateway"+chatPath, chatBody),
		"query":                   post(chatPath+"?api-version=1", chatBody),
		"unknown cache directive": post(chatPath, chatBody, "Cache-Control: max-stale=5, no-transform"),
		"HTTP/1.0":                strings.Replace(post(chatPath, chatBody), "HTTP/1.1", "HTTP/1.0", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := send(t, addr, raw)
			if r.status != 200 || !strings.Contains(r.body, "answered") {
				t.Errorf("%d %s", r.status, r.body)
			}
			wantHeaders(t, r)
		})
	}
}
