package degrade_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/degrade"
)

func ExampleConfig_files() {
	d, err := degrade.New(degrade.Config{
		Files: []degrade.File{{
			Path: "templates/vc-analysis.de.txt", Operation: "vc-analysis", Locale: "de",
			Content: "---\nversion: 3\n---\nDer Check ist gerade nicht möglich. Hilfe: {{support_phone}} ({{support_id}})\n",
		}},
		Variables: map[string]string{"support_phone": "+49 89 1234567"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, _ := d.Text(degrade.Case{Operation: "vc-analysis", Persona: "Der Profi", SupportID: "req-1"})
	fmt.Println(answer.Text)
	fmt.Println(answer.Mark())
	// Output:
	// Der Check ist gerade nicht möglich. Hilfe: +49 89 1234567 (req-1)
	// vc-analysis/de@3
}

func TestFrontMatter(t *testing.T) {
	const none = "982d9e3e"
	for _, test := range []struct{ name, content, text, version, fault string }{
		{"none", "text", "text", none, ""},
		{"white space at the end", "text \n\t\n\n", "text", none, ""},
		{"lines of another system", "text\r\n", "text", none, ""},
		{"a byte order mark", "\ufefftext", "text", none, ""},
		{"with all of it", "\ufeff---\r\nversion: 3\r\n---\r\na\r\nb\r\n", "a\nb", "3", ""},
		{"generous spaces", "---  \n  version :  1.2-rc_4  \n\t---\ntext", "text", "1.2-rc_4", ""},
		{"a second one is text", "---\nversion: 1\n---\n---\nversion: 2\n---\ntext", "---\nversion: 2\n---\ntext", "1", ""},
		{"dashes behind an empty line", "\n---\ntext", "\n---\ntext", "", ""},
		{"dashes further down", "text\n---\n", "text\n---", "", ""},
		{"four dashes", "----\ntext", "----\ntext", "", ""},

		{"not closed", "---\nversion: 1\ntext", "", "", `f.txt:3: "text": the front matter has one line`},
		{"nothing but the fence", "---", "", "", "f.txt:1: the front matter does not end"},
		{"ends in the middle", "---\nversion: 1", "", "", "f.txt:1: the front matter does not end"},
		{"no version", "---\n---\ntext", "", "", "f.txt:2: the front matter has no version"},
		{"another key", "---\nlocale: de\n---\ntext", "", "", `f.txt:2: "locale: de": the front matter has one line, such as version: 1`},
		{"another key too", "---\nversion: 1\nlocale: de\n---\ntext", "", "", `f.txt:3: "locale: de": the front matter has one line`},
		{"two versions", "---\nversion: 1\nversion: 2\n---\ntext", "", "", `f.txt:3: "version: 2": the front matter has one line`},
		{"an empty line in it", "---\n\nversion: 1\n---\ntext", "", "", `f.txt:2: "": the front matter has one line`},
		{"an empty version", "---\nversion:\n---\ntext", "", "", `f.txt:2: "" cannot be a version: 1 to 32 of`},
		{"a version in quotes", "---\nversion: \"3\"\n---\ntext", "", "", `f.txt:2: "\"3\"" cannot be a version`},
		{"a long version", "---\nversion: " + strings.Repeat("1", 33) + "\n---\ntext", "", "", "cannot be a version"},
		{"no text", "---\nversion: 1\n---\n \n", "", "", "f.txt: the text is empty"},
		{"nothing", "", "", "", "f.txt: the text is empty"},
		{"too long", strings.Repeat("x", degrade.MaxTextBytes+1), "", "", "f.txt: the text has 65537 bytes: at most 65536"},
		{"as long as may be", strings.Repeat("x", degrade.MaxTextBytes), strings.Repeat("x", degrade.MaxTextBytes), "", ""},
		{"UTF-16", "\xff\xfet\x00e\x00", "", "", "f.txt: the text is not valid UTF-8"},
		{"a fault behind front matter", "---\nversion: 1\n---\nfirst\n{{first}} and\n{{second}}", "", "", "f.txt:5: unknown variable {{first}}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := degrade.New(degrade.Config{Files: []degrade.File{{Path: "f.txt", Operation: "op", Content: test.content}}})
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) {
					t.Errorf("error %v, want %s", err, test.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, _ := d.Text(degrade.Case{Operation: "op"})
			if got.Text != test.text || test.version != "" && got.Version != test.version {
				t.Errorf("%+v, want %q in version %q", got, test.text, test.version)
			}
		})
	}
}

// Without front matter the version changes with the text and with nothing else.
func TestVersionOfText(t *testing.T) {
	version := func(text, phone string) string {
		t.Helper()
		d := make1(t, degrade.Config{Files: []degrade.File{{Path: "f", Content: text}}, Variables: map[string]string{"phone": phone}})
		a, _ := d.Text(degrade.Case{Operation: "any", SupportID: text})
		if len(a.Version) != 8 || a.Mark() != "default@"+a.Version {
			t.Errorf("version %q, mark %q", a.Version, a.Mark())
		}
		return a.Version
	}
	first := version("call {{phone}}", "1")
	if version("call {{phone}}", "2") != first || version("\ufeffcall {{phone}}\r\n", "1") != first {
		t.Error("the version changes with a variable or with the end of a file")
	}
	if version("Call {{phone}}", "1") == first {
		t.Error("another text has the same version")
	}
}

func TestMark(t *testing.T) {
	file := func(operation, locale, content string) degrade.File {
		return degrade.File{Path: operation + "." + locale, Operation: operation, Locale: locale, Content: "---\nversion: " + content + "\n---\n" + content}
	}
	d := make1(t, degrade.Config{
		Files: []degrade.File{file("op", "de-AT", "1"), file("op", "", "2"), file("", "de", "3"), file("", "", "4")},
		Personas: map[string]degrade.Persona{
			"own":  {Locale: "de-CH", Files: []degrade.File{file("op", "de", "5"), file("", "fr", "6")}},
			"both": {Templates: map[string]string{"op": "inline"}, Files: []degrade.File{file("op", "de", "7")}},
		},
	})
	for _, test := range []struct{ persona, operation, locale, want string }{
		{"", "op", "de-at-1996", "op/de-AT@1"},
		{"", "op", "de", "op@2"},
		{"", "other", "de-AT", "default/de@3"},
		{"", "other", "", "default@4"},
		{"own", "op", "", "op/de@5"},
		{"own", "op", "fr", "default/fr@6"}, // the persona's own texts go before all others
		{"own", "op", "en", "op@2"},
		{"own", "other", "fr-CA", "default/fr@6"},
		{"both", "op", "de", "op/de@7"},
		{"both", "op", "en", "op@995cf20a"},
	} {
		if got, _ := d.Text(degrade.Case{Persona: test.persona, Operation: test.operation, Locale: test.locale}); got.Mark() != test.want {
			t.Errorf("%+v: %s", test, got.Mark())
		}
	}
}

func TestRegistry(t *testing.T) {
	d := make1(t, degrade.Config{Personas: map[string]degrade.Persona{
		"":    {Name: "guest", Locale: "en"},
		"vip": {Tone: "warm", Templates: map[string]string{"": "x"}},
	}})
	for id, want := range map[string]degrade.Persona{
		"vip":       {ID: "vip", Name: "vip", Tone: "warm"},
		"Der Profi": {ID: "Der Profi", Name: "Der Profi", Locale: "de-DE", Tone: "sachlich, knapp, per Sie"},
		"nobody":    {Name: "guest", Locale: "en"},
		"":          {Name: "guest", Locale: "en"},
	} {
		if diff := cmp.Diff(want, d.Persona(id)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", id, diff)
		}
	}
	if diff := cmp.Diff([]string{"", "Der Profi", "vip"}, d.Personas()); diff != "" {
		t.Errorf("personas (-want +got):\n%s", diff)
	}
	if p := make1(t, degrade.Config{}).Persona("nobody"); p.ID != "" || p.Name != "" {
		t.Errorf("without a default persona: %+v", p)
	}
}

// TestChoice compares the choice of a text with a list that is searched from its
// start: every text is named by where it stands, and the list holds, best first,
// where the text of a case may stand.
func TestChoice(t *testing.T) {
	operations, locales := []string{"", "a", "b"}, []string{"", "de", "de-AT", "en"}
	rapid.Check(t, func(t *rapid.T) {
		have := map[string]bool{}
		files := func(set string) []degrade.File {
			var all []degrade.File
			for _, operation := range operations {
				for _, locale := range locales {
					if rapid.Bool().Draw(t, set+operation+locale) {
						name := set + "|" + operation + "|" + locale
						have[name] = true
						all = append(all, degrade.File{Path: name, Operation: operation, Locale: strings.ReplaceAll(locale, "-", "_"), Content: name})
					}
				}
			}
			return all
		}
		d, err := degrade.New(degrade.Config{
			Personas: map[string]degrade.Persona{"p": {Locale: "de_at", Files: files("p")}, "": {Files: files("default")}},
			Files:    files("all"),
		})
		if err != nil {
			t.Fatal(err)
		}
		persona := rapid.SampledFrom([]string{"p", "", "x"}).Draw(t, "persona")
		operation := rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "operation")
		locale := rapid.SampledFrom([]string{"", "de", "de-AT", "DE_at", "de-AT-1996", "en", "fr"}).Draw(t, "locale")
		got, ok := d.Text(degrade.Case{Persona: persona, Operation: operation, Locale: locale})
		if !ok {
			t.Fatal("no text")
		}
		for _, name := range places(persona, operation, locale) {
			if have[name] {
				if got.Text != name || strings.ReplaceAll(got.Operation+"|"+got.Locale, "_", "-") != name[strings.IndexByte(name, '|')+1:] {
					t.Fatalf("%+v, want %s", got, name)
				}
				return
			}
		}
		if !strings.Contains(got.Text, "{{") && !strings.Contains(got.Text, "prepared answer") && !strings.Contains(got.Text, "vorbereitete Antwort") {
			t.Fatalf("%+v is not a built-in text", got)
		}
	})
}

// places lists where the text of a case may stand.
func places(persona, operation, locale string) []string {
	first := map[string]string{"p": "p"}[persona]
	if first == "" {
		first = "default"
	}
	if locale == "" && persona == "p" {
		locale = "de-AT"
	}
	tags := map[string][]string{
		"": {""}, "de": {"de", ""}, "de-AT": {"de-AT", "de", ""}, "DE_at": {"de-AT", "de", ""}, "de-AT-1996": {"de-AT", "de", ""}, "en": {"en", ""}, "fr": {""},
	}[locale]
	var all []string
	for _, set := range []string{first, "all"} {
		for _, op := range []string{operation, ""} {
			for _, tag := range tags {
				all = append(all, set+"|"+op+"|"+tag)
			}
		}
	}
	return all
}

// FuzzFile reads any file: it is refused with its name and a reason, or gives a text
// with a version, whose literal parts come from the file.
func FuzzFile(f *testing.F) {
	for _, content := range []string{
		"text", "---\nversion: 3\n---\n{{operation}} {{phone}}", "---\n---\n", "---\nversion: 1\nx: y\n---\n", "\ufeff---\r\nversion: a.b\r\n---\r\nc\r\n",
		"{{{{phone}}}}", "---", "{{unknown}}", "\x00", "\xff\xfe",
	} {
		f.Add(content, "op", "de")
	}
	f.Fuzz(func(t *testing.T, content, operation, locale string) {
		cfg := degrade.Config{
			Files:     []degrade.File{{Path: "dir/file.txt", Operation: operation, Locale: locale, Content: content}},
			Variables: map[string]string{"phone": "{{support_id}}"},
		}
		d, err := degrade.New(cfg)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "degrade: dir/file.txt:") || len(err.Error()) > 8<<10 {
				t.Fatalf("%d bytes of error: %.200v", len(err.Error()), err)
			}
			return
		}
		got, ok := d.Text(degrade.Case{Operation: operation, Locale: locale})
		if !ok || got.Operation != operation || got.Locale != locale || got.Version == "" || len(got.Version) > 32 || strings.ContainsAny(got.Version, " \n\"/@") {
			t.Fatalf("%+v, %v", got, ok)
		}
		if !strings.Contains(content, "{{") { // then the text is the end of the file
			whole := strings.TrimRight(strings.ReplaceAll(content, "\r\n", "\n"), " \t\n")
			if strings.TrimSpace(got.Text) == "" || !strings.HasSuffix(whole, got.Text) {
				t.Fatalf("%q of %q", got.Text, content)
			}
		}
	})
}
