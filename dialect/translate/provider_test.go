package translate_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/payload"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

func TestMain(m *testing.M) {
	checks := "100"
	if os.Getenv("FOREBAY_LONG") == "1" {
		checks = "2000"
	}
	// The command line has the last word.
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.seed": "1", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// keeping is a provider that keeps what it was given.
type keeping struct {
	ctx   context.Context
	model string
	req   *llm.Request
	err   error
	s     llm.Stream
}

func (k *keeping) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	k.ctx, k.model, k.req = ctx, model, req
	return k.s, k.err
}

// TestOwnDialect checks that requests of the provider's own dialects reach it as they are.
func TestOwnDialect(t *testing.T) {
	own := &llm.OneChunk{}
	for _, test := range []struct {
		speaks, dialect llm.Dialect
		endpoint        llm.Endpoint
	}{
		{bedrock.Converse{}, bedrock.Converse{}, llm.Chat},
		{bedrock.Converse{}, bedrock.Invoke{}, llm.Chat},
		{bedrock.Converse{}, bedrock.Invoke{}, llm.Embeddings},
		{bedrock.Converse{}, openai.Dialect{}, llm.Function},
		{bedrock.Converse{}, payload.Dialect{}, llm.Function},
		{bedrock.Converse{}, llmtest.Dialect{}, llm.Chat},
		{bedrock.Converse{}, nil, llm.Chat},
		{openai.Dialect{}, openai.Dialect{}, llm.Chat},
		{openai.Dialect{}, openai.Dialect{}, llm.Embeddings},
		{openai.Dialect{}, payload.Dialect{}, llm.Function},
	} {
		inner := &keeping{s: own}
		req := &llm.Request{Dialect: test.dialect, Endpoint: test.endpoint, Body: []byte("not even JSON")}
		s, err := translate.Provider(inner, test.speaks).Call(t.Context(), "m", req)
		if err != nil || s != llm.Stream(own) || inner.req != req || inner.model != "m" || inner.ctx != t.Context() {
			t.Errorf("%T to %s: stream %v, error %v, request %p, want %p", test.dialect, test.speaks.Name(), s, err, inner.req, req)
		}
	}
	if allocs := testing.AllocsPerRun(100, func() {
		_, _ = translate.Provider(own2, llmtest.Dialect{}).Call(context.Background(), "m", ownRequest)
	}); allocs != 0 {
		t.Errorf("%v allocations for a provider of a dialect that is unknown here", allocs)
	}
	p := translate.Provider(own2, openai.Dialect{})
	if allocs := testing.AllocsPerRun(100, func() { _, _ = p.Call(context.Background(), "m", ownRequest) }); allocs != 0 {
		t.Errorf("%v allocations to pass a request on", allocs)
	}
}

var (
	own2       = &keeping{}
	ownRequest = &llm.Request{Dialect: openai.Dialect{}, Endpoint: llm.Chat}
)

// TestCopy checks what the provider gets in place of the caller's request.
func TestCopy(t *testing.T) {
	inner := &keeping{err: errors.New("stop here")}
	req := chatRequest(`{"model":"alias","messages":[{"role":"user","content":"Hi"}],"seed":1,"user":"u"}`)
	req.Tenant, req.Timeout = "t", time.Minute
	before := llm.Request{Body: []byte(string(req.Body)), Dialect: req.Dialect}
	_, err := translate.Provider(inner, bedrock.Converse{}).Call(t.Context(), "eu.amazon.nova-lite-v1:0", req)
	if err != inner.err {
		t.Errorf("error %v, want the provider's own", err)
	}
	if string(req.Body) != string(before.Body) || req.Model != "alias" || req.Dialect != before.Dialect {
		t.Error("the caller's request was changed")
	}
	got := inner.req
	if got == req || got.Dialect != (bedrock.Converse{}) || got.Endpoint != llm.Chat || got.Model != "eu.amazon.nova-lite-v1:0" ||
		got.Tenant != "t" || got.Timeout != time.Minute || got.ID != req.ID || got.Notes != req.Notes {
		t.Errorf("the provider got %+v", got)
	}
	if want := `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`; string(got.Body) != want {
		t.Errorf("body %s, want %s", got.Body, want)
	}
	if members, _ := req.Notes.List(); !cmp.Equal(members, []string{"seed", "user"}) {
		t.Errorf("noted %v", members)
	}

	req = converseRequest(converseHi, true)
	if _, err = translate.Provider(inner, openai.Dialect{}).Call(t.Context(), "gpt", req); err != inner.err {
		t.Errorf("error %v", err)
	}
	want := `{"model":"gpt","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}`
	if got := inner.req; string(got.Body) != want || got.Dialect != (openai.Dialect{}) || got.Model != "gpt" || !got.Stream {
		t.Errorf("the provider got %s in %v", got.Body, got.Dialect)
	}
}

// TestRefusedBeforeTheCall checks that what cannot be translated does not reach the provider.
func TestRefusedBeforeTheCall(t *testing.T) {
	for name, test := range map[string]struct {
		speaks llm.Dialect
		req    *llm.Request
	}{
		"chat":        {bedrock.Converse{}, chatRequest(`{"messages":[],"n":2}`)},
		"converse":    {openai.Dialect{}, converseRequest(`{"messages":[{"role":"user","content":[{"text":"a"}]}],"guardrailConfig":{"guardrailIdentifier":"a"}}`, false)},
		"invoke":      {openai.Dialect{}, &llm.Request{Dialect: bedrock.Invoke{}, Endpoint: llm.Chat, Body: []byte(`{}`)}},
		"embeddings":  {bedrock.Converse{}, &llm.Request{Dialect: openai.Dialect{}, Endpoint: llm.Embeddings, Body: []byte(`{"input":[1,2]}`), Model: "amazon.titan-embed-text-v2:0"}},
		"other model": {bedrock.Converse{}, &llm.Request{Dialect: openai.Dialect{}, Endpoint: llm.Embeddings, Body: []byte(`{"input":"a"}`), Model: "amazon.nova-lite-v1:0"}},
		"vectors":     {openai.Dialect{}, &llm.Request{Dialect: bedrock.Invoke{}, Endpoint: llm.Embeddings, Body: []byte(`{"inputImage":"AAAA"}`), Model: "amazon.titan-embed-image-v1"}},
	} {
		inner := &keeping{err: errors.New("was called")}
		_, err := translate.Provider(inner, test.speaks).Call(t.Context(), "", test.req)
		if e := llm.AsError(err); e.Kind != llm.CallerInvalidRequest || inner.req != nil || e.Fix == "" {
			t.Errorf("%s: %v, want %s before the provider is called", name, err, llm.CallerInvalidRequest)
		}
	}
}

// What a provider can do beside calls.
type (
	closing struct {
		keeping
		closed error
	}
	modelled struct{ keeping }
	carried  struct{ keeping }
	able     struct {
		closing
		modelled
		carried
	}
)

func (c *closing) Close() error { return c.closed }

func (*modelled) Models(context.Context) ([]llm.ModelInfo, error) {
	return []llm.ModelInfo{{ID: "a"}}, nil
}

func (*carried) Forward(context.Context, string, string, string, []byte) (int, string, []byte, error) {
	return 204, "", nil, nil
}

func (a *able) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	return a.closing.Call(ctx, model, req)
}

type forwarder interface {
	Forward(ctx context.Context, method, path, rawQuery string, body []byte) (status int, contentType string, answer []byte, err error)
}

// TestOptionalInterfaces checks that what a provider can do beside calls can be done
// through the translation, and nothing else.
func TestOptionalInterfaces(t *testing.T) {
	stop := errors.New("closed")
	for _, test := range []struct {
		inner          llm.Provider
		lists, carries bool
		closed         error
	}{
		{&keeping{}, false, false, nil},
		{&closing{closed: stop}, false, false, stop},
		{&modelled{}, true, false, nil},
		{&carried{}, false, true, nil},
		{&able{closing: closing{closed: stop}}, true, true, stop},
	} {
		p := translate.Provider(test.inner, bedrock.Converse{})
		lister, lists := p.(llm.ModelLister)
		carrier, carries := p.(forwarder)
		if lists != test.lists || carries != test.carries {
			t.Errorf("%T: lists %v, carries %v", test.inner, lists, carries)
		}
		if lists {
			if models, err := lister.Models(t.Context()); err != nil || len(models) != 1 {
				t.Errorf("%T: models %v, %v", test.inner, models, err)
			}
		}
		if carries {
			if status, _, _, _ := carrier.Forward(t.Context(), "", "", "", nil); status != 204 {
				t.Errorf("%T: status %d", test.inner, status)
			}
		}
		if err := p.(io.Closer).Close(); err != test.closed {
			t.Errorf("%T: Close: %v, want %v", test.inner, err, test.closed)
		}
	}
	inner := &keeping{}
	if p := translate.Provider(inner, payload.Dialect{}); p != llm.Provider(inner) {
		t.Error("a provider of another dialect is wrapped")
	}
	if p := translate.Provider(inner, nil); p != llm.Provider(inner) {
		t.Error("a provider without a dialect is wrapped")
	}
}

// TestErrorsPass checks that errors of a stream come as the provider gave them, behind
// what came before, and stay.
func TestErrorsPass(t *testing.T) {
	broken := llm.Errorf(llm.ProviderRateLimited, "too many")
	start := bedrock.AppendEvent(nil, "messageStart", []byte(`{"role":"assistant"}`))
	inner := &keeping{s: &scripted{chunks: []llm.Chunk{{Raw: start}}, err: broken}}
	s, err := translate.Provider(inner, bedrock.Converse{}).Call(t.Context(), "m", chatRequest(chatHi))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Next(); err != nil || !strings.Contains(string(c.Raw), `"role":"assistant"`) {
		t.Errorf("first chunk %s, %v", c.Raw, err)
	}
	for range 2 {
		if _, err := s.Next(); err != error(broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	}
	if err := s.Close(); err != errClosed {
		t.Errorf("Close: %v: the provider's stream was not closed", err)
	}
}

var errClosed = errors.New("closed")

// scripted is a stream of chunks, and then an error.
type scripted struct {
	chunks []llm.Chunk
	err    error
}

func (s *scripted) Next() (llm.Chunk, error) {
	if len(s.chunks) == 0 {
		return llm.Chunk{}, s.err
	}
	c := s.chunks[0]
	s.chunks = s.chunks[1:]
	return c, nil
}

func (s *scripted) Close() error { return errClosed }

// TestCutStreams cuts streams behind each of their events: none of them ends as complete,
// be it that the provider fails, or that it says that this was all.
func TestCutStreams(t *testing.T) {
	for name, side := range map[string]struct {
		speaks llm.Dialect
		req    func() *llm.Request
		events [][]byte
	}{
		"converse": {bedrock.Converse{}, func() *llm.Request { return chatRequest(chatHi) }, converseEvents()},
		"chat":     {openai.Dialect{}, func() *llm.Request { return converseRequest(converseHi, true) }, chatEvents()},
	} {
		for cut := range len(side.events) + 1 {
			for _, err := range []error{io.EOF, llm.Errorf(llm.ProviderTruncated, "cut")} {
				chunks := make([]llm.Chunk, 0, cut)
				for _, e := range side.events[:cut] {
					chunks = append(chunks, llm.Chunk{Raw: e})
				}
				p := translate.Provider(&keeping{s: &scripted{chunks: chunks, err: err}}, side.speaks)
				s, callErr := p.Call(t.Context(), "m", side.req())
				if callErr != nil {
					t.Fatal(callErr)
				}
				body, end := readAll(s)
				complete := isComplete(side.req(), body)
				whole := err == io.EOF && (name == "chat" && cut == len(side.events) || name == "converse" && cut >= len(side.events)-1)
				if whole != (end == io.EOF) || whole != complete {
					t.Errorf("%s, %d of %d events, then %v: ended with %v, the reader says complete: %v", name, cut, len(side.events), err, end, complete)
				}
				if !whole && llm.KindOf(end) != llm.ProviderTruncated {
					t.Errorf("%s, %d of %d events, then %v: ended with %v", name, cut, len(side.events), err, end)
				}
			}
		}
	}
}

func readAll(s llm.Stream) (body []byte, err error) {
	for {
		c, err := s.Next()
		if err != nil {
			return body, err
		}
		body = append(body, c.Raw...)
	}
}

// isComplete says whether a client would take the stream for a whole answer.
func isComplete(req *llm.Request, body []byte) bool {
	var reader interface{ Next() (llm.Chunk, error) } = openai.NewReader(strings.NewReader(string(body)), openai.ReaderOptions{})
	if req.Dialect.Name() == bedrock.NameConverse {
		reader = bedrock.NewReader(strings.NewReader(string(body)), bedrock.ReaderOptions{})
	}
	for {
		if _, err := reader.Next(); err != nil {
			return err == io.EOF
		}
	}
}

// converseEvents is a stream with text, reasoning and two calls of tools.
func converseEvents() [][]byte {
	var events [][]byte
	for _, e := range [][2]string{
		{"messageStart", `{"role":"assistant"}`},
		{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Hm"}}}`},
		{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"s1"}}}`},
		{"contentBlockStop", `{"contentBlockIndex":0}`},
		{"contentBlockDelta", `{"contentBlockIndex":1,"delta":{"text":"Hel"},"p":"abc"}`},
		{"contentBlockDelta", `{"contentBlockIndex":1,"delta":{"text":"lo\n"}}`},
		{"contentBlockStop", `{"contentBlockIndex":1}`},
		{"contentBlockStart", `{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"a"}}}`},
		{"contentBlockDelta", `{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"x\":"}}}`},
		{"contentBlockDelta", `{"contentBlockIndex":2,"delta":{"toolUse":{"input":"1}"}}}`},
		{"contentBlockStop", `{"contentBlockIndex":2}`},
		{"contentBlockStart", `{"contentBlockIndex":3,"start":{"toolUse":{"toolUseId":"t2","name":"b"}}}`},
		{"contentBlockStop", `{"contentBlockIndex":3}`},
		{"messageStop", `{"stopReason":"tool_use"}`},
		{"metadata", `{"usage":{"inputTokens":7,"outputTokens":5,"totalTokens":15,"cacheReadInputTokens":2,"cacheWriteInputTokens":1},"metrics":{"latencyMs":9}}`},
	} {
		events = append(events, bedrock.AppendEvent(nil, e[0], []byte(e[1])))
	}
	return events
}

// chatEvents is a stream with text and two calls of tools.
func chatEvents() [][]byte {
	var events [][]byte
	for _, e := range []string{
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"reasoning_content":"Hm"},"finish_reason":null}]}`,
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}`,
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"content":"lo\n"},"finish_reason":null}]}`,
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"a","arguments":""}}]},"finish_reason":null}]}`,
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]},"finish_reason":null}]}`,
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":null}]}`,
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"t2","type":"function","function":{"name":"b","arguments":""}}]},"finish_reason":null}]}`,
		`{"id":"c","model":"gpt","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
		`{"id":"c","model":"gpt","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":3}}}`,
		`[DONE]`,
	} {
		events = append(events, []byte("data: "+e+"\n\n"))
	}
	return events
}

// TestAtOnce checks that each of the provider's chunks is delivered before the next one
// comes, and that a chunk that says something is never held back.
func TestAtOnce(t *testing.T) {
	for name, side := range map[string]struct {
		speaks llm.Dialect
		req    *llm.Request
		events [][]byte
		held   map[int]bool // events that become nothing
	}{
		"converse": {bedrock.Converse{}, chatRequest(chatHi), converseEvents(), map[int]bool{2: true, 6: true, 10: true, 12: true, 14: true}},
		"chat":     {openai.Dialect{}, converseRequest(converseHi, true), chatEvents(), map[int]bool{8: true, 9: true, 10: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := make(chan []byte)
				p := translate.Provider(&keeping{s: &piped{in}}, side.speaks)
				s, err := p.Call(t.Context(), "m", side.req)
				if err != nil {
					t.Fatal(err)
				}
				var out int
				done := make(chan error)
				go func() {
					for {
						if _, err := s.Next(); err != nil {
							done <- err
							return
						}
						out++
					}
				}()
				for i, e := range side.events {
					before := out
					in <- e
					synctest.Wait()
					if moved := out - before; moved != 1 && !side.held[i] || moved != 0 && side.held[i] {
						t.Errorf("event %d gave %d chunks", i, moved)
					}
				}
				close(in)
				if err := <-done; err != io.EOF {
					t.Errorf("the end: %v", err)
				}
			})
		})
	}
}

// piped is a stream whose chunks come from a channel.
type piped struct{ in chan []byte }

func (p *piped) Next() (llm.Chunk, error) {
	raw, ok := <-p.in
	if !ok {
		return llm.Chunk{}, io.EOF
	}
	return llm.Chunk{Raw: raw}, nil
}

func (*piped) Close() error { return nil }

// TestTimes checks that answers carry the times of the call.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		now := time.Now().Unix()
		whole := `{"output":{"message":{"role":"assistant","content":[{"text":"a"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1}}`
		s, err := translate.Provider(&answering{body: []byte(whole)}, bedrock.Converse{}).Call(t.Context(), "m", chatRequest(`{"model":"m","messages":[{"role":"user","content":"Hi"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Next()
		want := fmt.Sprintf(`{"id":"chatcmpl-r1","object":"chat.completion","created":%d,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}`, now)
		if err != nil || string(c.Raw) != want {
			t.Errorf("answer %s, %v, want %s", c.Raw, err, want)
		}
		inner := llmtest.Script(llmtest.OK("Hello there").After(250 * time.Millisecond))
		s, err = translate.Provider(inner, openai.Dialect{}).Call(t.Context(), "m", converseRequest(converseHi, false))
		if err != nil {
			t.Fatal(err)
		}
		c, err = s.Next()
		want = `{"metrics":{"latencyMs":250},"output":{"message":{"content":[{"text":"Hello there"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":0,"outputTokens":0,"totalTokens":0}}`
		if err != nil || string(c.Raw) != want {
			t.Errorf("answer %s, %v, want %s", c.Raw, err, want)
		}
	})
}

// TestUsageIsTold checks that the report of usage reaches those who count, also where the
// caller did not ask for it and the chunk that brought it became nothing.
func TestUsageIsTold(t *testing.T) {
	var chunks []llm.Chunk
	for _, e := range converseEvents() {
		chunks = append(chunks, llm.Chunk{Raw: e})
	}
	p := translate.Provider(&keeping{s: &scripted{chunks: chunks, err: io.EOF}}, bedrock.Converse{})
	s, err := p.Call(t.Context(), "m", chatRequest(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	res := collect(t, s, "Hello\n")
	if want := (llm.Usage{Input: 7, Output: 5, CacheRead: 2, CacheWrite: 1}); res.Usage != want || strings.Contains(string(res.Body), "usage") {
		t.Errorf("usage %+v, want %+v, in %s", res.Usage, want, res.Body)
	}
}

// Names of documents differ from one another and are as long as Bedrock takes them, however
// long the files' are, how many have the same one, and whatever is made of them.
func TestDocumentNames(t *testing.T) {
	long := strings.Repeat("a", 300)
	var parts []string
	for _, name := range slices.Concat(
		[]string{"b (2).pdf", "b.pdf", "b.pdf", "b.pdf", "b (3).pdf", "", "...", "_.pdf"},
		slices.Repeat([]string{long + ".pdf"}, 12), slices.Repeat([]string{"ü\n" + long + ".pdf", "c.pdf"}, 20_000),
	) {
		parts = append(parts, `{"type":"file","file":{"filename":`+js(name)+`,"file_data":"data:application/pdf;base64,QUJD"}}`)
	}
	body, _, err := translate.ChatToConverse(chatRequest(`{"messages":[{"role":"user","content":[` + strings.Join(parts, ",") + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, block := range list(obj(list(parsed(body)["messages"])[0])["content"]) {
		document := obj(obj(block)["document"])
		name := str(document["name"])
		if document == nil {
			continue // the text beside them
		}
		if seen[name] || name == "" || len(name) > 200 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-()[] ") != "" || strings.Contains(name, "  ") {
			t.Fatalf("name %q, %d bytes, is no good; seen %v", name, len(name), seen[name])
		}
		seen[name] = true
	}
	for _, name := range []string{"b (2)", "b", "b (3)", "b (4)", "document", "document (2)"} {
		if !seen[name] {
			t.Errorf("no document is called %q", name)
		}
	}
	if len(seen) != len(parts) {
		t.Errorf("%d names for %d documents", len(seen), len(parts))
	}
}
