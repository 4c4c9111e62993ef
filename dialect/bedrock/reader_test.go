package bedrock_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// stream makes messages of event types and payloads in turn.
func stream(parts ...string) []byte {
	var b []byte
	for i := 0; i+1 < len(parts); i += 2 {
		b = bedrock.AppendEvent(b, parts[i], []byte(parts[i+1]))
	}
	return b
}

// chunks makes a stream of InvokeModelWithResponseStream of the models' own events.
func chunks(events ...string) []byte {
	var b []byte
	for _, e := range events {
		b = bedrock.AppendEvent(b, "chunk", []byte(`{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(e))+`","p":"abc"}`))
	}
	return b
}

var (
	spoken = stream(
		"messageStart", `{"role":"assistant","p":"a"}`,
		"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}`,
		"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}`,
		"contentBlockStop", `{"contentBlockIndex":0}`,
		"contentBlockDelta", `{"contentBlockIndex":1,"delta":{"text":"Guten "}}`,
		"contentBlockDelta", `{"contentBlockIndex":1,"delta":{"text":"Tag \ud83d\ude00"}}`,
		"contentBlockStop", `{"contentBlockIndex":1}`,
		"contentBlockStart", `{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"weather"}}}`,
		"contentBlockDelta", `{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"city\":"}}}`,
		"contentBlockDelta", `{"contentBlockIndex":2,"delta":{"toolUse":{"input":" \"Bonn\"}"}}}`,
		"contentBlockStop", `{"contentBlockIndex":2}`,
		"messageStop", `{"stopReason":"tool_use","additionalModelResponseFields":{"x":1}}`,
		"metadata", `{"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":15,"cacheReadInputTokens":4,"cacheWriteInputTokens":3},"metrics":{"latencyMs":7}}`,
	)
	claude = chunks(
		`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"usage":{"input_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,"output_tokens":1}}}`,
		`{"type":"ping"}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}`,
		`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":8}}`,
	)
)

func TestReader(t *testing.T) {
	for _, c := range []struct {
		name   string
		stream []byte
		o      bedrock.ReaderOptions
		text   string
		usage  llm.Usage
		finish llm.FinishReason
		model  string
	}{
		{"converse", spoken, bedrock.ReaderOptions{Model: "m1"}, "Guten Tag 😀", llm.Usage{Input: 3, Output: 5, CacheRead: 4, CacheWrite: 3}, llm.FinishToolCalls, "m1"},
		{"anthropic", claude, bedrock.ReaderOptions{Invoke: true}, "Hi", llm.Usage{Input: 3, Output: 9, CacheRead: 4, CacheWrite: 2}, llm.FinishStop, "claude-x"},
		{"nova", chunks(
			`{"messageStart":{"role":"assistant"}}`, `{"contentBlockDelta":{"delta":{"text":"a"},"contentBlockIndex":0}}`,
			`{"contentBlockStop":{"contentBlockIndex":0}}`, `{"contentBlockDelta":{"delta":{"text":"b"},"contentBlockIndex":1}}`,
			`{"messageStop":{"stopReason":"max_tokens"}}`,
			`{"metadata":{"usage":{"inputTokens":1,"outputTokens":2,"cacheReadInputTokenCount":6}},"amazon-bedrock-invocationMetrics":{"inputTokenCount":9}}`,
		), bedrock.ReaderOptions{Invoke: true}, "ab", llm.Usage{Input: 1, Output: 2, CacheRead: 6}, llm.FinishLength, ""},
		{"titan", chunks(
			`{"outputText":"a","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":4}`,
			`{"outputText":"b","index":0,"totalOutputTextTokenCount":2,"completionReason":"FINISH","inputTextTokenCount":null}`,
		), bedrock.ReaderOptions{Invoke: true}, "ab", llm.Usage{Input: 4, Output: 2}, llm.FinishStop, ""},
		{
			"titan, blocked", chunks(`{"outputText":"no","index":0.0,"totalOutputTextTokenCount":0.0,"inputTextTokenCount":7.0,"amazon-bedrock-guardrailAction":"INTERVENED"}`),
			bedrock.ReaderOptions{Invoke: true},
			"no",
			llm.Usage{Input: 7},
			llm.FinishFilter, "",
		},
		{
			"llama", chunks(`{"generation":"a","prompt_token_count":3,"generation_token_count":1,"stop_reason":null}`,
				`{"generation":"b","prompt_token_count":null,"generation_token_count":2,"stop_reason":"length","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":2}}`),
			bedrock.ReaderOptions{Invoke: true},
			"ab",
			llm.Usage{Input: 3, Output: 2},
			llm.FinishLength, "",
		},
		{
			"mistral", chunks(`{"outputs":[{"text":"a","stop_reason":null}]}`,
				`{"outputs":[{"text":"b","stop_reason":"stop"}],"amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":2}}`),
			bedrock.ReaderOptions{Invoke: true},
			"ab",
			llm.Usage{Input: 3, Output: 2},
			llm.FinishStop, "",
		},
		{
			"gpt-oss", chunks(`{"choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}],"model":"gpt"}`,
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"x"}]},"finish_reason":"stop"}],"model":"gpt","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":2}}`),
			bedrock.ReaderOptions{Invoke: true},
			"a",
			llm.Usage{Input: 3, Output: 2},
			llm.FinishToolCalls, "gpt",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, src := range map[string]io.Reader{
				"at once": bytes.NewReader(c.stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(c.stream)),
				"end with the data": iotest.DataErrReader(bytes.NewReader(c.stream)),
				"more behind it":    bytes.NewReader(append(bytes.Clone(c.stream), "garbage"...)),
			} {
				a, err := readStream(src, c.o)
				if err != nil || a.text != c.text || a.Usage != c.usage || a.Finish != c.finish || a.Model != c.model || !a.useful {
					t.Errorf("%s: %q %v %q %q, %v", how, a.text, a.Usage, a.Finish, a.Model, err)
				}
				if !bytes.Equal(a.Body, c.stream) {
					t.Errorf("%s: the bytes differ", how)
				}
			}
			for cut := range len(c.stream) {
				if _, err := readStream(bytes.NewReader(c.stream[:cut]), c.o); llm.KindOf(err) != llm.ProviderTruncated {
					t.Fatalf("cut at %d of %d: %v", cut, len(c.stream), err)
				}
			}
		})
	}
}

// TestReaderEnds says what an end is that is not the answer's own.
func TestReaderEnds(t *testing.T) {
	stopped := spoken[:bytes.LastIndex(spoken, []byte("\x0b:event-type\x07\x00\x08metadata"))-12]
	for _, c := range []struct {
		name string
		src  io.Reader
		o    bedrock.ReaderOptions
		kind llm.Kind
		text string
	}{
		{"no metadata", bytes.NewReader(stopped), bedrock.ReaderOptions{}, llm.ProviderTruncated, "Guten Tag 😀"},
		{"metadata alone", bytes.NewReader(stream("messageStart", `{}`, "metadata", `{"usage":{"inputTokens":1}}`)), bedrock.ReaderOptions{}, llm.ProviderTruncated, ""},
		{"nothing", bytes.NewReader(nil), bedrock.ReaderOptions{}, llm.ProviderTruncated, ""},
		{"no message_stop", bytes.NewReader(claude[:len(claude)-10]), bedrock.ReaderOptions{Invoke: true}, llm.ProviderTruncated, "Hi"},
		{"broken", io.MultiReader(bytes.NewReader(stopped), iotest.ErrReader(errors.New("reset"))), bedrock.ReaderOptions{}, llm.ProviderTruncated, "Guten Tag 😀"},
		{"cancelled", io.MultiReader(bytes.NewReader(stopped), iotest.ErrReader(context.Canceled)), bedrock.ReaderOptions{}, llm.CallerCancelled, "Guten Tag 😀"},
		{"late", io.MultiReader(bytes.NewReader(stopped), iotest.ErrReader(context.DeadlineExceeded)), bedrock.ReaderOptions{}, llm.CallerDeadline, "Guten Tag 😀"},
		{"a timeout of ours", io.MultiReader(bytes.NewReader(stopped), iotest.ErrReader(llm.Errorf(llm.ProviderTimeout, "idle"))), bedrock.ReaderOptions{}, llm.ProviderTimeout, "Guten Tag 😀"},
		{"throttled", bytes.NewReader(bedrock.AppendException(bytes.Clone(stopped), "throttlingException", "Too many tokens")), bedrock.ReaderOptions{}, llm.ProviderRateLimited, "Guten Tag 😀"},
		{"model failed", bytes.NewReader(bedrock.AppendException(bytes.Clone(stopped), "modelStreamErrorException", "x")), bedrock.ReaderOptions{}, llm.ProviderError, "Guten Tag 😀"},
		{"failed", bytes.NewReader(bedrock.AppendException(nil, "internalServerException", "x")), bedrock.ReaderOptions{}, llm.ProviderError, ""},
		{"no capacity", bytes.NewReader(bedrock.AppendException(nil, "serviceUnavailableException", "x")), bedrock.ReaderOptions{}, llm.ProviderOverloaded, ""},
		{"model too slow", bytes.NewReader(bedrock.AppendException(nil, "modelTimeoutException", "x")), bedrock.ReaderOptions{Invoke: true}, llm.ProviderTimeout, ""},
		{"refused", bytes.NewReader(bedrock.AppendException(nil, "validationException", "x")), bedrock.ReaderOptions{}, llm.ProviderRejected, ""},
		{"too long", bytes.NewReader(bedrock.AppendException(nil, "validationException", "Input is too long for requested model.")), bedrock.ReaderOptions{}, llm.ProviderContextExceeded, ""},
		{"error in a chunk", bytes.NewReader(chunks(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)), bedrock.ReaderOptions{Invoke: true}, llm.ProviderOverloaded, ""},
		{"no JSON", bytes.NewReader(stream("messageStart", `{`)), bedrock.ReaderOptions{}, llm.ProviderMalformed, ""},
		{"no object", bytes.NewReader(stream("messageStop", `[]`)), bedrock.ReaderOptions{}, llm.ProviderMalformed, ""},
		{"no base64", bytes.NewReader(stream("chunk", `{"bytes":"?"}`)), bedrock.ReaderOptions{Invoke: true}, llm.ProviderMalformed, ""},
		{"no JSON in a chunk", bytes.NewReader(chunks(`{`)), bedrock.ReaderOptions{Invoke: true}, llm.ProviderMalformed, ""},
		{"a page", strings.NewReader("<html><body>hello, this is a proxy</body></html>"), bedrock.ReaderOptions{}, llm.ProviderMalformed, ""},
		{"message over the bound", bytes.NewReader(spoken), bedrock.ReaderOptions{MaxEvent: 128}, llm.ProviderMalformed, ""},
		{"stream over the bound", bytes.NewReader(spoken), bedrock.ReaderOptions{MaxBytes: 512}, llm.ProviderMalformed, ""},
		{"a reader that says nothing", silent{}, bedrock.ReaderOptions{}, llm.ProviderTruncated, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := readStream(c.src, c.o)
			if llm.KindOf(err) != c.kind || a.text != c.text && c.text != "" {
				t.Errorf("%q, %v", a.text, err)
			}
			if a.Finish != llm.FinishNone {
				t.Errorf("finish %q", a.Finish)
			}
		})
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

// TestReaderCuts reads one stream in pieces of any size: what is read does not depend on
// where they are cut, and an error stays.
func TestReaderCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SampledFrom([][]byte{spoken, claude}).Draw(t, "stream")
		o := bedrock.ReaderOptions{Invoke: &whole[0] == &claude[0]}
		sizes := rapid.SliceOfN(rapid.IntRange(1, 300), 1, 40).Draw(t, "sizes")
		want, err := readStream(bytes.NewReader(whole), o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readStream(&pieces{rest: whole, sizes: sizes}, o)
		if err != nil || !bytes.Equal(want.Body, got.Body) || want.text != got.text || want.Usage != got.Usage || want.Finish != got.Finish || want.events != got.events {
			t.Fatalf("%v\n%s", err, cmp.Diff(meaning(want), meaning(got)))
		}
	})
	r := bedrock.NewReader(bytes.NewReader(nil), bedrock.ReaderOptions{})
	_, first := r.Next()
	if _, second := r.Next(); first == nil || first != second {
		t.Errorf("%v, then %v", first, second)
	}
}

// pieces gives its bytes in pieces of the sizes, again and again.
type pieces struct {
	rest  []byte
	sizes []int
	at    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(len(p.rest), p.sizes[p.at%len(p.sizes)])])
	p.rest = p.rest[n:]
	p.at++
	return n, nil
}

func TestReadWhole(t *testing.T) {
	chat := func(d llm.Dialect) *llm.Request { return &llm.Request{Endpoint: llm.Chat, Model: "m", Dialect: d} }
	vectors := &llm.Request{Endpoint: llm.Embeddings, Model: "amazon.titan-embed-text-v2:0", Dialect: bedrock.Invoke{}}
	for _, c := range []struct {
		name, body string
		req        *llm.Request
		kind       llm.Kind
		text       string
		usage      llm.Usage
		finish     llm.FinishReason
	}{
		{"converse", `{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"a"},{"citationsContent":{"content":[{"text":"b"}],"citations":[]}}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"cacheReadInputTokens":3,"cacheReadInputTokenCount":3}}`, chat(bedrock.Converse{}), "", "ab", llm.Usage{Input: 1, Output: 2, CacheRead: 3}, llm.FinishStop},
		{"guardrail", `{"output":{"message":{"content":[{"text":"no"}]}},"stopReason":"guardrail_intervened"}`, chat(bedrock.Converse{}), "", "no", llm.Usage{}, llm.FinishFilter},
		{"filtered", `{"output":{"message":{"content":[]}},"stopReason":"content_filtered"}`, chat(bedrock.Converse{}), "", "", llm.Usage{}, llm.FinishFilter},
		{"window", `{"output":{"message":{"content":[{"text":"x"}]}},"stopReason":"model_context_window_exceeded"}`, chat(bedrock.Converse{}), "", "x", llm.Usage{}, llm.FinishLength},
		{"other reason", `{"output":{"message":{"content":[{"text":"x"}]}},"stopReason":"malformed_tool_use"}`, chat(bedrock.Converse{}), "", "x", llm.Usage{}, "malformed_tool_use"},
		{"server's own tool", `{"output":{"message":{"content":[{"toolUse":{"type":"server_tool_use","name":"search"}},{"text":"x"}]}},"stopReason":"end_turn"}`, chat(bedrock.Converse{}), "", "x", llm.Usage{}, llm.FinishStop},
		{"tool", `{"output":{"message":{"content":[{"toolUse":{"toolUseId":"1","name":"f","input":{}}}]}},"stopReason":"end_turn"}`, chat(bedrock.Converse{}), "", "", llm.Usage{}, llm.FinishToolCalls},
		{"anthropic", `{"id":"1","type":"message","role":"assistant","model":"claude","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"a"},{"type":"tool_use","id":"1","name":"f","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":3}}`, chat(bedrock.Invoke{}), "", "a", llm.Usage{Input: 1, Output: 2, CacheWrite: 3}, llm.FinishToolCalls},
		{"refusal", `{"type":"message","content":[],"stop_reason":"refusal"}`, chat(bedrock.Invoke{}), "", "", llm.Usage{}, llm.FinishRefusal},
		{"openai's form", `{"choices":[{"message":{"role":"assistant","content":"a"},"finish_reason":"stop"},{"message":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}`, chat(bedrock.Invoke{}), "", "a", llm.Usage{Input: 5, Output: 2, CacheRead: 4}, llm.FinishStop},
		{"unknown form", `{"answer":42}`, chat(bedrock.Invoke{}), "", "", llm.Usage{}, llm.FinishNone},
		{"titan's vector", `{"embedding":[0.5],"inputTextTokenCount":3}`, vectors, "", "", llm.Usage{Input: 3}, llm.FinishNone},
		{"no vector", `{"inputTextTokenCount":3}`, vectors, llm.ProviderMalformed, "", llm.Usage{}, ""},
		{"no output", `{}`, chat(bedrock.Converse{}), llm.ProviderMalformed, "", llm.Usage{}, ""},
		{"empty", ` `, chat(bedrock.Converse{}), llm.ProviderMalformed, "", llm.Usage{}, ""},
		{"page", `<html>`, chat(bedrock.Converse{}), llm.ProviderMalformed, "", llm.Usage{}, ""},
		{"array", `[]`, chat(bedrock.Invoke{}), llm.ProviderMalformed, "", llm.Usage{}, ""},
		{"cut", `{"output":{"message":{"content":[{"text":"a`, chat(bedrock.Converse{}), llm.ProviderMalformed, "", llm.Usage{}, ""},
		{"an error all the same", `{"__type":"ThrottlingException","message":"slow down"}`, chat(bedrock.Converse{}), llm.ProviderRateLimited, "", llm.Usage{}, ""},
		{"no such path", `{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}`, chat(bedrock.Converse{}), llm.ProviderMalformed, "", llm.Usage{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			chunk, err := bedrock.ReadWhole(c.req, []byte(c.body))
			if llm.KindOf(err) != c.kind {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			text := ""
			if chunk.Text != nil {
				text = chunk.Text()
			}
			if text != c.text || chunk.Usage != c.usage || chunk.Finish != c.finish || !chunk.Last || string(chunk.Raw) != c.body || chunk.Model == "" {
				t.Errorf("%+v, %q", chunk, text)
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add(spoken, false)
	f.Add(claude, true)
	f.Add(bedrock.AppendException(nil, "throttlingException", "x"), false)
	f.Fuzz(func(t *testing.T, b []byte, invoke bool) {
		o := bedrock.ReaderOptions{Invoke: invoke}
		whole, err := readStream(bytes.NewReader(b), o)
		parts, other := readStream(iotest.OneByteReader(bytes.NewReader(b)), o)
		if llm.KindOf(err) != llm.KindOf(other) || !bytes.Equal(whole.Body, parts.Body) || whole.text != parts.text || whole.Finish != parts.Finish {
			t.Fatalf("at once %v %q, in pieces %v %q", err, whole.text, other, parts.text)
		}
		if err == nil && (len(whole.Body) == 0 || !bytes.HasPrefix(b, whole.Body)) {
			t.Fatal("an answer that did not come")
		}
	})
}

// heldWhile is how many bytes a reader holds that has delivered all of parts and waits.
func heldWhile(o bedrock.ReaderOptions, parts ...[]byte) int {
	return llmtest.HeldWhileWaiting(func(r io.Reader) *bedrock.Reader { return bedrock.NewReader(r, o) }, parts...)
}

// Ten thousand streams that wait for their next event hold some ten megabytes: a stream
// holds little before its first event, after events of the usual size, and after a large one.
func TestReaderHoldsLittleWhileItWaits(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	event := stream("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":" token"},"p":"abcdefghijklmnop"}`)
	large := stream("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"`+long+`"}}`)
	chunk := chunks(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}`)
	largeChunk := chunks(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"` + long + `"}}`)
	for _, test := range []struct {
		name  string
		o     bedrock.ReaderOptions
		parts [][]byte
		most  int
	}{
		{"before the first event", bedrock.ReaderOptions{}, nil, 1800},
		{"after small events", bedrock.ReaderOptions{}, [][]byte{event, event, event}, 1800},
		{"after a burst", bedrock.ReaderOptions{}, [][]byte{bytes.Repeat(event, 100), event}, 4000},
		{"after a large event", bedrock.ReaderOptions{}, [][]byte{event, large}, 4000},
		{"small again", bedrock.ReaderOptions{}, [][]byte{event, large, event, event}, 1800},
		{"chunks of InvokeModel", bedrock.ReaderOptions{Invoke: true}, [][]byte{chunk, chunk}, 2000},
		{"after a large chunk of InvokeModel", bedrock.ReaderOptions{Invoke: true}, [][]byte{chunk, largeChunk}, 4000},
	} {
		got := heldWhile(test.o, test.parts...)
		t.Logf("%s: %d bytes", test.name, got)
		if got > test.most {
			t.Errorf("%s: a stream holds %d bytes", test.name, got)
		}
	}
}
