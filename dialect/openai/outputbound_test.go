package openai_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

func bounded(body string) *llm.Request {
	return &llm.Request{Endpoint: llm.Chat, Body: []byte(body), Dialect: openai.Dialect{}}
}

func TestMaxOutput(t *testing.T) {
	for body, want := range map[string]int{
		`{"model":"m"}`:                                        0,
		`{"model":"m","max_tokens":100}`:                       100,
		`{"max_completion_tokens":7,"max_tokens":100}`:         7,
		`{"max_tokens":100,"max_completion_tokens":7}`:         7,
		`{"max_completion_tokens":null,"max_tokens":100}`:      100,
		`{"max_completion_tokens":0,"max_tokens":100}`:         100,
		`{"max_output_tokens":3}`:                              3,
		`{"max_output_tokens":3,"max_tokens":4}`:               4,
		`{"max\u005ftokens":100}`:                              100,
		`{"max_tokens":1e3}`:                                   1000,
		`{"max_tokens":-5}`:                                    0,
		`{"max_tokens":"100"}`:                                 0,
		`{"max_tokens":99999999999999999999}`:                  1<<31 - 1,
		`{"x":{"max_tokens":5},"y":[{"max_tokens":6}]}`:        0,
		`{"max_tokens":5`:                                      0,
		`[]`:                                                   0,
		``:                                                     0,
		`{"max_tokens":5,"x":` + nested(openai.MaxDepth) + `}`: 0,
	} {
		if got := (openai.Dialect{}).MaxOutput(bounded(body)); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
	embed := bounded(`{"model":"m","max_tokens":5}`)
	embed.Endpoint = llm.Embeddings
	if n := (openai.Dialect{}).MaxOutput(embed); n != 0 {
		t.Errorf("embeddings: %d", n)
	}
	req := bounded(string(chatBody(2048)))
	if n := testing.AllocsPerRun(100, func() { (openai.Dialect{}).MaxOutput(req) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSimplify(t *testing.T) {
	for _, test := range []struct {
		name, body, model string
		most              int
		want              string
	}{
		{"both", `{"model":"a","max_tokens":900}`, "b", 100, `{"model":"b","max_tokens":100}`},
		{"the bound stands first", `{ "max_tokens" : 900 , "model" : "a" }`, "b", 100, `{ "max_tokens" : 100 , "model" : "b" }`},
		{"less already", `{"model":"a","max_tokens":90.0}`, "b", 100, `{"model":"b","max_tokens":90.0}`},
		{"just that", `{"model":"a","max_tokens":100}`, "b", 100, `{"model":"b","max_tokens":100}`},
		{"both bounds", `{"model":"a","max_tokens":900,"max_completion_tokens":50}`, "b", 100, `{"model":"b","max_tokens":100,"max_completion_tokens":50}`},
		{"no bound", `{ "model":"a"}`, "b", 100, `{ "max_completion_tokens":100,"model":"b"}`},
		{"null", `{"max_tokens":null,"model":"a"}`, "b", 100, `{"max_tokens":100,"model":"b"}`},
		{"zero", `{"max_tokens":0,"model":"a"}`, "b", 100, `{"max_tokens":100,"model":"b"}`},
		{"of another type", `{"max_tokens":[1,{"a":2}],"model":"a"}`, "b", 100, `{"max_tokens":100,"model":"b"}`},
		{"no bound asked for", `{"model":"a","max_tokens":900}`, "b", 0, `{"model":"b","max_tokens":900}`},
		{"no model asked for", `{"model":"a","max_tokens":900}`, "", 100, `{"model":"a","max_tokens":100}`},
		{"no model asked for in nothing", `{}`, "", 100, `{"max_completion_tokens":100}`},
		{"no model asked for in little", " { \n } ", "", 100, " { \n \"max_completion_tokens\":100} "},
		{"nothing asked for", `{"model":"a"}`, "", 0, `{"model":"a"}`},
		{"deeper ones stay", `{"model":"a","x":{"max_tokens":900},"max_tokens":5}`, "b", 100, `{"model":"b","x":{"max_tokens":900},"max_tokens":5}`},
		{"spelling stays", "{\"u\":\"\\u00e9\",\r\n\"seed\":1.50e+2, \"model\":\"a\"}\n", "b\"", 1, "{\"max_completion_tokens\":1,\"u\":\"\\u00e9\",\r\n\"seed\":1.50e+2, \"model\":\"b\\\"\"}\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := bounded(test.body)
			got, err := (openai.Dialect{}).Simplify(req, test.model, test.most)
			if err != nil || string(got) != test.want {
				t.Errorf("got %s, %v; want %s", got, err, test.want)
			}
			if string(req.Body) != test.body || len(got) > 0 && &got[0] == &req.Body[0] {
				t.Error("the request's own bytes are not left alone")
			}
		})
	}
	for _, body := range []string{``, `[]`, `{"max_tokens":1,"max_tokens":2,"model":"a"}`, `{"model":"a"`, `{"max_tokens":5}`, `{"model":"a","model":"b"}`} {
		if got, err := (openai.Dialect{}).Simplify(bounded(body), "b", 100); llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Errorf("%s became %s, %v", body, got, err)
		}
	}
	if _, err := (openai.Dialect{}).Simplify(bounded(`nonsense`), "", 0); err == nil {
		t.Error("nonsense passed, nothing being asked for")
	}
	embed := bounded(`{"model":"a","input":"x"}`)
	embed.Endpoint = llm.Embeddings
	if got, err := (openai.Dialect{}).Simplify(embed, "b", 100); err != nil || string(got) != `{"model":"b","input":"x"}` {
		t.Errorf("embeddings became %s, %v", got, err)
	}
}

// What was simplified asks the model for no more than the bound, and says else what it
// said before.
func FuzzSimplify(f *testing.F) {
	f.Add([]byte(`{"model":"m","max_tokens":900,"messages":[]}`), "n", 100)
	f.Add([]byte(` { "max_completion_tokens" : 1e2 , "model":"m", "max_tokens":null } `), "", 3)
	f.Add([]byte(`{}`), "", 1)
	f.Add([]byte(`{"m\u006fdel":"a","max\u005ftokens":7.9}`), "\"", 0)
	f.Fuzz(func(t *testing.T, body []byte, model string, most int) {
		req := bounded(string(body))
		got, err := (openai.Dialect{}).Simplify(req, model, most)
		if err != nil {
			return
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal(body, &before) != nil {
			return // of invalid UTF-8 and the like the door has had a look
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%s became %s: %v", body, got, err)
		}
		simpler := bounded(string(got))
		n := (openai.Dialect{}).MaxOutput(simpler)
		if most > 0 && (n <= 0 || n > most) && n != 1<<31-1 {
			t.Fatalf("%s became %s, which asks for %d tokens, not %d", body, got, n, most)
		}
		for _, name := range []string{"model", "max_tokens", "max_completion_tokens", "max_output_tokens"} {
			delete(before, name)
			delete(after, name)
		}
		if len(before) != len(after) {
			t.Fatalf("%s became %s", body, got)
		}
		for name, value := range before {
			if !bytes.Equal(value, after[name]) {
				t.Fatalf("%s became %s at %s", body, got, name)
			}
		}
	})
}
