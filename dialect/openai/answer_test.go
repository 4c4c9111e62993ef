package openai_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

func TestAnswerIsTheSameInBothForms(t *testing.T) {
	for _, a := range []openai.Answer{
		{ID: "1", Model: "m", Created: 5, Text: "Hi \"there\"\n", Usage: llm.Usage{Input: 3, CacheRead: 2, Output: 4}},
		{ID: "2", Model: "m", ToolCalls: []openai.ToolCall{{ID: "a", Name: "f", Arguments: `{"x":"y"}`}, {ID: "b", Name: "g", Arguments: "{}"}}},
		{ID: "3", Model: "m\xff", Text: "bad \xff byte", Finish: llm.FinishLength},
	} {
		body := openai.AppendChatBody(nil, &a)
		events := openai.AppendStream(nil, &a, true)
		joined := reshape(t, chat(false, false), events, true)
		if len(a.ToolCalls) > 0 { // a stream begins with empty content
			var m map[string]any
			_ = json.Unmarshal(joined, &m)
			m["choices"].([]any)[0].(map[string]any)["message"].(map[string]any)["content"] = nil
			joined, _ = json.Marshal(m)
		}
		same(t, a.ID, body, joined)
		c, err := openai.ReadWhole(llm.Chat, body)
		if err != nil {
			t.Fatal(err)
		}
		o := read(openai.ReaderOptions{}, events)
		if c.Text() != o.Text || c.Usage != a.Usage || o.Usage != a.Usage || c.Finish != o.Finish || c.Model != o.Model || !c.Useful || !o.Useful {
			t.Errorf("whole %+v, events %+v", c, o)
		}
	}
	if got := openai.AppendToolCallChunk(nil, &openai.Answer{}, 0); got != nil {
		t.Errorf("a call out of range: %s", got)
	}
}

func TestAppendEmbeddings(t *testing.T) {
	v := &openai.Vectors{Model: "e", Data: [][]float32{{0.1, -2, 1e-20}, {float32(math.NaN()), float32(math.Inf(1))}}, Usage: llm.Usage{Input: 7}}
	same(t, "numbers", []byte(`{"object":"list","data":[
		{"object":"embedding","index":0,"embedding":[0.1,-2,1e-20]},{"object":"embedding","index":1,"embedding":[0,0]}],
		"model":"e","usage":{"prompt_tokens":7,"total_tokens":7}}`), openai.AppendEmbeddings(nil, v))
	c, err := openai.ReadWhole(llm.Embeddings, openai.AppendEmbeddings(nil, v))
	if err != nil || !c.Useful || c.Usage != v.Usage || c.Model != "e" || c.Text != nil {
		t.Errorf("%+v, %v", c, err)
	}
	v.Base64 = true
	var got struct {
		Data []struct{ Embedding string }
	}
	if err := json.Unmarshal(openai.AppendEmbeddings(nil, v), &got); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(got.Data[0].Embedding)
	if err != nil || len(raw) != 12 || math.Float32frombits(binary.LittleEndian.Uint32(raw[4:])) != -2 {
		t.Errorf("base64: %x, %v", raw, err)
	}
}

func TestModels(t *testing.T) {
	models := []llm.ModelInfo{{ID: "a", OwnedBy: "o", Created: 5}, {ID: `b"`}}
	got, err := openai.DecodeModels(openai.EncodeModels(models))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(models, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	same(t, "one", []byte(`{"id":"a","object":"model","created":5,"owned_by":"o"}`), openai.EncodeModel(models[0]))
	same(t, "none", []byte(`{"object":"list","data":[]}`), openai.EncodeModels(nil))
	got, err = openai.DecodeModels([]byte(`{"data":[{"id":"x","created":1.7e9,"owned_by":null},{"name":"no id"},3]}`))
	if diff := cmp.Diff([]llm.ModelInfo{{ID: "x", Created: 1700000000}}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, body := range []string{"", "<html>", "[]", `{"data":{}}`, `{"data":[`} {
		if _, err := openai.DecodeModels([]byte(body)); llm.KindOf(err) != llm.ProviderMalformed {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// wholes are bodies with status 200, the kind of error that they are, and their text.
var wholes = []struct {
	name, body string
	endpoint   llm.Endpoint
	want       llm.Kind // empty: success
	text       string
}{
	{"parts", `{"model":"a\/b","choices":[{"message":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"a"},{"text":"b"},1]}}]}`, llm.Chat, "", "ab"},
	{"second choice first", `{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}`, llm.Chat, "", "a"},
	{"no text", `{"choices":[{"message":{"content":null}}]}`, llm.Chat, "", ""},
	{"null error", `{"error":null,"choices":[]}`, llm.Chat, "", ""},
	{"page", "<!DOCTYPE html><html></html>", llm.Chat, llm.ProviderMalformed, ""},
	{"nothing", " ", llm.Chat, llm.ProviderMalformed, ""},
	{"array", "[]", llm.Chat, llm.ProviderMalformed, ""},
	{"cut", `{"choices":[`, llm.Chat, llm.ProviderMalformed, ""},
	{"two", `{"choices":[]}{}`, llm.Chat, llm.ProviderMalformed, ""},
	{"something else", `{"status":"ok"}`, llm.Chat, llm.ProviderMalformed, ""},
	{"chat for embeddings", `{"choices":[]}`, llm.Embeddings, llm.ProviderMalformed, ""},
	{"error", `{"error":{"message":"x","code":"insufficient_quota"}}`, llm.Chat, llm.ProviderQuotaExceeded, ""},
	{"error as text", `{"error":"model not loaded"}`, llm.Embeddings, llm.ProviderError, ""},
}

func TestReadWhole(t *testing.T) {
	c, err := openai.ReadWhole(llm.Chat, sample(t, "whole.json"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Usage != (llm.Usage{Input: 20, CacheRead: 10, Output: 12}) || c.Finish != llm.FinishFilter || c.Model != "gpt-test" || !c.Useful || c.Text() != "Yes ✓" || c.Events != 1 {
		t.Errorf("%+v, text %q", c, c.Text())
	}
	for _, test := range wholes {
		t.Run(test.name, func(t *testing.T) {
			c, err := openai.ReadWhole(test.endpoint, []byte(test.body))
			if llm.KindOf(err) != test.want {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if err == nil && c.Text() != test.text {
				t.Errorf("text %q, want %q", c.Text(), test.text)
			}
		})
	}
	if c, _ := openai.ReadWhole(llm.Chat, []byte(`{"model":"a\/b","choices":[]}`)); c.Model != "a/b" {
		t.Errorf("model %q", c.Model)
	}
}
