package translate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// answering is a provider that answers every call with the same bytes, read by the
// dialect that it speaks.
type answering struct {
	body     []byte
	byteWise bool // the bytes come one by one

	mu   sync.Mutex
	seen []*llm.Request
}

func (a *answering) Call(_ context.Context, model string, req *llm.Request) (llm.Stream, error) {
	a.mu.Lock()
	a.seen = append(a.seen, req)
	a.mu.Unlock()
	r := io.Reader(bytes.NewReader(a.body))
	if a.byteWise {
		r = iotest.OneByteReader(r)
	}
	if !req.Stream {
		read := func() (llm.Chunk, error) { return bedrock.ReadWhole(req, a.body) }
		if req.Dialect.Name() == openai.Name {
			read = func() (llm.Chunk, error) { return openai.ReadWhole(req.Endpoint, a.body) }
		}
		c, err := read()
		if err != nil {
			return nil, err
		}
		return &llm.OneChunk{Chunk: c}, nil
	}
	if req.Dialect.Name() == openai.Name {
		return unclosed{openai.NewReader(r, openai.ReaderOptions{})}, nil
	}
	return unclosed{bedrock.NewReader(r, bedrock.ReaderOptions{Model: model})}, nil
}

type unclosed struct {
	reader interface{ Next() (llm.Chunk, error) }
}

func (u unclosed) Next() (llm.Chunk, error) { return u.reader.Next() }
func (u unclosed) Close() error             { return nil }

// said is what an answer says, in words of neither format.
type said struct {
	Text, Reasoning, Signature string
	Calls                      []string
	Finish                     llm.FinishReason
	Usage                      llm.Usage
}

// input is a call's arguments, spelled alike.
func input(raw string) string {
	if strings.TrimSpace(raw) == "" {
		return "{}"
	}
	var v any
	if json.Unmarshal([]byte(raw), &v) != nil {
		return raw
	}
	return js(v)
}

func num(v any) int64 { f, _ := v.(float64); return int64(f) }

// chatSays reads a whole chat answer.
func chatSays(body []byte) (s said) {
	o := parsed(body)
	choice := obj(list(o["choices"])[0])
	m := obj(choice["message"])
	s.Text, s.Reasoning = str(m["content"])+str(m["refusal"]), str(m["reasoning_content"])
	if s.Reasoning == "" {
		s.Reasoning = str(m["reasoning"])
	}
	for _, b := range list(m["thinking_blocks"]) {
		s.Signature += str(obj(b)["signature"])
	}
	for _, c := range list(m["tool_calls"]) {
		f := obj(obj(c)["function"])
		s.Calls = append(s.Calls, str(obj(c)["id"])+" "+str(f["name"])+" "+input(str(f["arguments"])))
	}
	u := obj(o["usage"])
	d := obj(u["prompt_tokens_details"])
	s.Usage = llm.Usage{CacheRead: num(d["cached_tokens"]), CacheWrite: num(d["cache_creation_tokens"]), Output: num(u["completion_tokens"])}
	s.Usage.Input = num(u["prompt_tokens"]) - s.Usage.CacheRead - s.Usage.CacheWrite
	s.Finish = llm.FinishReason(str(choice["finish_reason"]))
	if s.Finish == "stop" && len(s.Calls) > 0 {
		s.Finish = "tool_calls"
	}
	return s
}

// converseSays reads a whole answer of Converse.
func converseSays(body []byte) (s said) {
	o := parsed(body)
	for _, b := range list(obj(obj(o["output"])["message"])["content"]) {
		for kind, v := range obj(b) {
			switch kind {
			case "text":
				s.Text += str(v)
			case "citationsContent":
				for _, c := range list(obj(v)["content"]) {
					s.Text += str(obj(c)["text"])
				}
			case "reasoningContent":
				r := obj(obj(v)["reasoningText"])
				s.Reasoning += str(r["text"])
				s.Signature += str(r["signature"])
			case "toolUse":
				u := obj(v)
				s.Calls = append(s.Calls, str(u["toolUseId"])+" "+str(u["name"])+" "+input(js(u["input"])))
			}
		}
	}
	u := obj(o["usage"])
	s.Usage = llm.Usage{Input: num(u["inputTokens"]), Output: num(u["outputTokens"]), CacheRead: num(u["cacheReadInputTokens"]), CacheWrite: num(u["cacheWriteInputTokens"])}
	s.Finish = map[string]llm.FinishReason{
		"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
		"tool_use": "tool_calls", "guardrail_intervened": "content_filter", "content_filtered": "content_filter",
	}[str(o["stopReason"])]
	return s
}

// collect reads a stream of chunks that must end well, and checks what each chunk says of
// itself.
func collect(t *testing.T, s llm.Stream, text string) llm.Response {
	t.Helper()
	defer s.Close()
	var res llm.Response
	var told strings.Builder
	last := false
	for first := true; ; first = false {
		c, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		if last {
			t.Error("a chunk follows the last one")
		}
		if len(c.Raw) == 0 || c.Events == 0 {
			t.Errorf("a chunk of %d bytes and %d events", len(c.Raw), c.Events)
		}
		if c.Text != nil {
			told.WriteString(c.Text())
		}
		last = c.Last
		res.Add(c, first)
	}
	if !last {
		t.Error("no chunk says that it is the last one")
	}
	if _, err := s.Next(); err != io.EOF {
		t.Errorf("Next after the end: %v", err)
	}
	if told.String() != text {
		t.Errorf("the chunks' texts are %q, want %q", told.String(), text)
	}
	return res
}

// readBack reads an answer in the form that req asks for with the dialect's own reader,
// and returns it whole.
func readBack(t *testing.T, req *llm.Request, body []byte) []byte {
	t.Helper()
	if !req.Stream {
		return body
	}
	var reader interface{ Next() (llm.Chunk, error) } = openai.NewReader(bytes.NewReader(body), openai.ReaderOptions{})
	if req.Dialect.Name() == bedrock.NameConverse {
		reader = bedrock.NewReader(bytes.NewReader(body), bedrock.ReaderOptions{})
	}
	for {
		if _, err := reader.Next(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("the dialect's reader: %v", err)
			}
			break
		}
	}
	whole := *req
	whole.Stream = false
	joined, err := req.Dialect.Reshape(&whole, body, true)
	if err != nil {
		t.Fatalf("the answer cannot be made whole: %v", err)
	}
	return joined
}
