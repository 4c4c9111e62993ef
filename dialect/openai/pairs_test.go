package openai_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

var pairs = flag.Int("pairs", 0, "how many pairs of requests TestCanonicalPairs compares; 0 for 2000, or 50000 with FOREBAY_LONG=1")

// TestCanonicalPairs makes requests and changes each of them somewhere, at any path
// and in any way. The two have the same canonical form if and only if the model of
// the rules in this file says that they ask for the same.
func TestCanonicalPairs(t *testing.T) {
	checks := cmp.Or(*pairs, 2000)
	if *pairs == 0 && os.Getenv("FOREBAY_LONG") != "" {
		checks = 50_000
	}
	checksFlag := flag.Lookup("rapid.checks").Value
	before := checksFlag.String()
	defer func() { _ = checksFlag.Set(before) }()
	if err := checksFlag.Set(strconv.Itoa(checks)); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		a := request().Draw(t, "request")
		b, ok := mutate(t, a).(map[string]any)
		if !ok {
			return // the change made something else of the whole body
		}
		counts["pairs"]++
		bodyA, bodyB := spell(t, a), spell(t, b)
		for _, verbatim := range []bool{false, true} {
			same := meaning(a, verbatim) == meaning(b, verbatim)
			formA, formB := formOf(t, bodyA, verbatim), formOf(t, bodyB, verbatim)
			if (formA == formB) != same {
				t.Fatalf("verbatim %t: they mean the same: %t\n%s\n%s\n%s\n%s", verbatim, same, bodyA, bodyB, formA, formB)
			}
			if same {
				counts[fmt.Sprintf("same, verbatim %t", verbatim)]++
			}
		}
		counts["last turns"] += checkLastTurns(t, a, b)
	})
	t.Logf("%v", counts)
	n, alike := counts["pairs"], counts["same, verbatim false"]
	few := alike < n/20 || alike-counts["same, verbatim true"] < n/100 || counts["last turns"] < n/50
	if n >= 1000 && (few || alike > n/2) {
		t.Errorf("the pairs are one-sided: %v", counts)
	}
}

func formOf(t *rapid.T, body string, verbatim bool) string {
	b, err := openai.Dialect{}.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: []byte(body)}, verbatim)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return string(b)
}

// checkLastTurns compares what LastTurn makes of two requests, where both have one.
func checkLastTurns(t *rapid.T, a, b map[string]any) (found int) {
	restOf := func(v map[string]any) (said, rest, want string, ok bool) {
		said, raw, ok := openai.Dialect{}.LastTurn(&llm.Request{Endpoint: llm.Chat, Body: []byte(spell(t, v))})
		text, blank := blankLastTurn(v)
		if ok != (text != "") || said != text {
			t.Fatalf("last turn %q, %v; want %q of\n%v", said, ok, text, v)
		}
		return said, string(raw), blank, ok
	}
	_, restA, blankA, okA := restOf(a)
	_, restB, blankB, okB := restOf(b)
	if okA && okB && (restA == restB) != (blankA == blankB) {
		t.Fatalf("the rests differ in more or less than the last turn:\n%s\n%s", restA, restB)
	}
	if okA && okB {
		return 1
	}
	return 0
}

// A text in any form of Unicode is one request for those who write, and several for
// a model that wrote them.
func TestCanonicalUnicodePairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.TrimFunc(strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(texts), rapid.String()), 1, 4).Draw(t, "text"), ""), unicode.IsSpace)
		forms := []string{s, norm.NFC.String(s), norm.NFD.String(s), "\u2003" + norm.NFD.String(s) + "\n"}
		body := func(role, said string) string {
			return spell(t, map[string]any{"messages": []any{map[string]any{"role": role, "content": said}}})
		}
		for _, other := range forms[1:] {
			for _, role := range []string{"user", "system", "developer"} {
				if a, b := formOf(t, body(role, s), false), formOf(t, body(role, other), false); a != b {
					t.Fatalf("%s: %q and %q differ:\n%s\n%s", role, s, other, a, b)
				}
			}
			if a, b := formOf(t, body("assistant", s), false), formOf(t, body("assistant", other), false); (a == b) != (s == other) {
				t.Fatalf("assistant: %q and %q:\n%s\n%s", s, other, a, b)
			}
		}
		if kc := norm.NFKC.String(s); norm.NFC.String(s) != kc && formOf(t, body("user", s), false) == formOf(t, body("user", kc), false) &&
			norm.NFC.String(s) != strings.TrimFunc(kc, unicode.IsSpace) {
			t.Fatalf("%q and its compatibility form %q are one", s, kc)
		}
	})
}

// The form of a form is the same, whatever the body, and nothing panics.
func FuzzCanonical(f *testing.F) {
	for _, test := range normalised {
		f.Add([]byte(`{"messages":[`+test.messages+`],"stream":true}`), uint8(0))
	}
	f.Add(chatBody(340), uint8(1))
	f.Add([]byte(`{"input":[" a ",[1,2]],"user":"u"}`), uint8(2))
	f.Add([]byte(`[1.50,-0,9007199254740993]`), uint8(3))
	f.Add([]byte("{\"messages\":[{\"role\":\"user\",\"content\":\" \\ud800 \xff"), uint8(0))
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		var d openai.Dialect
		verbatim := kind&1 != 0
		req := &llm.Request{Endpoint: [...]llm.Endpoint{llm.Chat, llm.Embeddings, llm.Function, llm.Chat}[kind>>1&3], Body: body}
		form, err := d.Canonical(nil, req, verbatim)
		notes, noted := d.Omissions(req, verbatim)
		if (err == nil) != (noted == nil) || err != nil && llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Fatalf("errors %v and %v", err, noted)
		}
		said, rest, ok := d.LastTurn(req)
		if err != nil {
			if ok {
				t.Fatalf("a last turn of a body that is refused: %q", said)
			}
			return
		}
		req.Body = form
		if again, err := d.Canonical([]byte("x"), req, verbatim); err != nil || string(again) != "x"+string(form) {
			t.Fatalf("the form %s has the form %s (%v)", form, again, err)
		}
		if left, err := d.Omissions(req, verbatim); err != nil || len(left) > 0 {
			t.Fatalf("the form %s leaves out %v (%v), the body %v", form, left, err, notes)
		}
		if ok {
			checkFuzzedTurn(t, form, verbatim, said, rest)
		}
	})
}

// checkFuzzedTurn puts the text back into its place and wants the form again.
func checkFuzzedTurn(t *testing.T, form []byte, verbatim bool, said string, rest []byte) {
	t.Helper()
	quoted, err := jsontext.AppendQuote(nil, said)
	if err != nil || said == "" {
		t.Fatalf("text %q: %v", said, err)
	}
	if verbatim {
		form, err = openai.Dialect{}.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: form}, false)
		if err != nil {
			t.Fatal(err)
		}
	}
	for at := 0; ; at++ {
		i := bytes.Index(rest[at:], []byte(`""`))
		if i < 0 {
			t.Fatalf("%s is not %s with %s in it", form, rest, quoted)
		}
		at += i
		if string(rest[:at])+string(quoted)+string(rest[at+2:]) == string(form) {
			return
		}
	}
}
