package degrade_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/degrade"
)

func ExampleDegrader_Text() {
	d, err := degrade.New(degrade.Config{
		Templates: map[string]map[string]string{
			"opening-hours": {"": "We cannot look up the opening hours now. Please call us. ({{support_id}})"},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, ok := d.Text(degrade.Case{Operation: "opening-hours", SupportID: "req-123"})
	fmt.Println(ok, answer.Text)
	fmt.Println(answer.Mark())
	// Output:
	// true We cannot look up the opening hours now. Please call us. (req-123)
	// opening-hours@ee0a7999
}

func make1(t *testing.T, cfg degrade.Config) *degrade.Degrader {
	t.Helper()
	d, err := degrade.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPrecedence(t *testing.T) {
	d := make1(t, degrade.Config{
		Personas: map[string]degrade.Persona{
			"own":     {Templates: map[string]string{"op": "persona op", "": "persona all"}},
			"one":     {Templates: map[string]string{"op": "persona op"}, Locale: "de-AT"},
			"swiss":   {Locale: "de_CH"},
			"unnamed": {},
		},
		Templates: map[string]map[string]string{
			"op":         {"de": "op de", "": "op"},
			"german":     {"de": "german de"},
			"":           {"de": "general de", "de-CH": "general de-CH", "": "general"},
			"only-swiss": {"de-CH": "only de-CH"},
		},
	})
	for _, test := range []struct {
		persona, operation, locale, want string
	}{
		{"own", "op", "de", "persona op"},
		{"own", "other", "de", "persona all"},
		{"own", "", "", "persona all"},
		{"one", "op", "", "persona op"},
		{"one", "other", "", "general de"}, // de-AT has no text, de has
		{"one", "german", "", "german de"},
		{"one", "german", "fr", "general"}, // the call's locale goes before the persona's
		{"", "op", "de", "op de"},
		{"", "op", "de-AT", "op de"},
		{"", "op", "DE_at", "op de"},
		{"", "op", "fr", "op"},
		{"", "op", "", "op"},
		{"", "german", "en", "general"}, // an operation's text in another language does not count
		{"", "other", "de-CH", "general de-CH"},
		{"", "other", "de-CH-1996", "general de-CH"},
		{"", "other", "de", "general de"},
		{"", "other", "d", "general"},
		{"", "other", "", "general"},
		{"", "only-swiss", "de", "general de"},
		{"swiss", "only-swiss", "", "only de-CH"},
		{"swiss", "op", "", "op de"}, // the operation goes before the language
		{"unnamed", "op", "", "op"},
		{"nobody", "op", "", "op"},
		{"nobody", "op", strings.Repeat("de-", 1000), "op"},
		{"Der Profi", "op", "", "op de"}, // built in, speaks German
		{"", "vc-analysis", "", "general"},
	} {
		got, ok := d.Text(degrade.Case{Persona: test.persona, Operation: test.operation, Locale: test.locale})
		if !ok || got.Text != test.want {
			t.Errorf("persona %q, operation %q, locale %.10q: %+v, %v, want %q", test.persona, test.operation, test.locale, got, ok, test.want)
		}
	}
}

func TestDefaultPersona(t *testing.T) {
	d := make1(t, degrade.Config{Personas: map[string]degrade.Persona{
		"":      {Name: "guest", Templates: map[string]string{"": "for {{persona}}"}},
		"named": {Templates: map[string]string{"": "to {{persona}}"}},
	}})
	for persona, want := range map[string]string{"": "for guest", "nobody {{persona}}": "for guest", "named": "to named"} {
		if got, _ := d.Text(degrade.Case{Persona: persona}); got.Text != want {
			t.Errorf("persona %q: %+v, want %q", persona, got, want)
		}
	}
}

// Every built-in text says that it is prepared, why, and has the support id; and
// its language is the one that was asked for.
func TestBuiltinTexts(t *testing.T) {
	d := make1(t, degrade.Config{})
	seen := map[string]string{}
	for _, operation := range []string{"", "vc-analysis", "content-generation", "business-framework", "persona-detection", "unheard-of"} {
		for locale, words := range map[string][]string{
			"":      {"prepared answer", "not available"},
			"en-GB": {"prepared answer", "not available"},
			"fr":    {"prepared answer", "not available"},
			"de":    {"vorbereitete Antwort", "nicht verfügbar"},
			"de-DE": {"vorbereitete Antwort", "nicht verfügbar"},
		} {
			answer, ok := d.Text(degrade.Case{Operation: operation, Locale: locale, SupportID: "req-7f"})
			if !ok {
				t.Fatalf("%q in %q: no text", operation, locale)
			}
			text := answer.Text
			if german := strings.HasPrefix(locale, "de"); german != (answer.Locale == "de") || !german && answer.Locale != "en" {
				t.Errorf("%q in %q: the locale is %q", operation, locale, answer.Locale)
			}
			for _, word := range append(words, "req-7f") {
				if !strings.Contains(text, word) {
					t.Errorf("%q in %q does not say %q: %s", operation, locale, word, text)
				}
			}
			if strings.Contains(text, "{{") {
				t.Errorf("%q in %q: a variable is left: %s", operation, locale, text)
			}
			seen[text] = operation
		}
	}
	if len(seen) != 10 { // five texts in two languages
		t.Errorf("%d different texts, want 10", len(seen))
	}
	if a, _ := d.Text(degrade.Case{Operation: "vc-analysis", Persona: "Der Profi"}); !strings.Contains(a.Text, "vorbereitete") {
		t.Errorf("Der Profi is not answered in German: %+v", a)
	}
	if diff := cmp.Diff([]string{"Der Profi"}, d.Personas()); diff != "" {
		t.Errorf("personas (-want +got):\n%s", diff)
	}
}

func TestOff(t *testing.T) {
	d := make1(t, degrade.Config{Off: true})
	if a, ok := d.Text(degrade.Case{}); ok || a != (degrade.Answer{}) {
		t.Errorf("Text = %+v, %v", a, ok)
	}
}

func TestVariables(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"{{operation}}/{{persona}}/{{support_id}}/{{retry_after}}", "op/Name/id/31"},
		{"{{ support_id }}", "id"},
		{"{{support_id}}{{support_id}}", "idid"},
		{"no variables", "no variables"},
		{"{support_id} {{ }} {{}} {{", "{support_id} {{ }} {{}} {{"},
		{"{{{support_id}}}", "{id}"},
		{`{"a":{"id":"{{support_id}}"}}`, `{"a":{"id":"id"}}`},
		{"{{ not a name }} {{support_id}}", "{{ not a name }} id"},
		{"{{\n\"x\": 1}} {{support_id}}", "{{\n\"x\": 1}} id"},
		{strings.Repeat("{", 1000) + "{{support_id}}", strings.Repeat("{", 1000) + "id"},
	} {
		d := make1(t, degrade.Config{Personas: map[string]degrade.Persona{"p": {Name: "Name", Templates: map[string]string{"": test.text}}}})
		got, _ := d.Text(degrade.Case{Operation: "op", Persona: "p", SupportID: "id", RetryAfter: 30*time.Second + 1})
		if got.Text != test.want {
			t.Errorf("%.40q: %.60q, want %.60q", test.text, got.Text, test.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	d := make1(t, degrade.Config{Templates: map[string]map[string]string{"": {"": "in {{retry_after}} s"}}})
	for wait, want := range map[time.Duration]string{
		0: "in  s", -time.Second: "in  s", 1: "in 1 s", time.Second: "in 1 s", time.Second + 1: "in 2 s", 90 * time.Second: "in 90 s",
	} {
		if a, _ := d.Text(degrade.Case{RetryAfter: wait}); a.Text != want {
			t.Errorf("%v: %q, want %q", wait, a.Text, want)
		}
	}
}

// Whatever a caller sends as operation or id, and whatever the operator's variables
// hold, is inserted as it is: a value never becomes a variable, not even together
// with its neighbours.
func TestValuesAreNotExpanded(t *testing.T) {
	piece := rapid.SampledFrom([]string{"{{", "}}", "{", "}", "support_id", "operation", "own", " ", "$1", "%s", "x"})
	rapid.Check(t, func(t *rapid.T) {
		value := func(name string) string { return strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, name), "") }
		operation, id, own := "x"+value("operation"), value("id"), value("own")
		d, err := degrade.New(degrade.Config{
			Templates: map[string]map[string]string{"": {"": "<{{operation}}|{{{support_id}}}|{{own}}{{support_id}}{{own}}{{operation}}>"}},
			Variables: map[string]string{"own": own},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, _ := d.Text(degrade.Case{Operation: operation, SupportID: id})
		if want := "<" + operation + "|{" + id + "}|" + own + id + own + operation + ">"; got.Text != want {
			t.Fatalf("%q, want %q", got.Text, want)
		}
	})
}

func TestValidateReportsEveryFault(t *testing.T) {
	long := strings.Repeat("x", 65<<10)
	cfg := degrade.Config{
		Personas: map[string]degrade.Persona{
			"a": {ID: "b", Locale: "de DE", Templates: map[string]string{"op": "{{supportid}}", "": " \n"}},
			"c": {Locale: "12"},
			"d": {Locale: strings.Repeat("de-", 20)},
		},
		Templates: map[string]map[string]string{
			"op":   {"de-DE": "x", "de_de": "y", "deutschland-": "z"},
			"":     {"": long, "en": "\xff", "fr": "{{persona}} {{Operation}}"},
			"a\nb": {"": "x"},
		},
		Files: []degrade.File{
			{Path: "d/one.txt", Operation: "one", Content: "---\nversion: 1\n---\n{{ own }} and\n{{ownn}} {{ownn}}\n{{tone}}"},
			{Path: "d/op.de_DE.txt", Operation: "op", Locale: "de_DE", Content: "x"},
			{Path: "d/wide.txt", Operation: "wide", Content: strings.Repeat("{{own}}", 9000)},
			{Path: "d/utf-16.txt", Operation: "utf16", Content: "\nh\x00i\x00"},
			{Path: "d/cut.txt", Operation: "cut", Content: "---\nversion: 1\n"},
		},
		Variables: map[string]string{"own": "12345678", "Phone": "1", "operation": "x", "long": strings.Repeat("x", 1025), "bad": "\xff", "bell": "\a"},
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, fault := range []string{
		`personas["a"]: id "b" differs from its key`,
		`personas["a"].locale: "de DE" is not a language tag`,
		`personas["a"].templates["op"]: unknown variable {{supportid}}: one of {{operation}}, {{persona}}, {{support_id}}, {{retry_after}}`,
		`personas["a"].templates[""]: the text is empty`,
		`personas["c"].locale: "12" is not a language tag`,
		`personas["d"].locale: the locale has 60 bytes: at most 35`,
		`templates["op"]["de_de"]: templates["op"]["de-DE"] is for the same operation and locale`,
		`templates["op"]["deutschland-"]: "deutschland-" is not a language tag`,
		`templates[""][""]: the text has 66560 bytes: at most 65536`,
		`templates[""]["en"]: the text is not valid UTF-8`,
		`templates[""]["fr"]: unknown variable {{Operation}}`,
		`templates["a\nb"][""]: "a\nb" cannot be the name of an operation`,
		`d/one.txt:5: unknown variable {{ownn}}: one of {{operation}}, {{persona}}, {{support_id}}, {{retry_after}}, {{Phone}}, {{bad}}`,
		`d/one.txt:6: unknown variable {{tone}}`,
		`d/op.de_DE.txt: templates["op"]["de_de"] is for the same operation and locale`,
		`d/wide.txt: the text has 72000 bytes with its variables filled in: at most 65536`,
		`d/utf-16.txt:2: the control character U+0000 cannot stand in a text`,
		`d/cut.txt:1: the front matter does not end`,
		`variables["Phone"]: this cannot be a name: 1 to 40 of a-z 0-9 _, the first a letter`,
		`variables["operation"]: every text has this variable already`,
		`variables["long"]: the value has 1025 bytes: at most 1024`,
		`variables["bad"]: the value is not valid UTF-8`,
		`variables["bell"]: the value has a control character`,
	} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("missing: %s\nin:\n%v", fault, err)
		}
	}
	const want = 11 + 12 // {{ownn}} stands twice in one.txt, and is told once
	if faults := err.(interface{ Unwrap() []error }).Unwrap(); len(faults) != want || strings.Count(err.Error(), "\n")+1 != want {
		t.Errorf("%d faults, want %d:\n%v", len(faults), want, err)
	}
	if _, err := degrade.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "degrade: ") {
		t.Errorf("New: %v", err)
	}
	if err := (degrade.Config{}).Validate(); err != nil {
		t.Errorf("the zero configuration: %v", err)
	}
}

// A configuration that Validate accepts always gives a text, whatever is asked.
func FuzzText(f *testing.F) {
	f.Add("Hello {{persona}}, {{support_id}}", "de-DE", "op", "{{operation}}")
	f.Add("{{{{}}}}", "en", "", "")
	f.Add("{{operation", "", "x", "y")
	f.Fuzz(func(t *testing.T, text, locale, operation, id string) {
		d, err := degrade.New(degrade.Config{Templates: map[string]map[string]string{"op": {locale: text}}})
		if err != nil {
			return
		}
		for _, c := range []degrade.Case{
			{Operation: "op", Locale: locale, SupportID: id, Persona: operation},
			{Operation: operation, Locale: id, SupportID: id},
		} {
			if got, ok := d.Text(c); !ok || got.Version == "" || (got.Text == "" && id != "" && c.Operation != "op") {
				t.Fatalf("Text(%+v) = %+v, %v", c, got, ok)
			}
		}
	})
}

func BenchmarkText(b *testing.B) {
	d, err := degrade.New(degrade.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := d.Text(degrade.Case{Operation: "vc-analysis", Persona: "Der Profi", SupportID: "req-123"}); !ok {
			b.Fatal("no text")
		}
	}
}
