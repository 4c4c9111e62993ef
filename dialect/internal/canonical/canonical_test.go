package canonical_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/internal/canonical"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// typed has parts with a type, untyped has parts whose member says what they are.
var (
	typed = &canonical.Rules{
		Ignored: map[string]string{"user": "names the user"}, Written: []string{"user", "developer"},
		Beside: []string{"name"}, Plain: plain, MaxDepth: 8,
	}
	untyped = &canonical.Rules{
		Written: []string{"user"}, System: true, Untyped: true,
		Parts: map[string]canonical.Part{"guard": canonical.Verbatim, "point": canonical.Hidden}, Plain: plain, MaxDepth: 8,
	}
)

func plain(name []byte, c *scan.Cursor) bool {
	if string(name) == "tools" {
		return !c.Filled()
	}
	c.Skip()
	return true
}

func chat(body string) *llm.Request { return &llm.Request{Endpoint: llm.Chat, Body: []byte(body)} }

func TestAppend(t *testing.T) {
	for _, test := range []struct {
		name       string
		rules      *canonical.Rules
		body, want string
		notes      []llm.Omission
	}{
		{
			"ignored members, order and spelling", typed, `{ "user":"u", "b":1.50, "a":"\u0061", "c":12345678901234567890}`, `{"a":"a","b":1.5,"c":12345678901234567890}`,
			[]llm.Omission{{Path: "/user", Reason: "names the user"}},
		},
		{"ignored at the top alone", typed, `{"a":{"user":"u"}}`, `{"a":{"user":"u"}}`, nil},
		{
			"who writes", typed, `{"messages":[{"content":" a ","role":"user"},{"content":" a ","role":"developer"},{"content":" a ","role":"system"},{"content":" a "}],"system":" a "}`,
			`{"messages":[{"content":"a","role":"user"},{"content":"a","role":"developer"},{"content":" a ","role":"system"},{"content":" a "}],"system":" a "}`,
			[]llm.Omission{{Path: "/messages/0/content", Reason: "trimmed outer white space"}, {Path: "/messages/1/content", Reason: "trimmed outer white space"}},
		},
		{
			"a type is needed", typed, `{"messages":[{"content":[{"text":" a "},{"text":" b ","type":"text"}],"role":"user"}]}`,
			`{"messages":[{"content":[{"text":" a "},{"text":"b","type":"text"}],"role":"user"}]}`,
			[]llm.Omission{{Path: "/messages/0/content/1/text", Reason: "trimmed outer white space"}},
		},
		{
			"no type is needed", untyped, `{"messages":[{"content":[{"text":" a "},{"text":" b ","type":"x"}],"role":"user"}]}`,
			`{"messages":[{"content":[{"text":"a"},{"text":" b ","type":"x"}],"role":"user"}]}`,
			[]llm.Omission{{Path: "/messages/0/content/0/text", Reason: "trimmed outer white space"}},
		},
		{
			"system", untyped, `{"system":[{"text":" u` + "\u0308" + ` "}]}`, `{"system":[{"text":"ü"}]}`,
			[]llm.Omission{{Path: "/system/0/text", Reason: "trimmed outer white space"}, {Path: "/system/0/text", Reason: "composed to Unicode NFC"}},
		},
		{
			"beside one that is compared as it is", untyped, `{"system":[{"text":" a "},{"guard":{"text":" g "}},{"text":" b "}]}`, `{"system":[{"text":"a "},{"guard":{"text":" g "}},{"text":" b"}]}`,
			[]llm.Omission{{Path: "/system/0/text", Reason: "trimmed outer white space"}, {Path: "/system/2/text", Reason: "trimmed outer white space"}},
		},
		{
			"beside one that is not seen", untyped, `{"system":[{"text":" a "},{"point":{}},{"text":" b "}]}`, `{"system":[{"text":"a "},{"point":{}},{"text":" b"}]}`,
			[]llm.Omission{{Path: "/system/0/text", Reason: "trimmed outer white space"}, {Path: "/system/2/text", Reason: "trimmed outer white space"}},
		},
		{
			"beside something else", untyped, `{"system":[{"text":" a "},{"image":{}},{"text":" b "}]}`, `{"system":[{"text":"a"},{"image":{}},{"text":"b"}]}`,
			[]llm.Omission{{Path: "/system/0/text", Reason: "trimmed outer white space"}, {Path: "/system/2/text", Reason: "trimmed outer white space"}},
		},
	} {
		var notes []llm.Omission
		form, ok := test.rules.Append([]byte("before"), chat(test.body), false, &notes)
		if !ok || string(form) != "before"+test.want {
			t.Errorf("%s: %s, %v", test.name, form, ok)
		}
		if diff := cmp.Diff(test.notes, notes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, body := range []string{``, `{`, `[]`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":"` + "\xff" + `"}`, `{"a":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`, `{} {}`} {
		if form, ok := typed.Append([]byte("before"), chat(body), false, nil); ok || string(form) != "before" {
			t.Errorf("%s: %s, %v", body, form, ok)
		}
	}
	// A function's body is any value, as deep as it likes; nothing is left out.
	f := &llm.Request{Endpoint: llm.Function, Body: []byte(`[{"user":" u ","messages":[ ]}]`)}
	if form, ok := typed.Append(nil, f, false, nil); !ok || string(form) != `[{"messages":[],"user":" u "}]` {
		t.Errorf("a function: %s, %v", form, ok)
	}
}

// The canonical form of a canonical form is itself: what is compared does not depend on
// how often it went through here.
func TestAppendIsIdempotent(t *testing.T) {
	piece := rapid.SampledFrom([]string{" ", "a", "u\u0308", "\u0308", `\u0308`, `\n`, `\"`, "\u3000", "é", "\U0001f600"})
	part := rapid.Custom(func(t *rapid.T) string {
		said := `"` + strings.Join(rapid.SliceOfN(piece, 0, 5).Draw(t, "pieces"), "") + `"`
		return rapid.SampledFrom([]string{
			`{"text":` + said + `}`, `{"type":"text","text":` + said + `}`, `{"guard":{"text":` + said + `}}`, `{"point":{}}`, `{"image":{}}`, said,
		}).Draw(t, "part")
	})
	rapid.Check(t, func(t *rapid.T) {
		parts := `[` + strings.Join(rapid.SliceOfN(part, 0, 4).Draw(t, "parts"), ",") + `]`
		body := `{"messages":[{"role":"user","content":` + parts + `}],"system":` + parts + `}`
		for _, rules := range []*canonical.Rules{typed, untyped} {
			once, ok := rules.Append(nil, chat(body), false, nil)
			if !ok {
				t.Fatalf("%s is refused", body)
			}
			if twice, ok := rules.Append(nil, chat(string(once)), false, nil); !ok || string(twice) != string(once) {
				t.Fatalf("%s\ngives  %s\nand that %s", body, once, twice)
			}
		}
	})
}

func TestLastTurn(t *testing.T) {
	for _, test := range []struct {
		rules            *canonical.Rules
		body, said, rest string // said empty: there is none
	}{
		{typed, `{"user":"u","messages":[{"role":"user","content":" a "}]}`, "a", `{"messages":[{"content":"","role":"user"}]}`},
		{typed, `{"messages":[{"role":"user","content":"a","name":"n"}]}`, "a", `{"messages":[{"content":"","name":"n","role":"user"}]}`},
		{untyped, `{"messages":[{"role":"user","content":"a","name":"n"}]}`, "", ""},
		{untyped, `{"messages":[{"role":"user","content":[{"text":"a"},{"point":{}}]}]}`, "a", `{"messages":[{"content":[{"text":""},{"point":{}}],"role":"user"}]}`},
		{untyped, `{"messages":[{"role":"user","content":[{"text":"a"},{"guard":{}}]}]}`, "", ""},
		{typed, `{"messages":[{"role":"user","content":"a"}],"tools":[1]}`, "", ""},
		{typed, `{"messages":[{"role":"user","content":"a"}],"tools":[]}`, "a", `{"messages":[{"content":"","role":"user"}],"tools":[]}`},
		{typed, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, "", ""},
		{typed, `{"messages":[{"role":"user","content":" "}]}`, "", ""},
		{typed, `{"messages":[{"role":"user","content":"a"}]`, "", ""},
	} {
		said, rest, ok := test.rules.LastTurn(chat(test.body))
		if ok != (test.said != "") || said != test.said || string(rest) != test.rest {
			t.Errorf("%s: %q, %s, %v", test.body, said, rest, ok)
		}
	}
	embed := chat(`{"messages":[{"role":"user","content":"a"}]}`)
	embed.Endpoint = llm.Embeddings
	if _, _, ok := typed.LastTurn(embed); ok {
		t.Error("embeddings have a last turn")
	}
}
