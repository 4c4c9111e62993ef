package gateway_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// http2Client speaks HTTP/2 alone, and begins with it on plain connections: as the AWS
// SDK for JavaScript does.
func http2Client(t testing.TB) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// signAuthority signs as the AWS SDK for JavaScript does for HTTP/2: :authority in place
// of host, the hash of the body in a header, and the ids of the attempt.
func signAuthority(t testing.TB, url, secret string, at time.Time) *http.Request {
	t.Helper()
	const body = converseBody
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	stamp, hash := at.UTC().Format("20060102T150405Z"), sigv4.PayloadHash([]byte(body))
	names := []string{":authority", "amz-sdk-invocation-id", "amz-sdk-request", "content-type", "x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"}
	values := []string{r.URL.Host, "2f1d8c1e-0000-4000-8000-000000000000", "attempt=1; max=3", "application/json", hash, stamp, "aws-sdk-js/3.900.0"}
	canonical := "POST\n" + strings.ReplaceAll(r.URL.EscapedPath(), "%", "%25") + "\n\n"
	for i, name := range names {
		canonical += name + ":" + values[i] + "\n"
		if i > 0 {
			r.Header.Set(name, values[i])
		}
	}
	canonical += "\n" + strings.Join(names, ";") + "\n" + hash
	scope := stamp[:8] + "/eu-central-1/bedrock/aws4_request"
	key := []byte("AWS4" + secret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+sigv4.PayloadHash([]byte(canonical)))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+pairID+"/"+scope+", SignedHeaders="+strings.Join(names, ";")+", Signature="+hex.EncodeToString(signature))
	return r
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func TestHTTP2(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	b.meta = forebay.Meta{Provider: "p", Model: "m", Attempts: 1, CostMicroUSD: 1500}
	log := &recorder{}
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Keys, c.Logger = pairKeys(), log.logger() }))
	client := http2Client(t)
	r := signAuthority(t, "http://"+addr+conversePath, pairSecret, time.Now())
	whole := do(t, client, r)
	if whole.status != 200 || whole.body != converseAnswer || b.last(t).Model != haiku {
		t.Errorf("%d %s", whole.status, whole.body)
	}
	wantHeaders(t, whole)
	for name, c := range map[string]struct {
		r    *http.Request
		want string
	}{
		"replay":        {again(t, r), "InvalidSignatureException"},
		"wrong secret":  {signAuthority(t, "http://"+addr+conversePath, "another", time.Now()), "InvalidSignatureException"},
		"ten hours ago": {signAuthority(t, "http://"+addr+conversePath, pairSecret, time.Now().Add(-10*time.Hour)), "InvalidSignatureException"},
	} {
		got := do(t, client, c.r)
		if got.status != 403 || got.header.Get("X-Amzn-Errortype") != c.want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		wantHeaders(t, got)
	}
	b.provider.Set(inPieces(nil, greeting()...))
	streamed := do(t, client, signAuthority(t, "http://"+addr+conversePath+"-stream", pairSecret, time.Now()))
	if streamed.status != 200 || streamed.header.Get("Content-Type") != "application/vnd.amazon.eventstream" || strings.Count(streamed.body, ":event-type") != 6 {
		t.Errorf("%d %v %q", streamed.status, streamed.header, streamed.body)
	}
	if got := streamed.trailer.Get("X-Forebay-Cost-Usd"); got != "0.0015" {
		t.Errorf("the trailer says %q", got)
	}
	for _, path := range []string{"/healthz", "/nowhere"} {
		res := do(t, client, mustGet(t, "http://"+addr+path))
		if want := map[bool]int{true: 200, false: 404}[path == "/healthz"]; res.status != want {
			t.Errorf("%s: %d", path, res.status)
		}
	}
	if !strings.Contains(log.String(), "route=/bedrock/model/{id}/converse-stream status=200") {
		t.Error("the log does not have the request")
	}
}

func mustGet(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSDKOverHTTP2 is the real client with a transport that speaks HTTP/2 alone.
func TestSDKOverHTTP2(t *testing.T) {
	b := newBackend(inPieces(nil, greeting()...))
	text, usage, err := converseStream(t, sdk(t, pairDoor(t, b), func(o *bedrockruntime.Options) { o.HTTPClient = http2Client(t) }))
	if err != nil || text != "Hello there" || usage != 2 {
		t.Errorf("%q %d %v", text, usage, err)
	}
	b.provider.Set(inPieces(&llm.Error{Kind: llm.ProviderTruncated, Message: "scripted"}, greeting()[:4]...))
	if _, _, err := converseStream(t, sdk(t, pairDoor(t, b), func(o *bedrockruntime.Options) { o.HTTPClient = http2Client(t) })); err == nil || !strings.Contains(err.Error(), "scripted") {
		t.Errorf("a stream that was cut: %v", err)
	}
}

// TestHTTP2Bounds: what is bounded on HTTP/1 is bounded here.
func TestHTTP2Bounds(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) {
		c.Keys, c.MaxHeader, c.MaxBody, c.BodyTimeout = pairKeys(), 4<<10, 64<<10, 300*time.Millisecond
	}))
	client := http2Client(t)
	bearing := func(body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+conversePath, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+webKey)
		return r
	}
	r := bearing(strings.NewReader(converseBody))
	r.Header.Set("X-Long", strings.Repeat("a", 32<<10))
	if res, err := client.Do(r); err == nil {
		_ = res.Body.Close()
		if res.StatusCode != 431 {
			t.Errorf("long headers: %d", res.StatusCode)
		}
	}
	if res := do(t, client, bearing(strings.NewReader(strings.Repeat(" ", 65<<10)))); res.status != 413 {
		t.Errorf("a long body: %d %s", res.status, res.body)
	}
	reading := make(chan struct{})
	slow, err := client.Do(bearing(io.MultiReader(strings.NewReader("{"), blocked{reading})))
	if err != nil {
		t.Fatal(err)
	}
	close(reading) // or closing the body waits for it
	defer slow.Body.Close()
	if slow.StatusCode != 408 {
		t.Errorf("a slow body: %d", slow.StatusCode)
	}
}

// blocked gives nothing until it is closed.
type blocked struct{ until chan struct{} }

func (b blocked) Read([]byte) (int, error) { <-b.until; return 0, io.EOF }

// TestHTTP2StopsReading: a client whose connection lives and who does not take one
// stream's bytes does not hold the call for longer than a write may take; its other
// streams go on.
func TestHTTP2StopsReading(t *testing.T) {
	var ended atomic.Bool
	long := llmtest.Do(func(ctx context.Context, _ string, _ *llm.Request) (llm.Stream, error) {
		return &endless{ctx: ctx, raw: bedrock.AppendEvent(nil, "contentBlockDelta", []byte(`{"delta":{"text":"`+strings.Repeat("a", 32<<10)+`"}}`)), ended: &ended}, nil
	})
	b := newBackend(long)
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Keys, c.WriteTimeout = pairKeys(), 300*time.Millisecond }))
	client := http2Client(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+conversePath+"-stream", strings.NewReader(converseBody))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+webKey)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	until(t, 10*time.Second, ended.Load)
	if other := do(t, client, mustGet(t, "http://"+addr+"/healthz")); other.status != 200 {
		t.Errorf("another stream of the connection: %d", other.status)
	}
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Error("the stream that was given up ended well")
	}
}

// endless is a stream that goes on until it is closed.
type endless struct {
	ctx   context.Context
	raw   []byte
	ended *atomic.Bool
}

func (e *endless) Next() (llm.Chunk, error) {
	if err := e.ctx.Err(); err != nil {
		return llm.Chunk{}, llm.AsError(err)
	}
	return llm.Chunk{Raw: e.raw, Events: 1, Useful: true}, nil
}

func (e *endless) Close() error { e.ended.Store(true); return nil }

// TestHTTP2PausesAreNoFault: the bound is for writes, not for the silence between them.
func TestHTTP2PausesAreNoFault(t *testing.T) {
	events := greeting()
	b := newBackend(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) {
		f := &frames{}
		for i := 0; i < len(events); i += 2 {
			f.raw = append(f.raw, bedrock.AppendEvent(nil, events[i], []byte(events[i+1])))
		}
		return &paused{f, 150 * time.Millisecond}, nil
	}))
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Keys, c.WriteTimeout = pairKeys(), 100*time.Millisecond }))
	text, _, err := converseStream(t, sdk(t, addr, func(o *bedrockruntime.Options) { o.HTTPClient = http2Client(t) }))
	if err != nil || text != "Hello there" {
		t.Errorf("%q %v", text, err)
	}
}

// paused waits before each chunk.
type paused struct {
	llm.Stream
	each time.Duration
}

func (p *paused) Next() (llm.Chunk, error) { time.Sleep(p.each); return p.Stream.Next() }

// TestHTTP2Drains: a shutdown lets a stream come to its end.
func TestHTTP2Drains(t *testing.T) {
	release := make(chan struct{})
	begun := make(chan struct{})
	b := newBackend(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) {
		close(begun)
		<-release
		return &llm.OneChunk{Chunk: llm.Chunk{Raw: []byte(converseAnswer), Events: 1, Last: true}}, nil
	}))
	g := newGateway(t, b, func(c *gateway.Config) { c.Keys = pairKeys() })
	l, err := g.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, served := g.Server(), make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	got := make(chan reply, 1)
	go func() {
		got <- do(t, http2Client(t), signAuthority(t, "http://"+l.Addr().String()+conversePath, pairSecret, time.Now()))
	}()
	<-begun
	down := make(chan error, 1)
	go func() { down <- server.Shutdown(t.Context()) }()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	close(release)
	if r := <-got; r.status != 200 || r.body != converseAnswer {
		t.Errorf("%d %s", r.status, r.body)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}
