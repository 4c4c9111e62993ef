package bedrock_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

func conversing(body string) *llm.Request {
	return &llm.Request{Endpoint: llm.Chat, Dialect: bedrock.Converse{}, Body: []byte(body)}
}

func invoking(model, body string) *llm.Request {
	return &llm.Request{Endpoint: llm.Chat, Model: model, Dialect: bedrock.Invoke{}, Body: []byte(body)}
}

func form(t testing.TB, req *llm.Request, verbatim bool) string {
	t.Helper()
	b, err := req.Dialect.Canonical([]byte("key:"), req, verbatim)
	if err != nil || !strings.HasPrefix(string(b), "key:") {
		t.Fatalf("%s: %q, %v", req.Body, b, err)
	}
	return string(b[4:])
}

const asked = `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`

func TestCanonicalSame(t *testing.T) {
	for name, pair := range map[string][2]*llm.Request{
		"order and space": {conversing(`{"system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"a"}]}]}`), conversing("{ \"messages\" : [{\"content\":[{\"text\":\"\\u0061\"}],\"role\":\"user\"}],\n\"system\":[{\"text\":\"s\"}]}")},
		"tags":            {conversing(asked), conversing(asked[:len(asked)-1] + `,"requestMetadata":{"team":"x"}}`)},
		"tier and speed":  {conversing(asked), conversing(asked[:len(asked)-1] + `,"serviceTier":{"type":"flex"},"performanceConfig":{"latency":"optimized"}}`)},
		"outer space":     {conversing(asked), conversing(strings.Replace(asked, "hello", " hello\\n", 1))},
		"system's space":  {conversing(`{"system":[{"text":"s"}],"messages":[]}`), conversing(`{"system":[{"text":"s "}],"messages":[]}`)},
		"composed":        {conversing(strings.Replace(asked, "hello", "gr\u00fcn", 1)), conversing(strings.Replace(asked, "hello", "gru\u0308n", 1))},
		"cache point ends": {
			conversing(`{"messages":[{"role":"user","content":[{"text":"a"},{"cachePoint":{"type":"default"}}]}]}`),
			conversing(`{"messages":[{"role":"user","content":[{"text":"a "},{"cachePoint":{"type":"default"}}]}]}`),
		},
		"numbers":      {conversing(`{"messages":[],"inferenceConfig":{"topP":0.50}}`), conversing(`{"messages":[],"inferenceConfig":{"topP":5e-1}}`)},
		"user's name":  {invoking("anthropic.x", `{"messages":[{"role":"user","content":"a"}]}`), invoking("anthropic.x", `{"messages":[{"role":"user","content":"a"}],"metadata":{"user_id":"u"}}`)},
		"a text":       {invoking("anthropic.x", `{"messages":[{"role":"user","content":"a"}]}`), invoking("anthropic.x", `{"messages":[{"role":"user","content":" a"}]}`)},
		"a typed part": {invoking("anthropic.x", `{"system":[{"type":"text","text":"a"}]}`), invoking("anthropic.x", `{"system":[{"type":"text","text":"a\t"}]}`)},
		"nova's text":  {invoking("amazon.nova-x", asked), invoking("amazon.nova-x", strings.Replace(asked, "hello", "hello ", 1))},
	} {
		if a, b := form(t, pair[0], false), form(t, pair[1], false); a != b {
			t.Errorf("%s: %s is not %s", name, a, b)
		}
	}
}

func TestCanonicalDiffers(t *testing.T) {
	with := func(member string) *llm.Request { return conversing(asked[:len(asked)-1] + "," + member + "}") }
	for name, req := range map[string]*llm.Request{
		"guardrail":         with(`"guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"}`),
		"temperature":       with(`"inferenceConfig":{"temperature":0.5}`),
		"paths":             with(`"additionalModelResponseFieldPaths":["/stop_sequence"]`),
		"thinking":          with(`"additionalModelRequestFields":{"thinking":{"type":"disabled"}}`),
		"variables":         with(`"promptVariables":{"a":{"text":"b"}}`),
		"effort":            with(`"outputConfig":{"effort":"low"}`),
		"what is not known": with(`"newMember":1`),
		"tools":             with(`"toolConfig":{"tools":[]}`),
		"case":              conversing(strings.Replace(asked, "hello", "Hello", 1)),
		"inner space":       conversing(strings.Replace(asked, "hello", "hel  lo", 1)),
		"role":              conversing(strings.Replace(asked, "user", "assistant", 1)),
	} {
		if a, b := form(t, conversing(asked), false), form(t, req, false); a == b {
			t.Errorf("%s: %s", name, a)
		}
	}
	for name, pair := range map[string][2]*llm.Request{
		"prefill":               {conversing(`{"messages":[{"role":"assistant","content":[{"text":"a"}]}]}`), conversing(`{"messages":[{"role":"assistant","content":[{"text":"a "}]}]}`)},
		"between texts":         {conversing(`{"system":[{"text":"a"},{"text":"b"}]}`), conversing(`{"system":[{"text":"a "},{"text":"b"}]}`)},
		"between, second's":     {conversing(`{"system":[{"text":"a"},{"text":"b"}]}`), conversing(`{"system":[{"text":"a"},{"text":" b"}]}`)},
		"between, cache point":  {conversing(`{"system":[{"text":"a"},{"cachePoint":{"type":"default"}},{"text":"b"}]}`), conversing(`{"system":[{"text":"a "},{"cachePoint":{"type":"default"}},{"text":"b"}]}`)},
		"before guarded text":   {conversing(`{"system":[{"text":"a"},{"guardContent":{"text":{"text":"b"}}}]}`), conversing(`{"system":[{"text":"a "},{"guardContent":{"text":{"text":"b"}}}]}`)},
		"guarded text":          {conversing(`{"system":[{"guardContent":{"text":{"text":"b"}}}]}`), conversing(`{"system":[{"guardContent":{"text":{"text":"b "}}}]}`)},
		"tool's answer":         {conversing(`{"messages":[{"role":"user","content":[{"toolResult":{"content":[{"text":"b"}]}}]}]}`), conversing(`{"messages":[{"role":"user","content":[{"toolResult":{"content":[{"text":"b "}]}}]}]}`)},
		"large numbers":         {conversing(`{"a":9007199254740993}`), conversing(`{"a":9007199254740992}`)},
		"prompt":                {invoking("meta.llama3", `{"prompt":"a"}`), invoking("meta.llama3", `{"prompt":"a "}`)},
		"inputText":             {invoking("amazon.titan-text-x", `{"inputText":"a"}`), invoking("amazon.titan-text-x", `{"inputText":"a "}`)},
		"nested metadata stays": {invoking("x", `{"a":{"metadata":1}}`), invoking("x", `{"a":{"metadata":2}}`)},
	} {
		if a, b := form(t, pair[0], false), form(t, pair[1], false); a == b {
			t.Errorf("%s: %s", name, a)
		}
	}
	spaced := conversing(strings.Replace(asked, "hello", "hello ", 1))
	if a, b := form(t, conversing(asked), true), form(t, spaced, true); a == b {
		t.Errorf("verbatim: %s", a)
	}
}

func TestOmissions(t *testing.T) {
	req := conversing(`{"requestMetadata":{},"system":[{"text":" s"}],"messages":[{"role":"user","content":[{"image":{}},{"text":"gru\u0308n "}]}],"serviceTier":{}}`)
	want := []llm.Omission{
		{Path: "/requestMetadata", Reason: "tags for the caller's own invocation logs"},
		{Path: "/system/0/text", Reason: "trimmed outer white space"},
		{Path: "/messages/0/content/1/text", Reason: "trimmed outer white space"},
		{Path: "/messages/0/content/1/text", Reason: "composed to Unicode NFC"},
		{Path: "/serviceTier", Reason: "speed and price of the call, not the model or what it says"},
	}
	got, err := bedrock.Converse{}.Omissions(req, false)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := (bedrock.Invoke{}).Omissions(invoking("x", asked), false); err != nil || got == nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := (bedrock.Invoke{}).Omissions(invoking("x", `{`), false); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Error(err)
	}
}

// TestRefused sends what two readers could understand differently, to everything that
// reads requests.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ body, place string }{
		"empty":          {"", "is empty"},
		"array":          {"[]", "at byte 0"},
		"duplicate":      {`{"messages":[{"role":"user","role":"user"}]}`, "/messages/0"},
		"bad UTF-8":      {"{\"a\":\"\x80\"}", "at byte 6"},
		"lone surrogate": {`{"a":"\ud800"}`, "at byte 6"},
		"trailing":       {`{} {}`, "at byte 3"},
		"cut":            {`{"messages":[`, "at byte 13"},
		"mark":           {"\xef\xbb\xbf{}", "byte order mark"},
		"deep":           {`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "nested too deep"},
	} {
		body := []byte(c.body)
		_, converse := bedrock.ParseConverse(body)
		_, invoke := bedrock.ParseInvoke("anthropic.x", body)
		_, form := bedrock.Converse{}.Canonical(nil, conversing(c.body), false)
		_, lower := bedrock.Converse{}.Simplify(conversing(c.body), "m", 5)
		_, counted := bedrock.CountTokensBody(conversing(c.body))
		for what, err := range map[string]error{"ParseConverse": converse, "ParseInvoke": invoke, "Canonical": form, "Simplify": lower, "CountTokensBody": counted} {
			if name == "deep" && what == "CountTokensBody" { // it goes on to Bedrock as it is
				continue
			}
			if llm.KindOf(err) != llm.CallerInvalidRequest || !strings.Contains(err.Error(), c.place) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

func TestHeads(t *testing.T) {
	for _, c := range []struct {
		model, body string // no model: Converse
		want        bedrock.Head
		fault       string
	}{
		{"", asked, bedrock.Head{PromptBytes: 46}, ""},
		{"", `{"messages":[1],"inferenceConfig":{"maxTokens":9,"x":1},"toolConfig":{"tools":[1],"toolChoice":{}}}`, bedrock.Head{PromptBytes: 3, MaxTokens: 9, HasTools: true}, ""},
		{"", `{"messages":[1],"inferenceConfig":null,"toolConfig":null}`, bedrock.Head{PromptBytes: 3}, ""},
		{"", `{"promptVariables":{"a":{"text":"b"}}}`, bedrock.Head{PromptBytes: 38}, ""},
		{"", `{"messages":[1],"inferenceConfig":{"maxTokens":-9}}`, bedrock.Head{PromptBytes: 3}, ""},
		{"", `{"messages":[1],"inferenceConfig":{"maxTokens":1e99}}`, bedrock.Head{PromptBytes: 3, MaxTokens: 1<<31 - 1}, ""},
		{"", `{}`, bedrock.Head{}, "messages is missing"},
		{"", `{"messages":[]}`, bedrock.Head{}, "messages is missing"},
		{"", `{"messages":{}}`, bedrock.Head{}, "messages must be an array and is an object at byte 12"},
		{"", `{"messages":[1],"inferenceConfig":[]}`, bedrock.Head{}, "inferenceConfig must be an object"},
		{"", `{"messages":[1],"inferenceConfig":{"maxTokens":"9"}}`, bedrock.Head{}, "inferenceConfig.maxTokens must be a number"},
		{"", `{"messages":[1],"toolConfig":3}`, bedrock.Head{}, "toolConfig must be an object"},
		{"anthropic.claude", `{"messages":[1],"max_tokens":7,"tools":[{}]}`, bedrock.Head{PromptBytes: 3, MaxTokens: 7, HasTools: true}, ""},
		{"anthropic.claude", `{"messages":[]}`, bedrock.Head{}, "messages is missing"},
		{"amazon.nova-lite-v1:0", `{"messages":[1],"inferenceConfig":{"max_new_tokens":7}}`, bedrock.Head{PromptBytes: 3, MaxTokens: 7}, ""},
		{"amazon.titan-text-lite-v1", `{"inputText":"ab","textGenerationConfig":{"maxTokenCount":7}}`, bedrock.Head{PromptBytes: 4, MaxTokens: 7}, ""},
		{"amazon.titan-embed-text-v2:0", `{"inputText":"ab","dimensions":256}`, bedrock.Head{PromptBytes: 4, Inputs: 1, Dimensions: 256}, ""},
		{"amazon.titan-embed-text-v2:0", `{"inputText":""}`, bedrock.Head{}, "inputText is missing"},
		{"amazon.titan-embed-image-v1", `{"inputImage":"aGk="}`, bedrock.Head{PromptBytes: 21, Inputs: 1}, ""},
		{"cohere.embed-multilingual-v3", `{"texts":["a","b"]}`, bedrock.Head{PromptBytes: 9, Inputs: 2}, ""},
		{"meta.llama3", `{"prompt":"ab","max_gen_len":3}`, bedrock.Head{PromptBytes: 4, MaxTokens: 3}, ""},
		{"some.thing", `{"what":"ever"}`, bedrock.Head{PromptBytes: 15}, ""},
	} {
		var got bedrock.Head
		var err error
		if c.model == "" {
			got, err = bedrock.ParseConverse([]byte(c.body))
		} else {
			got, err = bedrock.ParseInvoke(c.model, []byte(c.body))
		}
		if c.fault != "" {
			if llm.KindOf(err) != llm.CallerInvalidRequest || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: %v", c.body, err)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.body, err, diff)
		}
	}
}

func TestLastTurn(t *testing.T) {
	for name, req := range map[string]*llm.Request{
		"converse":  conversing(`{"inferenceConfig":{"topP":1},"messages":[{"role":"user","content":[{"text":"old"}]},{"role":"user","content":[{"text":" What is \"it\"? "}]}]}`),
		"cached":    conversing(`{"messages":[{"role":"user","content":[{"text":" What is \"it\"? "},{"cachePoint":{"type":"default"}}]}],"toolConfig":{}}`),
		"anthropic": invoking("anthropic.x", `{"messages":[{"role":"user","content":"What is \"it\"?"}],"tools":[]}`),
		"nova":      invoking("amazon.nova-x", `{"messages":[{"content":[{"text":"What is \"it\"?"}],"role":"user"}],"outputConfig":{"effort":"low"}}`),
	} {
		said, rest, ok := req.Dialect.(llm.TurnSplitter).LastTurn(req)
		if !ok || said != `What is "it"?` || strings.Contains(string(rest), "it") || !strings.Contains(string(rest), `""`) {
			t.Errorf("%s: %q, %s, %v", name, said, rest, ok)
		}
	}
	for name, body := range map[string]string{
		"assistant":  `{"messages":[{"role":"assistant","content":[{"text":"a"}]}]}`,
		"two texts":  `{"messages":[{"role":"user","content":[{"text":"a"},{"text":"b"}]}]}`,
		"image":      `{"messages":[{"role":"user","content":[{"text":"a"},{"image":{}}]}]}`,
		"guarded":    `{"messages":[{"role":"user","content":[{"guardContent":{}}]}]}`,
		"empty":      `{"messages":[{"role":"user","content":[{"text":" "}]}]}`,
		"tools":      `{"toolConfig":{"tools":[{}]},"messages":[{"role":"user","content":[{"text":"a"}]}]}`,
		"schema":     `{"outputConfig":{"textFormat":{"type":"json_schema"}},"messages":[{"role":"user","content":[{"text":"a"}]}]}`,
		"variables":  `{"promptVariables":{"a":{"text":"b"}},"messages":[{"role":"user","content":[{"text":"a"}]}]}`,
		"more in it": `{"messages":[{"role":"user","x":1,"content":[{"text":"a"}]}]}`,
		"none":       `{"messages":[]}`,
		"no list":    `{"messages":"a"}`,
		"prompt":     `{"prompt":"a"}`,
		"no JSON":    `{`,
	} {
		if said, _, ok := (bedrock.Converse{}).LastTurn(conversing(body)); ok {
			t.Errorf("%s: %q", name, said)
		}
	}
	if _, _, ok := (bedrock.Invoke{}).LastTurn(&llm.Request{Endpoint: llm.Embeddings, Body: []byte(asked)}); ok {
		t.Error("embeddings have no turns")
	}
}

func TestOutputBounds(t *testing.T) {
	for _, c := range []struct {
		req    *llm.Request
		most   int
		lower  int
		wanted string
	}{
		{conversing(`{"messages":[],"inferenceConfig":{"maxTokens":900}}`), 900, 100, `{"messages":[],"inferenceConfig":{"maxTokens":100}}`},
		{conversing(`{"inferenceConfig":{"maxTokens":90}}`), 90, 100, `{"inferenceConfig":{"maxTokens":90}}`},
		{conversing(`{"inferenceConfig":{"maxTokens":null}}`), 0, 100, `{"inferenceConfig":{"maxTokens":100}}`},
		{conversing(`{"inferenceConfig":{"topP":1}}`), 0, 100, `{"inferenceConfig":{"maxTokens":100,"topP":1}}`},
		{conversing(`{"inferenceConfig": { } }`), 0, 100, `{"inferenceConfig": {"maxTokens":100 } }`},
		{conversing(`{"inferenceConfig":null}`), 0, 100, `{"inferenceConfig":{"maxTokens":100}}`},
		{conversing(`{}`), 0, 100, `{"inferenceConfig":{"maxTokens":100}}`},
		{conversing(`{"a":1}`), 0, 0, `{"a":1}`},
		{invoking("anthropic.x", `{"max_tokens":900}`), 900, 100, `{"max_tokens":100}`},
		{invoking("eu.anthropic.x", `{"messages":[]}`), 0, 100, `{"max_tokens":100,"messages":[]}`},
		{invoking("amazon.nova-x", `{"inferenceConfig":{"max_new_tokens":500,"maxTokens":300}}`), 300, 100, `{"inferenceConfig":{"max_new_tokens":100,"maxTokens":100}}`},
		{invoking("amazon.titan-text-x", `{"inputText":"a"}`), 0, 100, `{"textGenerationConfig":{"maxTokenCount":100},"inputText":"a"}`},
		{invoking("meta.x", `{"prompt":"a","max_gen_len":50}`), 50, 100, `{"prompt":"a","max_gen_len":50}`},
		{invoking("unknown.x", `{"prompt":"a"}`), 0, 100, `{"prompt":"a"}`},
		{&llm.Request{Endpoint: llm.Embeddings, Model: "cohere.embed", Dialect: bedrock.Invoke{}, Body: []byte(`{"max_tokens":9}`)}, 0, 1, `{"max_tokens":9}`},
	} {
		d := c.req.Dialect.(llm.OutputBounder)
		if most := d.MaxOutput(c.req); most != c.most {
			t.Errorf("%s: bound %d", c.req.Body, most)
		}
		got, err := d.Simplify(c.req, "", c.lower)
		if err != nil || string(got) != c.wanted {
			t.Errorf("%s: %s, %v", c.req.Body, got, err)
		}
		if c.lower > 0 && len(got) > 0 && c.wanted != string(c.req.Body) && d.MaxOutput(&llm.Request{Endpoint: llm.Chat, Body: got}) != c.lower {
			t.Errorf("%s is not bounded by %d", got, c.lower)
		}
	}
	if _, err := (bedrock.Invoke{}).Simplify(invoking("anthropic.x", asked), "amazon.nova-lite-v1:0", 5); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Error(err)
	}
	if _, err := (bedrock.Invoke{}).Simplify(invoking("anthropic.x", asked), "eu.anthropic.y", 5); err != nil {
		t.Error(err)
	}
	if (bedrock.Converse{}).MaxOutput(conversing(`{"inferenceConfig":{"maxTokens":9}`)) != 0 {
		t.Error("what is no JSON has no bound")
	}
}

// TestCanonicalDrawn draws conversations: the form of the form is the form, and two have
// one form only if they are the same in NFC and but for the outer space.
func TestCanonicalDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		said := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'u', ' ', '\n', '\u0308', '\\', '"', '\u00a0', 'é'}), 0, 4, -1), 1, 3)
		one := said.Draw(t, "one")
		two := slices.Clone(one) // the same but for one end of one text
		at, extra := rapid.IntRange(0, len(two)-1).Draw(t, "at"), rapid.SampledFrom([]string{" ", "\u00a0\n", "\u0308", "a"}).Draw(t, "extra")
		if two[at] += extra; rapid.Bool().Draw(t, "before") {
			two[at] = extra + one[at]
		}
		first, second := drawnForm(t, conversation(one)), drawnForm(t, conversation(two))
		if again := drawnForm(t, first); again != first {
			t.Fatalf("%s became %s", first, again)
		}
		same := norm.NFC.String(strings.TrimSpace(one[0])) == norm.NFC.String(strings.TrimSpace(two[0]))
		if len(one) > 1 || len(two) > 1 {
			same = len(one) == len(two) && edges(one) == edges(two)
		}
		if (first == second) != same {
			t.Fatalf("%q and %q: %s and %s", one, two, first, second)
		}
	})
}

// edges is a content of several texts without its outer white space, in NFC.
func edges(texts []string) string {
	out := slices.Clone(texts)
	out[0] = strings.TrimLeftFunc(out[0], unicode.IsSpace)
	out[len(out)-1] = strings.TrimRightFunc(out[len(out)-1], unicode.IsSpace)
	for i := range out {
		out[i] = norm.NFC.String(out[i])
	}
	return strings.Join(out, "\x00")
}

func conversation(texts []string) string {
	var b strings.Builder
	for i, s := range texts {
		if i > 0 {
			b.WriteByte(',')
		}
		quoted, _ := json.Marshal(s)
		b.WriteString(`{"text":` + string(quoted) + `}`)
	}
	return `{"messages":[{"role":"user","content":[` + b.String() + `]}]}`
}

func drawnForm(t *rapid.T, body string) string {
	b, err := bedrock.Converse{}.Canonical(nil, conversing(body), false)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func FuzzParse(f *testing.F) {
	f.Add("anthropic.claude", []byte(asked))
	f.Add("amazon.titan-embed-text-v2:0", []byte(`{"inputText":"a","dimensions":3}`))
	f.Add("", []byte(`{"messages":[{"role":"user","content":[{"text":" a "},{"cachePoint":{}}]}],"inferenceConfig":{"maxTokens":3}}`))
	f.Fuzz(func(t *testing.T, model string, body []byte) {
		_, converse := bedrock.ParseConverse(body)
		_, invoke := bedrock.ParseInvoke(model, body)
		for _, err := range []error{converse, invoke} {
			if err != nil && llm.KindOf(err) != llm.CallerInvalidRequest {
				t.Fatal(err)
			}
		}
		for _, d := range []llm.Dialect{bedrock.Converse{}, bedrock.Invoke{}} {
			req := &llm.Request{Endpoint: llm.Chat, Model: model, Dialect: d, Body: body}
			form, err := d.Canonical(nil, req, false)
			if err != nil {
				if converse == nil {
					t.Fatalf("parsed, and has no form: %v", err)
				}
				continue
			}
			again, err := d.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: form}, false)
			if err != nil || string(again) != string(form) {
				t.Fatalf("%s became %s, %v", form, again, err)
			}
			lower, err := d.(llm.OutputBounder).Simplify(req, "", 7)
			if most := d.(llm.OutputBounder).MaxOutput(&llm.Request{Endpoint: llm.Chat, Body: lower}); err == nil && most > 7 {
				t.Fatalf("%s is bounded by %d", lower, most)
			}
			for _, refuse := range []bool{false, true} {
				req := &llm.Request{Endpoint: llm.Chat, Model: "amazon.titan-text-lite-v1", Dialect: d, Body: body}
				adapted, _, err := bedrock.Adapt(req, bedrock.CapabilitiesOf(req.Model), refuse)
				if _, parse := bedrock.ParseInvoke("some.thing", adapted); err == nil && invoke == nil && parse != nil {
					t.Fatalf("%s cannot be read: %v", adapted, parse)
				}
			}
			d.(llm.TurnSplitter).LastTurn(req)
			d.Compose(req, "text")
			_, _ = bedrock.CountTokensBody(req)
		}
	})
}
