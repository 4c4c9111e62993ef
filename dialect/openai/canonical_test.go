package openai_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

func canonical(t interface{ Fatalf(string, ...any) }, endpoint llm.Endpoint, body string) string {
	form, err := openai.Dialect{}.Canonical([]byte("x"), &llm.Request{Endpoint: endpoint, Body: []byte(body)}, false)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if form[0] != 'x' {
		t.Fatalf("what stood in dst is gone: %s", form)
	}
	return string(form[1:])
}

func TestCanonicalGolden(t *testing.T) {
	for _, test := range []struct {
		name     string
		endpoint llm.Endpoint
		body     string
		want     string
	}{
		{"order, space, numbers", llm.Chat, "{ \"temperature\" : 1.0e-1,\n\"model\":\"\\u006d\", \"n\":1e0 }", `{"model":"m","n":1,"temperature":0.1}`},
		{
			"the ignored members", llm.Chat, `{"stream":true,"stream_options":{"a":1},"user":"u","safety_identifier":"s","metadata":{"x":"y"},"store":true,` +
				`"prompt_cache_key":"k","prompt_cache_retention":"24h","service_tier":"flex","cache":{"ttl":1},"model":"m"}`, `{"model":"m"}`,
		},
		{"only ignored members", llm.Embeddings, `{"user":"u","us\u0065r":1}`, `{}`},
		{"ignored at the top level alone", llm.Chat, `{"x":{"user":"u","stream":true}}`, `{"x":{"stream":true,"user":"u"}}`},
		{"large integers keep their digits", llm.Chat, `{"seed":9007199254740993}`, `{"seed":9007199254740993}`},
		{"function payloads keep everything", llm.Function, ` [1, {"user":"u","a":2}] `, `[1,{"a":2,"user":"u"}]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := canonical(t, test.endpoint, test.body); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for _, body := range []string{``, `[]`, `{`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", `{"a":1}x`, `{"x":` + nested(openai.MaxDepth) + `}`, `{"x":` + nested(20_000) + `}`} {
		dst, err := openai.Dialect{}.Canonical([]byte("x"), &llm.Request{Endpoint: llm.Chat, Body: []byte(body)}, false)
		if llm.KindOf(err) != llm.CallerInvalidRequest || string(dst) != "x" {
			t.Errorf("%.40s: %q, %v", body, dst, err)
		}
	}
}

// value draws a JSON value as encoding/json has it, with numbers as json.Number.
func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kind := rapid.IntRange(0, 6).Draw(t, "kind")
		if depth == 0 {
			kind %= 5
		}
		switch kind {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return json.Number(fmt.Sprint(rapid.Int64().Draw(t, "int")))
		case 3:
			return json.Number(fmt.Sprint(float64(rapid.IntRange(-9999, 9999).Draw(t, "f")) + 0.5))
		case 4:
			return rapid.String().Draw(t, "string")
		case 5:
			return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "array")
		}
		return rapid.MapOfN(rapid.StringN(0, 4, 12), value(depth-1), 0, 3).Draw(t, "object")
	})
}

// spell writes v as JSON in a way drawn at random: order, space, escapes, numbers.
func spell(t *rapid.T, v any) string {
	gap := func() string { return "" }
	switch v.(type) {
	case map[string]any, []any: // one draw for all gaps
		space := [...]string{"", "", " ", "\n\t", "\r\n"}
		which := rapid.Uint32().Draw(t, "space")
		gap = func() string {
			which = which*1664525 + 1013904223 // Numerical Recipes' generator
			return space[which>>24%5]
		}
	}
	switch v := v.(type) {
	case map[string]any:
		names := rapid.Permutation(slices.Collect(maps.Keys(v))).Draw(t, "order")
		var parts []string
		for _, name := range names {
			parts = append(parts, gap()+spell(t, name)+gap()+":"+gap()+spell(t, v[name])+gap())
		}
		return "{" + strings.Join(parts, ",") + gap() + "}"
	case []any:
		var parts []string
		for _, element := range v {
			parts = append(parts, gap()+spell(t, element)+gap())
		}
		return "[" + strings.Join(parts, ",") + "]"
	case string:
		var b strings.Builder
		escape := rapid.Uint64().Draw(t, "escape")
		for i, r := range v {
			if r < 0x10000 && escape>>(i%64)&1 != 0 {
				fmt.Fprintf(&b, `\u%04X`, r)
				continue
			}
			quoted, _ := json.Marshal(string(r))
			b.Write(quoted[1 : len(quoted)-1])
		}
		return `"` + b.String() + `"`
	case json.Number:
		if whole, half := strings.CutSuffix(string(v), ".5"); half && rapid.Bool().Draw(t, "spelling") {
			return whole + rapid.SampledFrom([]string{".50", ".5e0", ".500E+00"}).Draw(t, "half")
		}
		return string(v)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// Two spellings of one request have one form; two requests have two.
func TestCanonicalIsTheRequest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		request := rapid.MapOfN(rapid.StringN(0, 4, 12), value(3), 0, 5).Draw(t, "request")
		form := canonical(t, llm.Chat, spell(t, request))
		if other := canonical(t, llm.Chat, spell(t, request)); other != form {
			t.Fatalf("two spellings, two forms:\n%s\n%s", form, other)
		}
		if again := canonical(t, llm.Chat, form); again != form {
			t.Fatalf("not stable:\n%s\n%s", form, again)
		}
		plain, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		name := rapid.StringN(0, 4, 12).Draw(t, "name")
		before, had := request[name]
		request[name] = value(2).Draw(t, "another value")
		changed, _ := json.Marshal(request)
		if had && string(changed) == string(plain) {
			return
		}
		if other := canonical(t, llm.Chat, spell(t, request)); other == form {
			t.Fatalf("%q from %v to %v makes no difference:\n%s", name, before, request[name], form)
		}
		request["user"], request["stream"] = "somebody", true
		if same := canonical(t, llm.Chat, spell(t, request)); same != canonical(t, llm.Chat, string(changed)) {
			t.Fatalf("user and stream make a difference:\n%s", same)
		}
	})
}

// Nothing that could change the answer may be on the deny-list: a change of any of
// these must change the form.
func TestCanonicalKeepsWhatMatters(t *testing.T) {
	base := `{"model":"m","messages":[{"role":"user","content":"hi"}]`
	seen := map[string]string{canonical(t, llm.Chat, base+"}"): "base"}
	for _, member := range []string{
		`"temperature":0`, `"temperature":0.1`, `"top_p":1`, `"n":1`, `"n":2`, `"seed":9007199254740992`, `"seed":9007199254740993`,
		`"stop":"a"`, `"stop":["a"]`, `"max_tokens":5`, `"max_completion_tokens":5`, `"logit_bias":{"1":1}`, `"logprobs":true`,
		`"tools":[]`, `"tool_choice":"none"`, `"response_format":{"type":"json_object"}`, `"reasoning_effort":"low"`,
		`"modalities":["text"]`, `"x_unknown":1`, `"x_unknown":null`, `"verbosity":"low"`, `"web_search_options":{}`,
		`"frequency_penalty":1`, `"presence_penalty":1`, `"parallel_tool_calls":false`, `"prediction":null`, `"User":"u"`,
	} {
		form := canonical(t, llm.Chat, base+","+member+"}")
		if other, ok := seen[form]; ok {
			t.Errorf("%s gives the same form as %s", member, other)
		}
		seen[form] = member
	}
}
