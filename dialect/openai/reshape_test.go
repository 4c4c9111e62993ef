package openai_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

func chat(stream, usage bool) *llm.Request {
	return &llm.Request{
		ID: "req_1", Endpoint: llm.Chat, Model: "m", Stream: stream,
		Body: fmt.Appendf(nil, `{"model":"m","stream":%t,"stream_options":{"include_usage":%t}}`, stream, usage),
	}
}

func reshape(t interface{ Fatalf(string, ...any) }, req *llm.Request, answer []byte, stream bool) []byte {
	before := bytes.Clone(answer)
	got, err := openai.Dialect{}.Reshape(req, answer, stream)
	if err != nil {
		t.Fatalf("reshape: %v", err)
	}
	if !bytes.Equal(before, answer) {
		t.Fatalf("the stored answer was changed to %s", answer)
	}
	return got
}

func same(t *testing.T, what string, want, got []byte) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(want, &a); err != nil {
		t.Fatalf("%s, wanted: %v\n%s", what, err, want)
	}
	if err := json.Unmarshal(got, &b); err != nil {
		t.Fatalf("%s, got: %v\n%s", what, err, got)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestReshapeReturnsTheRightFormAsItIs(t *testing.T) {
	whole, events := sample(t, "whole.json"), sample(t, "stream.sse")
	noUsage := openai.AppendStream(nil, &openai.Answer{Text: `says "usage"`}, false)
	embeddings := &llm.Request{Endpoint: llm.Embeddings, Stream: true}
	for _, test := range []struct {
		name   string
		req    *llm.Request
		answer []byte
		stream bool
	}{
		{"whole", chat(false, true), whole, false},
		{"events with usage", chat(true, true), events, true},
		{"events without usage", chat(true, false), noUsage, true},
		{"events that have none to give", chat(true, true), noUsage, true},
		{"usage beside a choice", chat(true, false), sample(t, "tools.sse"), true},
		{"embeddings", embeddings, whole, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := reshape(t, test.req, test.answer, test.stream)
			if &got[0] != &test.answer[0] || len(got) != len(test.answer) {
				t.Errorf("the answer was copied or changed:\n%s", got)
			}
		})
	}
}

func TestReshapeTakesUsageOut(t *testing.T) {
	events := sample(t, "stream.sse")
	got := reshape(t, chat(true, false), events, true)
	at := bytes.Index(events, []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-test","choices":[],`))
	want := string(events[:at]) + "data: [DONE]\n\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	req := chat(true, false)
	req.Body = []byte(`{"stream_options":{"include\u005fusage":true}}`)
	if got := reshape(t, req, events, true); !bytes.Equal(got, events) {
		t.Error("an escaped include_usage is not seen")
	}
}

func TestReshapeJoinsEvents(t *testing.T) {
	same(t, "stream.sse", []byte(`{
		"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"gpt-test",
		"choices":[{"index":0,"message":{"role":"assistant","content":"Grüße, Wörld ☃","refusal":null},"logprobs":null,"finish_reason":"stop"}],
		"usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25,"prompt_tokens_details":{"cached_tokens":8}}}`),
		reshape(t, chat(false, false), sample(t, "stream.sse"), true))
	same(t, "tools.sse", []byte(`{
		"id":"c2","object":"chat.completion","created":7,"model":"m",
		"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
			{"id":"call_a","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}},
			{"id":"call_b","type":"function","function":{"name":"time","arguments":"{}"}}]},"finish_reason":"tool_calls"}],
		"usage":{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12}}`),
		reshape(t, chat(false, false), sample(t, "tools.sse"), true))
}

// oddEvents are events that OpenAI does not send, or seldom, and what they make together.
var oddEvents = []struct {
	name, want string
	events     []string
}{
	{
		"choices out of order, with logprobs",
		`{"object":"chat.completion","id":"a","choices":[
			{"index":0,"message":{"role":"assistant","content":"xy"},"logprobs":{"content":[{"token":"x"},{"token":"y"}]},"finish_reason":"stop"},
			{"index":1,"message":{"role":"assistant","content":"z"},"finish_reason":"length"}]}`,
		[]string{
			`{"id":"","choices":[]}`, `{"id":"a","choices":[{"index":1,"delta":{"content":"z"}}]}`,
			`{"id":"a","choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"token":"x"}]}}]}`,
			`{"id":"a","choices":[{"index":1,"finish_reason":"length","delta":{}},{"index":0,"delta":{"content":"y"},"logprobs":{"content":[{"token":"y"}]},"finish_reason":"stop"}]}`,
		},
	},
	{
		"a surrogate pair in two pieces, reasoning, refusal, audio",
		`{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"\ud83d\ude00","reasoning_content":"ab","refusal":"no","audio":{"id":"i","data":"QUJD","expires_at":2}}}]}`,
		[]string{
			`{"choices":[{"delta":{"role":"assistant","content":"\ud83d","reasoning_content":"a","audio":{"id":"i","data":"QU"}}}]}`,
			`{"choices":[{"delta":{"role":"assistant","content":"\ude00","reasoning_content":"b","refusal":"no","audio":{"id":"i","data":"JD","expires_at":2}}}]}`,
		},
	},
	{
		"null and empty pieces take nothing back",
		`{"object":"chat.completion","system_fingerprint":"f","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}`,
		[]string{
			`{"system_fingerprint":"f","choices":[{"delta":{"role":null,"content":"a"},"finish_reason":"stop"}]}`,
			`{"system_fingerprint":null,"choices":[{"delta":{"role":"","content":null},"finish_reason":null}]}`, `{"choices":null}`, `{"choices":[7]}`,
		},
	},
}

func TestReshapeJoinsOddEvents(t *testing.T) {
	for _, test := range oddEvents {
		t.Run(test.name, func(t *testing.T) {
			var b []byte
			for _, event := range test.events {
				b = fmt.Appendf(b, "data: %s\r\n\r\n: ping\n\n", event)
			}
			same(t, "joined", []byte(test.want), reshape(t, chat(false, false), openai.AppendDone(b), true))
		})
	}
}

func TestReshapeRoundTrip(t *testing.T) {
	whole := sample(t, "whole.json")
	events := reshape(t, chat(true, true), whole, false)
	if !bytes.HasSuffix(events, []byte("\n\ndata: [DONE]\n\n")) {
		t.Errorf("no end mark: %s", events)
	}
	o := read(openai.ReaderOptions{}, events)
	want := outcome{
		Raw: string(events), Text: "Yes ✓", Events: 8, Useful: true, Finish: llm.FinishFilter, Model: "gpt-test",
		Usage: llm.Usage{Input: 20, CacheRead: 10, Output: 12},
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	same(t, "round trip", whole, reshape(t, chat(false, false), events, true))
	if got := reshape(t, chat(true, false), whole, false); !bytes.Equal(got, reshape(t, chat(true, false), events, true)) {
		t.Errorf("without usage:\n%s", got)
	}
}

// Any whole answer survives the way to events and back.
func TestReshapeRoundTripProperty(t *testing.T) {
	text := rapid.OneOf(rapid.Just[any](nil), rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "text") }))
	rapid.Check(t, func(t *rapid.T) {
		var choices []any
		for i := range rapid.IntRange(1, 3).Draw(t, "choices") {
			message := map[string]any{"role": "assistant", "content": text.Draw(t, "content"), "refusal": text.Draw(t, "refusal"), "x_more": value(2).Draw(t, "more")}
			var calls []any
			for range rapid.IntRange(0, 3).Draw(t, "calls") {
				calls = append(calls, map[string]any{"id": text.Draw(t, "id"), "type": "function", "function": map[string]any{"name": "f", "arguments": text.Draw(t, "arguments")}})
			}
			if calls != nil {
				message["tool_calls"] = calls
			}
			choices = append(choices, map[string]any{
				"index": i, "message": message, "finish_reason": rapid.SampledFrom([]string{"stop", "length"}).Draw(t, "finish"), "logprobs": nil, "x": value(1).Draw(t, "x"),
			})
		}
		whole, err := json.Marshal(map[string]any{
			"id": "i", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "x_vendor": value(2).Draw(t, "vendor"),
			"usage": map[string]any{"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
		})
		if err != nil {
			t.Fatal(err)
		}
		events := reshape(t, chat(true, true), whole, false)
		back := reshape(t, chat(false, false), events, true)
		var a, b any
		if err := json.Unmarshal(back, &b); err != nil {
			t.Fatalf("%v: %s", err, back)
		}
		_ = json.Unmarshal(whole, &a)
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, events)
		}
	})
}

// Joining copies the text a few times in all, not once for each piece: the bound lies
// far above the first (some 20 MB) and far below the second (some 500 MB).
func TestReshapeLongStreamIsLinear(t *testing.T) {
	const pieces, bound = 10_000, 100 << 20
	a := &openai.Answer{ID: "i", Model: "m"}
	var stream []byte
	for range pieces {
		stream = openai.AppendTextChunk(stream, a, "ten bytes.")
	}
	stream = openai.AppendDone(openai.AppendFinishChunk(stream, a))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	body := reshape(t, chat(false, false), stream, true)
	runtime.ReadMemStats(&after)
	c, err := openai.ReadWhole(llm.Chat, body)
	if err != nil || c.Text() != strings.Repeat("ten bytes.", pieces) {
		t.Errorf("%v, %d bytes", err, len(body))
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > bound {
		t.Errorf("%d bytes were allocated", used)
	}
}

// A stored stream of line ends alone must not cost the square of its length, which
// would be half a minute.
func TestReshapeOfLineEndsIsLinear(t *testing.T) {
	events := append(bytes.Repeat([]byte{'\r'}, 1<<20), `: "usage"`...)
	start := time.Now()
	if got := reshape(t, chat(true, false), events, true); len(got) != len(events) {
		t.Errorf("%d bytes", len(got))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestReshapeRefusesWhatIsNoAnswer(t *testing.T) {
	for _, test := range []struct {
		answer         string
		stream, wanted bool
	}{
		{"", true, false},
		{"data: [DONE]\n\n", true, false},
		{"data: " + hello + "\n\n", true, false},
		{"data: {\n\ndata: [DONE]\n\n", true, false},
		{"data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n", true, false},
		{"", false, true},
		{"[]", false, true},
		{"{", false, true},
	} {
		_, err := openai.Dialect{}.Reshape(chat(test.wanted, false), []byte(test.answer), test.stream)
		if llm.KindOf(err) != llm.ForebayInternal {
			t.Errorf("%q: %v", test.answer, err)
		}
	}
}

func FuzzReshape(f *testing.F) {
	f.Add(sample(f, "stream.sse"), sample(f, "whole.json"))
	f.Add(sample(f, "tools.sse"), []byte(`{"choices":[{"message":null},7]}`))
	f.Fuzz(func(t *testing.T, events, whole []byte) {
		for _, req := range []*llm.Request{chat(true, true), chat(true, false), chat(false, false)} {
			if body, err := (openai.Dialect{}).Reshape(req, events, true); err == nil && !req.Stream && !json.Valid(body) {
				t.Errorf("not JSON: %q", body)
			}
			out, err := openai.Dialect{}.Reshape(req, whole, false)
			if err != nil || !req.Stream {
				continue
			}
			if o := read(openai.ReaderOptions{}, out); o.Kind != "" && !bytes.Contains(whole, []byte("rror")) {
				t.Errorf("%s: %q", o.Kind, out)
			}
		}
	})
}

func TestCompose(t *testing.T) {
	req := chat(false, false)
	req.Arrived = time.Unix(1760000000, 0)
	body := openai.Dialect{}.Compose(req, "Sorry, “later”.\n")
	same(t, "whole", []byte(`{
		"id":"chatcmpl-req_1","object":"chat.completion","created":1760000000,"model":"m",
		"choices":[{"index":0,"message":{"role":"assistant","content":"Sorry, “later”.\n","refusal":null},"logprobs":null,"finish_reason":"stop"}],
		"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"prompt_tokens_details":{"cached_tokens":0}}}`), body)
	for _, usage := range []bool{false, true} {
		o := read(openai.ReaderOptions{}, openai.Dialect{}.Compose(chat(true, usage), "Sorry."))
		events := 4
		if usage {
			events = 5
		}
		if o.Text != "Sorry." || o.Kind != "" || o.Finish != "stop" || o.Model != "m" || o.Events != events {
			t.Errorf("usage %t: %+v", usage, o)
		}
	}
	if got := (openai.Dialect{}).Compose(&llm.Request{Endpoint: llm.Embeddings}, "x"); got != nil {
		t.Errorf("embeddings: %s", got)
	}
}

func TestCovers(t *testing.T) {
	const silent = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"usage\\\":{\"},\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: [DONE]\n\n"
	const telling = "data: {\"id\":\"1\",\"choices\":[],\"usage\": {\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n"
	whole := &llm.Request{Endpoint: llm.Chat, Body: []byte(`{"model":"m"}`)}
	stream := &llm.Request{Endpoint: llm.Chat, Stream: true, Body: []byte(`{"model":"m","stream":true}`)}
	asks := &llm.Request{Endpoint: llm.Chat, Stream: true, Body: []byte(`{"model":"m","stream":true,"stream_options":{"include_usage":true}}`)}
	for _, c := range []struct {
		name     string
		req      *llm.Request
		answer   string
		streamed bool
		want     bool
	}{
		{"whole for whole", whole, "{}", false, true},
		{"whole for a stream", asks, "{}", false, true},
		{"silent stream for a stream", stream, silent, true, true},
		{"silent stream for a whole answer", whole, silent, true, false},
		{"silent stream for a stream with usage", asks, silent, true, false},
		{"telling stream for a whole answer", whole, telling, true, true},
		{"telling stream for a stream with usage", asks, telling, true, true},
	} {
		if got := (openai.Dialect{}).Covers(c.req, []byte(c.answer), c.streamed); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
