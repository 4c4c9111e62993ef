package openai_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// form makes the canonical form of a chat with these messages.
func form(t *testing.T, messages string, verbatim bool) string {
	t.Helper()
	req := &llm.Request{Endpoint: llm.Chat, Body: []byte(`{"messages":[` + messages + `]}`)}
	b, err := openai.Dialect{}.Canonical(nil, req, verbatim)
	if err != nil {
		t.Fatalf("%s: %v", messages, err)
	}
	inner, ok := strings.CutPrefix(string(b), `{"messages":[`)
	if !ok {
		t.Fatalf("%s gives %s", messages, b)
	}
	return strings.TrimSuffix(inner, "]}")
}

// normalised are messages, and what is compared of them; empty for the same.
var normalised = []struct{ name, messages, want string }{
	{"trailing line break", `{"role":"user","content":"hi\n"}`, `{"content":"hi","role":"user"}`},
	{"content before role", `{"content":" hi ","role":"system"}`, `{"content":"hi","role":"system"}`},
	{"developer", `{"content":"\thi","role":"developer"}`, `{"content":"hi","role":"developer"}`},
	{"escaped role and name", `{"r\u006fle":"us\u0065r","c\u006fntent":" hi"}`, `{"content":"hi","role":"user"}`},
	{"escaped white space", `{"content":"\u0020\u00a0\u2003hi\u0085\u2028\f\u000b","role":"user"}`, `{"content":"hi","role":"user"}`},
	{"Unicode white space", "{\"content\":\"\u3000hi\u00a0\",\"role\":\"user\"}", `{"content":"hi","role":"user"}`},
	{"backslash and letter at the end", `{"content":"C:\\n","role":"user"}`, ``},
	{"quote at the start", `{"content":"\"hi\" \/ a\"","role":"user"}`, `{"content":"\"hi\" / a\"","role":"user"}`},
	{"nothing but white space", `{"content":" \n ","role":"user"},{"content":"","role":"user"}`, `{"content":"","role":"user"},{"content":"","role":"user"}`},
	{"inner white space", `{"content":"a  b\n\tc","role":"user"}`, ``},
	{"no white space to Unicode", `{"content":"` + "\u200bhi\ufeff" + `","role":"user"}`, ``},
	{"case", `{"content":"US us","role":"user"}`, ``},
	{"composed", `{"content":"u\u0308ber","role":"user"}`, `{"content":"über","role":"user"}`},
	{"raw and decomposed", "{\"content\":\"\u1112\u1161\u11ab A\u030a\",\"role\":\"user\"}", `{"content":"한 Å","role":"user"}`},
	{"one character for another", "{\"content\":\"\u212b\u2126\",\"role\":\"user\"}", "{\"content\":\"\u00c5\u03a9\",\"role\":\"user\"}"},
	{"no compatibility forms", `{"content":"x² ﬁ Ⅳ","role":"user"}`, ``},
	{"mark behind an escape", "{\"content\":\"a\\n\u0301b\",\"role\":\"user\"}", ``},
	{"order of marks", "{\"content\":\"q\u0323\u0307 q\u0307\u0323\",\"role\":\"user\"}", "{\"content\":\"q\u0323\u0307 q\u0323\u0307\",\"role\":\"user\"}"},
	{"surrogate pair", `{"content":" \ud83d\ude00 ","role":"user"}`, `{"content":"😀","role":"user"}`},
	{"assistant", `{"content":" u\u0308 ","role":"assistant"}`, "{\"content\":\" u\u0308 \",\"role\":\"assistant\"}"},
	{"tool", `{"content":" a ","role":"tool","tool_call_id":" x "}`, ``},
	{"unknown role", `{"content":" a ","role":"User"}`, ``},
	{"no role", `{"content":" a "}`, ``},
	{"name and the like", `{"content":"a","name":" n ","role":"user","x":" y "}`, ``},
	{"null and others", `{"content":null,"role":"user"},{"content":7,"role":"user"},null,[" a "]`, ``},
	{"one part", `{"content":[{"type":"text","text":" a "}],"role":"user"}`, `{"content":[{"text":"a","type":"text"}],"role":"user"}`},
	{"type behind the text", `{"content":[{"text":" a ","type":"te\u0078t"}],"role":"user"}`, `{"content":[{"text":"a","type":"text"}],"role":"user"}`},
	{
		"text, image, text", `{"content":[{"text":" a ","type":"text"},{"image_url":{"url":" u "},"type":"image_url"},{"text":" b ","type":"text"}],"role":"user"}`,
		`{"content":[{"text":"a","type":"text"},{"image_url":{"url":" u "},"type":"image_url"},{"text":"b","type":"text"}],"role":"user"}`,
	},
	{
		"texts that follow one another", `{"content":[{"text":" a ","type":"text"},{"text":" b ","type":"text"},{"text":" c ","type":"text"}],"role":"user"}`,
		`{"content":[{"text":"a ","type":"text"},{"text":" b ","type":"text"},{"text":" c","type":"text"}],"role":"user"}`,
	},
	{"other parts", `{"content":[{"text":" a ","type":"input"},{"text":" a "},{"refusal":" r ","type":"refusal"},{"text":[" a "],"type":"text"}," a ",null],"role":"user"}`, ``},
	{"more parts than memory", `{"content":[` + strings.Repeat(`{"type":"x"},{"text":" a ","type":"text"},`, 9) + `1],"role":"user"}`, `{"content":[` + strings.Repeat(`{"type":"x"},{"text":"a","type":"text"},`, 9) + `1],"role":"user"}`},
}

func TestCanonicalNormalisesTexts(t *testing.T) {
	for _, test := range normalised {
		t.Run(test.name, func(t *testing.T) {
			want := test.want
			if want == "" {
				want = test.messages
			}
			if got := form(t, test.messages, false); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			same(t, "verbatim", []byte("["+test.messages+"]"), []byte("["+form(t, test.messages, true)+"]"))
		})
	}
}

// Only the conversation of a chat is normalised, and only in its own place.
func TestCanonicalNormalisesNothingElse(t *testing.T) {
	const message = `[{"content":" a ","role":"user"}]`
	for _, test := range []struct {
		endpoint llm.Endpoint
		body     string
	}{
		{llm.Embeddings, `{"input":" a "}`},
		{llm.Embeddings, `{"input":["a\n","` + "u\u0308" + `"],"messages":` + message + `}`},
		{llm.Function, `{"messages":` + message + `}`},
		{llm.Chat, `{"prediction":{"content":" a ","type":"content"},"stop":["\n"," a "],"x":{"messages":` + message + `}}`},
		{llm.Chat, `{"Messages":` + message + `}`},
		{llm.Chat, `{"messages":{"content":" a ","role":"user"}}`},
		{llm.Chat, `{"tools":[{"function":{"description":" a ","parameters":{"enum":[" a "]}},"type":"function"}]}`},
	} {
		if got := canonical(t, test.endpoint, test.body); got != test.body {
			t.Errorf("%s: got %s, want %s", test.endpoint, got, test.body)
		}
	}
}

// Package norm bounds its buffer by putting U+034F into long runs of marks. Two
// texts of which one has that character by itself must not become one.
func TestCanonicalKeepsLongRunsOfMarksApart(t *testing.T) {
	marks := strings.Repeat("\u0323\u0307", 20)
	plain := form(t, `{"content":"a`+marks+`","role":"user"}`, false)
	joined := form(t, `{"content":"a`+marks[:60]+"\u034f"+marks[60:]+`","role":"user"}`, false)
	if plain == joined {
		t.Errorf("both are %q", plain)
	}
}

func TestOmissions(t *testing.T) {
	const body = `{"stream":true, "messages":[
		{"role":"system","content":"be brief\n"}, {"role":"user","content":[{"type":"text","text":" ` + "u\u0308" + `"},{"type":"text","text":"` + "u\u0308" + `"}]},
		{"role":"assistant","content":" a "}], "model":"m", "us\u0065r":" u ", "metadata":{"a":"b"}}`
	for _, test := range []struct {
		name     string
		req      llm.Request
		verbatim bool
		want     []llm.Omission
	}{
		{"chat", llm.Request{Endpoint: llm.Chat, Body: []byte(body)}, false, []llm.Omission{
			{Path: "/stream", Reason: "form only: Reshape turns one form into the other"},
			{Path: "/messages/0/content", Reason: "trimmed outer white space"},
			{Path: "/messages/1/content/0/text", Reason: "trimmed outer white space"},
			{Path: "/messages/1/content/0/text", Reason: "composed to Unicode NFC"},
			{Path: "/messages/1/content/1/text", Reason: "composed to Unicode NFC"},
			{Path: "/user", Reason: "names the end user; the cache's scope separates users"},
			{Path: "/metadata", Reason: "tags for the caller's own reports"},
		}},
		{"verbatim", llm.Request{Endpoint: llm.Chat, Body: []byte(body)}, true, []llm.Omission{
			{Path: "/stream", Reason: "form only: Reshape turns one form into the other"},
			{Path: "/user", Reason: "names the end user; the cache's scope separates users"},
			{Path: "/metadata", Reason: "tags for the caller's own reports"},
		}},
		{"function", llm.Request{Endpoint: llm.Function, Body: []byte(body)}, false, []llm.Omission{}},
		{"nothing", llm.Request{Endpoint: llm.Chat, Body: []byte(`{"model":"m"}`)}, false, []llm.Omission{}},
	} {
		got, err := openai.Dialect{}.Omissions(&test.req, test.verbatim)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
	}
	if _, err := (openai.Dialect{}).Omissions(&llm.Request{Endpoint: llm.Chat, Body: []byte(`{"stream":`)}, false); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Errorf("a body that is cut: %v", err)
	}
}
