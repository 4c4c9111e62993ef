package scan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

func TestStrict(t *testing.T) {
	const fix = "Send JSON as RFC 8259 has it."
	for _, test := range []struct {
		name, text string
		want       scan.Fault
	}{
		{"empty", " \n", scan.Fault{Message: "is empty", Fix: "Send a JSON object."}},
		{"byte order mark", "\ufeff{}", scan.Fault{
			Message: "is not valid: it begins with a byte order mark at byte 0 (line 1, column 1)",
			Fix:     "Encode the body as UTF-8 without a byte order mark.",
		}},
		{"no object", "\n [1]", scan.Fault{Message: "is not valid: it is an array, not an object at byte 2 (line 2, column 2)", Fix: "Send a JSON object."}},
		{"duplicate", `{"a":[{"b":1,"b":2}]}`, scan.Fault{
			Message: `is not valid: duplicate member "b" at byte 13 (line 1, column 14), in /a/0/b`, Param: "a[0].b", Fix: "Send each member once.",
		}},
		{"cut", "{\"ü\":\n[1", scan.Fault{
			Message: `is not valid: it ends too early at byte 9 (line 2, column 3), in /ü`, Param: "ü", Fix: "Send the whole body; check Content-Length.",
		}},
		{"something behind", `{} {}`, scan.Fault{Message: "is not valid: something follows the JSON value at byte 3 (line 1, column 4)"}},
		{"bad UTF-8", "{\"a\":\"\xff\"}", scan.Fault{Message: "is not valid: invalid UTF-8 at byte 6 (line 1, column 7), in /a", Param: "a", Fix: fix}},
		{"lone surrogate", `{"a":"\ud800"}`, scan.Fault{
			Message: "is not valid: invalid surrogate pair `\\ud800\"}` in string at byte 6 (line 1, column 7), in /a", Param: "a", Fix: fix,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, fault := scan.Strict([]byte(test.text), 8)
			if fault == nil {
				t.Fatal("it is taken")
			}
			if diff := cmp.Diff(test.want, *fault); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	c, fault := scan.Strict([]byte(` {"a":{"a":1}} `), 8)
	if fault != nil || c.At != 1 || c.Max != 8 {
		t.Errorf("cursor at %d, fault %v", c.At, fault)
	}
}

func TestExplainDepth(t *testing.T) {
	text := `{"a":"[[[\"[[","b":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`
	f := scan.Explain([]byte(text), 8)
	if !f.Deep || !strings.Contains(f.Message, "nested too deep at byte 26 ") || f.Fix == "" {
		t.Errorf("%+v", f)
	}
	if c, fault := scan.Strict([]byte(text), 8); fault != nil {
		t.Errorf("Strict looks at the depth: %v", fault)
	} else if c.Skip(); !c.Deep {
		t.Error("its cursor does not")
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		text string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abc", 2, "ab"}, {"aü", 2, "a"}, {"ü", 1, ""}, {"a\xffb", 9, "a\uFFFDb"}, {"", 0, ""}} {
		if got := scan.Cut(test.text, test.n); got != test.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", test.text, test.n, got, test.want)
		}
	}
	if got := string(scan.AppendString([]byte("x"), "a\"\xff\n")); got != "x\"a\\\"\uFFFD\\n\"" {
		t.Errorf("got %s", got)
	}
	for ch, want := range map[byte]string{'{': "an object", '[': "an array", '"': "a string", 't': "a boolean", 'f': "a boolean", 'n': "null", '7': "a number"} {
		if got := scan.KindName(ch); got != want {
			t.Errorf("%c: %s", ch, got)
		}
	}
}
