package openai_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

const (
	user = `[{"role":"user","content":"hi"}]`
	ok   = `{"model":"m","messages":` + user // lacks the brace at its end
)

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// accepted are bodies of the model m with what must be read from them. Where PromptBytes
// is 0 the messages are those of user.
var accepted = []struct {
	name, body string
	want       openai.Head
}{
	{"least", `{"model":"m","messages":` + user + `}`, openai.Head{}},
	{
		"all", ` {"model":"m","messages":` + user + `,"stream":true,"stream_options":{"include_usage":true,"x":1},"user":"u",` +
			`"max_tokens":10,"max_completion_tokens":20,"n":3,"tools":[{"type":"function"}],"temperature":0.5}` + "\n",
		openai.Head{Stream: true, IncludeUsage: true, User: "u", MaxTokens: 20, N: 3, HasTools: true},
	},
	{"escapes", `{"mod\u0065l":"\u006d","messages":` + user + `,"user":"\ud83d\ude00"}`, openai.Head{User: "😀"}},
	{
		"nulls", `{"model":"m","messages":` + user + `,"stream":null,"stream_options":null,"user":null,"max_tokens":null,"n":null,"tools":null,"cache":null}`,
		openai.Head{},
	},
	{"stream options without stream", `{"model":"m","messages":` + user + `,"stream_options":{"include_usage":true}}`, openai.Head{IncludeUsage: true}},
	{"no tokens", `{"model":"m","messages":` + user + `,"max_tokens":0}`, openai.Head{}},
	{"endless tokens", `{"model":"m","messages":` + user + `,"max_tokens":-1,"n":0}`, openai.Head{}},
	{"odd numbers", `{"model":"m","messages":` + user + `,"max_tokens":1.5e2,"seed":123456789012345678901234567890}`, openai.Head{MaxTokens: 150}},
	{"unknown members", `{"model":"m","messages":` + user + `,"x":{"y":[null,true,1e-7]},"temperature":99}`, openai.Head{}},
	{"odd messages", `{"model":"m","messages":[1]}`, openai.Head{PromptBytes: 3}},
	{"same names in other objects", `{"model":"m","messages":` + user + `,"a":{"model":1},"b":{"model":2}}`, openai.Head{}},
	{"as deep as allowed", `{"model":"m","messages":` + user + `,"x":` + nested(openai.MaxDepth-1) + `}`, openai.Head{}},
	{"brackets in text", `{"model":"m","messages":` + user + `,"x":"` + strings.Repeat("[{", 99) + `\"["}`, openai.Head{}},
	{"no tools", `{"model":"m","messages":` + user + `,"tools":[],"functions":[ ]}`, openai.Head{}},
	{"functions", `{"model":"m","messages":` + user + `,"functions":[{}],"tools":[]}`, openai.Head{HasTools: true}},
	{
		"cache", `{"model":"m","messages":` + user + `,"cache":{"no-cache":true,"no-store":true,"ttl":300,"s-maxage":60.9,"namespace":"n","use-cache":true}}`,
		openai.Head{Cache: llm.CacheDirectives{NoRead: true, NoWrite: true, TTL: 5 * time.Minute, MaxAge: time.Minute, Namespace: "n"}},
	},
	{"cache of no age", `{"model":"m","messages":` + user + `,"cache":{"s-maxage":0,"no-cache":false}}`, openai.Head{Cache: llm.CacheDirectives{NoRead: true}}},
	{"cache for ages", `{"model":"m","messages":` + user + `,"cache":{"ttl":1e30}}`, openai.Head{Cache: llm.CacheDirectives{TTL: 9223372036 * time.Second}}},
}

func TestParseChatAccepts(t *testing.T) {
	for _, test := range accepted {
		t.Run(test.name, func(t *testing.T) {
			got, err := openai.ParseChat([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			test.want.Model = "m"
			test.want.N = max(test.want.N, 1)
			if test.want.PromptBytes == 0 {
				test.want.PromptBytes = len(user)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("head (-want +got):\n%s", diff)
			}
		})
	}
}

// refused are bodies with what each refusal must say: the parameter, and pieces of the message.
var refused = []struct {
	name, body, param string
	says              []string
}{
	{"nothing", "", "", []string{"empty"}},
	{"space", " \n", "", []string{"empty"}},
	{"byte order mark", "\xef\xbb\xbf" + ok + "}", "", []string{"byte order mark", "at byte 0 (line 1, column 1)"}},
	{"array", `[1]`, "", []string{"an array, not an object", "at byte 0"}},
	{"string", ` "x"`, "", []string{"a string, not an object", "at byte 1"}},
	{"null", `null`, "", []string{"null, not an object"}},
	{"number", `12`, "", []string{"a number, not an object"}},
	{"words", `hello`, "", []string{"'h'", "at byte 0"}},
	{"cut", ok, "", []string{"ends too early", "at byte 56"}},
	{"cut in a string", `{"model":"gpt`, "model", []string{"ends too early", "in /model"}},
	{"something behind", ok + "} x", "", []string{"follows", "at byte 58"}},
	{"second object", ok + "}\n{}", "", []string{"follows", "at byte 58 (line 2, column 1)"}},
	{"duplicate", ok + `,"model":"n"}`, "model", []string{`duplicate member "model"`, "at byte 57", "in /model", "once"}},
	{"duplicate by escape", ok + `,"mod\u0065l":"n"}`, "model", []string{`duplicate member "model"`}},
	{"deep duplicate", `{"model":"m","messages":[{"role":"user",` + "\n" + `"role":"system"}]}`, "messages[0].role", []string{`"role"`, "(line 2, column 1)", "in /messages/0/role"}},
	{"duplicate of a member nobody reads", ok + `,"x":{"a":1,"a":1}}`, "x.a", []string{"duplicate"}},
	{"invalid UTF-8", ok + ",\"user\":\"\xff\"}", "user", []string{"UTF-8", "at byte 65", "in /user"}},
	{"invalid UTF-8 in a name", ok + ",\"\xc3\":1}", "", []string{"UTF-8"}},
	{"overlong UTF-8", ok + ",\"user\":\"\xc0\x80\"}", "user", []string{"UTF-8"}},
	{"surrogate in UTF-8", ok + ",\"user\":\"\xed\xa0\x80\"}", "user", []string{"UTF-8"}},
	{"lone surrogate", ok + `,"user":"\ud800"}`, "user", []string{`\ud800`}},
	{"wrong pair", ok + `,"user":"\ud800\u0041"}`, "user", []string{`\ud800`}},
	{"low surrogate first", ok + `,"user":"\ude00\ud83d"}`, "user", []string{`\ude00`}},
	{"bad escape", ok + `,"user":"\x"}`, "user", []string{`\x`}},
	{"control character", ok + ",\"user\":\"a\tb\"}", "user", []string{"in string"}},
	{"single quotes", `{'model':'m'}`, "", []string{"at byte 1"}},
	{"comment", `{/* */}`, "", []string{"'/'"}},
	{"trailing comma", ok + `,}`, "", []string{"'}'"}},
	{"two commas", ok + `,,"a":1}`, "", []string{"','"}},
	{"missing colon", ok + `,"a" 1}`, "a", []string{"expecting ':'"}},
	{"NaN", ok + `,"temperature":NaN}`, "temperature", []string{"'N'"}},
	{"leading zero", ok + `,"n":01}`, "", []string{"'1'"}},
	{"plus sign", ok + `,"n":+1}`, "n", []string{"'+'"}},
	{"bare dot", ok + `,"n":1.}`, "n", []string{"in number"}},
	{"hexadecimal", ok + `,"n":0x1}`, "", []string{"'x'"}},
	{"wrong literal", ok + `,"stream":True}`, "stream", []string{"'T'"}},
	{"wrong bracket", `{"model":"m","messages":[}`, "messages[0]", []string{"'}'"}},
	{"NUL behind", ok + "}\x00", "", []string{"follows"}},
	{"too deep", ok + `,"x":` + nested(openai.MaxDepth) + `}`, "", []string{"nested too deep", "json_depth = 64", "at byte 124"}},
	{"far too deep", ok + `,"x":` + nested(20_000) + `}`, "", []string{"nested too deep", "json_depth = 64"}},
	{"too deep and cut", strings.Repeat(`{"a":`, 1000), "", []string{"nested too deep"}},
	{"no model", `{"messages":` + user + `}`, "model", []string{"missing or empty"}},
	{"empty model", `{"model":"","messages":` + user + `}`, "model", []string{"missing or empty"}},
	{"null model", `{"model":null,"messages":` + user + `}`, "model", []string{"missing or empty"}},
	{"model of another case", `{"Model":"m","messages":` + user + `}`, "model", []string{"missing or empty"}},
	{"no messages", `{"model":"m"}`, "messages", []string{"missing or empty"}},
	{"null messages", `{"model":"m","messages":null}`, "messages", []string{"missing or empty"}},
	{"empty messages", `{"model":"m","messages":[ ]}`, "messages", []string{"missing or empty"}},
	{"model a number", `{"model":7,"messages":` + user + `}`, "model", []string{"model must be a string and is a number", "at byte 9"}},
	{"model an array", `{"model":["m"],"messages":` + user + `}`, "model", []string{"is an array"}},
	{"messages a string", `{"model":"m","messages":"hi"}`, "messages", []string{"messages must be an array and is a string"}},
	{"messages an object", `{"model":"m","messages":{}}`, "messages", []string{"is an object"}},
	{"stream a string", ok + `,"stream":"true"}`, "stream", []string{"stream must be a boolean and is a string"}},
	{"stream a number", ok + `,"stream":1}`, "stream", []string{"is a number"}},
	{"stream options a boolean", ok + `,"stream_options":true}`, "stream_options", []string{"an object and is a boolean"}},
	{"include usage a number", ok + `,"stream_options":{"include_usage":1}}`, "stream_options.include_usage", []string{"a boolean and is a number"}},
	{"user an object", ok + `,"user":{}}`, "user", []string{"a string and is an object"}},
	{"max tokens a string", ok + `,"max_tokens":"5"}`, "max_tokens", []string{"a number and is a string"}},
	{"max completion tokens an array", ok + `,"max_completion_tokens":[]}`, "max_completion_tokens", []string{"is an array"}},
	{"n a boolean", ok + `,"n":true}`, "n", []string{"is a boolean"}},
	{"tools an object", ok + `,"tools":{}}`, "tools", []string{"an array and is an object"}},
	{"cache a boolean", ok + `,"cache":true}`, "cache", []string{"an object and is a boolean"}},
	{"ttl negative", ok + `,"cache":{"ttl":-1}}`, "cache.ttl", []string{"not negative"}},
	{"ttl a string", ok + `,"cache":{"ttl":"5m"}}`, "cache.ttl", []string{"seconds"}},
	{"namespace a number", ok + `,"cache":{"namespace":1}}`, "cache.namespace", []string{"a string"}},
}

func TestParseChatRefuses(t *testing.T) {
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			_, err := openai.ParseChat([]byte(test.body))
			checkRefusal(t, err, test.param, test.says)
		})
	}
}

func checkRefusal(t *testing.T, err error, param string, says []string) {
	t.Helper()
	var e *llm.Error
	if !errors.As(err, &e) || e.Kind != llm.CallerInvalidRequest {
		t.Fatalf("got %v, want %s", err, llm.CallerInvalidRequest)
	}
	if e.Param != param {
		t.Errorf("param %q, want %q", e.Param, param)
	}
	for _, piece := range says {
		if !strings.Contains(e.Text(), piece) {
			t.Errorf("%q does not say %q", e.Text(), piece)
		}
	}
	if !utf8.ValidString(e.Text()) || len(e.Text()) > 1000 {
		t.Errorf("message of %d bytes: %q", len(e.Text()), e.Text())
	}
}

func TestParseEmbeddings(t *testing.T) {
	for _, test := range []struct {
		input string
		size  int
		texts int
	}{
		{`"hi"`, 4, 1}, {`""`, 2, 1}, {`["a","b"]`, 9, 2}, {`[1,2,3]`, 7, 1}, {`[[1,2],[3]]`, 11, 2},
	} {
		got, err := openai.ParseEmbeddings([]byte(`{"model":"m","input":` + test.input + `,"dimensions":8,"encoding_format":"base64","user":"u","cache":{"ttl":1}}`))
		want := openai.Head{
			Model: "m", User: "u", N: 1, PromptBytes: test.size, Inputs: test.texts, Dimensions: 8, Base64: true,
			Cache: llm.CacheDirectives{TTL: time.Second},
		}
		if err != nil {
			t.Errorf("%s: %v", test.input, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.input, diff)
		}
	}
	for _, test := range []struct{ name, body, param string }{
		{"no input", `{"model":"m"}`, "input"},
		{"null input", `{"model":"m","input":null}`, "input"},
		{"empty input", `{"model":"m","input":[]}`, "input"},
		{"input an object", `{"model":"m","input":{}}`, "input"},
		{"input a number", `{"model":"m","input":1}`, "input"},
		{"no model", `{"input":"x"}`, "model"},
		{"format a number", `{"model":"m","input":"x","encoding_format":1}`, "encoding_format"},
		{"dimensions a string", `{"model":"m","input":"x","dimensions":"8"}`, "dimensions"},
		{"duplicate", `{"model":"m","input":"x","input":"y"}`, "input"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := openai.ParseEmbeddings([]byte(test.body))
			checkRefusal(t, err, test.param, nil)
		})
	}
}

// Two texts are kept, model and user. The bound leaves room for jsontext's pools, which
// the race detector empties at random.
func TestParseChatAllocatesLittle(t *testing.T) {
	body := chatBody(2048)
	if n := testing.AllocsPerRun(100, func() { _, _ = openai.ParseChat(body) }); n > 10 {
		t.Errorf("%v allocations", n)
	}
}

// A body that is accepted is JSON to encoding/json too, which sees the same model, and
// its members once each.
func FuzzParseChat(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}`,
		`{"mod\u0065l":"\ud83d\ude00","messages":[1],"cache":{"ttl":1e3,"s-maxage":0}}`,
		`{"model":"m","model":"n","messages":[]}`, "\xef\xbb\xbf{}", `{"a":[[[[{}]]]]}`, `{"model":"\ud800"}`, `{"model":1e999}`,
		`{"model":"m","messages":[{}],"max_tokens":-0.5e-7,"tools":[ ],"n":99999999999999999999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := openai.ParseChat(body)
		_, _ = openai.ParseEmbeddings(body)
		if err != nil {
			e := llm.AsError(err)
			if e.Kind != llm.CallerInvalidRequest || !utf8.ValidString(e.Text()) {
				t.Fatalf("error %v", err)
			}
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		var model string
		if err := json.Unmarshal(members["model"], &model); err != nil || model != h.Model {
			t.Fatalf("model %q, encoding/json has %q (%v)", h.Model, model, err)
		}
		edited, err := openai.SetModel(body, "other")
		if err != nil {
			t.Fatal(err)
		}
		h.Model = "other"
		if again, err := openai.ParseChat(edited); err != nil || again != h {
			t.Fatalf("after SetModel: %+v, %v; want %+v", again, err, h)
		}
		if _, err := (openai.Dialect{}).Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: body}, false); err != nil {
			t.Fatalf("accepted, but without a canonical form: %v", err)
		}
	})
}
