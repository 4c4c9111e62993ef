package openai_test

import (
	"testing"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

func TestLastTurn(t *testing.T) {
	const user = `{"role":"user","content":" Ho\u0308w \n"}`
	for _, test := range []struct{ name, body, text, rest string }{
		{
			"a question", `{"user":"u","model":"m","messages":[` + user + `],"stream":true}`,
			"Höw", `{"messages":[{"content":"","role":"user"}],"model":"m"}`,
		},
		{
			"a conversation", `{"messages":[{"role":"system","content":" s "},{"role":"user","content":"a"},{"role":"assistant","content":" b "},{"role":"user","content":"say \"c\"\\","name":"x"}]}`,
			`say "c"\`, `{"messages":[{"content":"s","role":"system"},{"content":"a","role":"user"},{"content":" b ","role":"assistant"},{"content":"","name":"x","role":"user"}]}`,
		},
		{
			"one part", `{"messages":[{"content":[{"text":"a ","type":"text","cache_control":{"type":"ephemeral"}}],"role":"user"}]}`,
			"a", `{"messages":[{"content":[{"cache_control":{"type":"ephemeral"},"text":"","type":"text"}],"role":"user"}]}`,
		},
		{
			"what means nothing", `{"n":1.0,"tools":[],"functions":null,"tool_choice":null,"response_format":{"type":"json_object"},"messages":[{"content":"a","role":"user"}]}`,
			"a", `{"functions":null,"messages":[{"content":"","role":"user"}],"n":1,"response_format":{"type":"json_object"},"tool_choice":null,"tools":[]}`,
		},
		{"format null", `{"response_format":null,"messages":[{"content":"a","role":"user"}]}`, "a", `{"messages":[{"content":"","role":"user"}],"response_format":null}`},
	} {
		req := &llm.Request{Endpoint: llm.Chat, Body: []byte(test.body)}
		text, rest, ok := openai.Dialect{}.LastTurn(req)
		if !ok || text != test.text || string(rest) != test.rest {
			t.Errorf("%s: %q, %s, %v", test.name, text, rest, ok)
		}
	}
}

func TestLastTurnIsNotToBeHad(t *testing.T) {
	const user = `"messages":[{"role":"user","content":"a"}]`
	for _, body := range []string{
		``, `{`, `[]`, `{}`, `{"messages":null}`, `{"messages":[]}`, `{"messages":{"role":"user","content":"a"}}`,
		`{` + user + `,"tools":[{"type":"function"}]}`, `{` + user + `,"functions":[{}]}`, `{` + user + `,"tool_choice":"none"}`,
		`{` + user + `,"function_call":"auto"}`, `{` + user + `,"n":2}`, `{` + user + `,"n":"1"}`, `{"n":0,` + user + `}`,
		`{` + user + `,"response_format":{"type":"json_schema","json_schema":{}}}`, `{"response_format":{"type":"x"},` + user + `}`,
		`{` + user + `,"response_format":{}}`, `{` + user + `,"response_format":"text"}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
		`{"messages":[{"role":"user","content":"a"},"b"]}`, `{"messages":[{"role":"user","content":"a"},{"role":"tool","content":"b"}]}`,
		`{"messages":[{"role":"system","content":"a"}]}`, `{"messages":[{"content":"a"}]}`, `{"messages":[{"role":"User","content":"a"}]}`,
		`{"messages":[{"role":"user","content":" \n"}]}`, `{"messages":[{"role":"user","content":null}]}`, `{"messages":[{"role":"user"}]}`,
		`{"messages":[{"role":"user","content":[]}]}`, `{"messages":[{"role":"user","content":[{"type":"text"}]}]}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}}]}]}`,
		`{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}},{"type":"text","text":"a"}]}]}`,
		`{"messages":[{"role":"user","content":[null,{"type":"text","text":"a"}]}]}`,
		`{"messages":[{"role":"user","content":"a","images":["u"]}]}`, `{"messages":[{"role":"user","content":"a"}],"model":"a","model":"b"}`,
	} {
		if text, rest, ok := (openai.Dialect{}).LastTurn(&llm.Request{Endpoint: llm.Chat, Body: []byte(body)}); ok || text != "" || rest != nil {
			t.Errorf("%s: %q, %s, %v", body, text, rest, ok)
		}
	}
	for _, endpoint := range []llm.Endpoint{llm.Embeddings, llm.Function} {
		if _, _, ok := (openai.Dialect{}).LastTurn(&llm.Request{Endpoint: endpoint, Body: []byte(`{` + user + `}`)}); ok {
			t.Errorf("%s has a last turn", endpoint)
		}
	}
}
