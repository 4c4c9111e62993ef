package scan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// walk visits every value by its kind and returns what it saw.
func walk(c *scan.Cursor) any {
	switch c.Peek() {
	case '{':
		object := map[string]any{}
		for ok := c.Open('{'); ok; ok = c.More('}') {
			name := string(c.Name())
			object[name] = walk(c)
		}
		return object
	case '[':
		array := []any{}
		for ok := c.Open('['); ok; ok = c.More(']') {
			array = append(array, walk(c))
		}
		return array
	case '"':
		inner, escaped := c.Quoted()
		if escaped {
			return string(scan.Unescape(inner))
		}
		return string(inner)
	}
	return string(c.Value())
}

func TestWalk(t *testing.T) {
	c := scan.Cursor{Text: []byte("\r\n{ \"a\" : [ 1 , -2.50e+3,\ttrue,false , null, {} , [ ] ], \"\\u0062\\n\":\"x\\\"\\u00e9\", \"c\":\"ü\" } "), Max: 3}
	want := map[string]any{
		"a": []any{"1", "-2.50e+3", "true", "false", "null", map[string]any{}, []any{}}, "b\n": `x"é`, "c": "ü",
	}
	if diff := cmp.Diff(want, walk(&c)); diff != "" || !c.Whole() || c.Depth != 0 {
		t.Errorf("whole %v, depth %d (-want +got):\n%s", c.Whole(), c.Depth, diff)
	}
}

// notJSON are texts that encoding/json refuses too, and depth is no reason.
var notJSON = []string{
	``, ` `, `{`, `}`, `[`, `]`, `[1`, `[1,`, `[1,]`, `[,]`, `[1 2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{1:2}`, `{"a" 1}`, `{"a":1 "b":2}`,
	`"`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", "\"\x00\"", `tru`, `truee`, `nul`, `falsy`, `+1`, `-`, `01`, `1.`, `.5`, `1e`, `1e+`, `1.e3`, `--1`, `0x1`,
	`NaN`, `1 2`, `{}{}`, `[]]`, `{"a":1}}`, "\ufeff1", `[1}`, `{"a":1]`, `'a'`, "\v1",
}

func TestRefuses(t *testing.T) {
	for _, text := range notJSON {
		for what, step := range map[string]func(*scan.Cursor){
			"Skip": (*scan.Cursor).Skip, "Value": func(c *scan.Cursor) { c.Value() }, "walk": func(c *scan.Cursor) { walk(c) },
			"Filled": func(c *scan.Cursor) { c.Filled() }, "Count": func(c *scan.Cursor) { c.Count() },
		} {
			c := scan.Cursor{Text: []byte(text), Max: 9}
			if step(&c); c.Whole() {
				t.Errorf("%s takes %q", what, text)
			}
		}
	}
}

func TestDepth(t *testing.T) {
	text := []byte(`{"a":[{"b":1}]}`)
	for most := range 5 {
		c := scan.Cursor{Text: text, Max: most}
		if c.Skip(); c.Whole() != (most >= 3) || c.Deep != (most < 3) {
			t.Errorf("at most %d: whole %v, deep %v", most, c.Whole(), c.Deep)
		}
	}
}

// After a fault nothing is found, and nothing panics.
func TestAfterAFault(t *testing.T) {
	c := scan.Cursor{Text: []byte(`{"a":1}`), Max: 9}
	c.Fail()
	inner, escaped := c.Quoted()
	if c.Open('{') || c.More('}') || c.Name() != nil || inner != nil || escaped || c.Value() != nil || c.Number() != nil || c.Null() || c.Filled() || c.Count() != 0 || c.Whole() {
		t.Error("something is found behind a fault")
	}
}

func TestScalars(t *testing.T) {
	for _, test := range []struct {
		text   string
		filled bool
		count  int64
	}{
		{`""`, false, 0},
		{`"a"`, true, 0},
		{`{}`, false, 0},
		{"[ \n]", false, 0},
		{`[0]`, true, 0},
		{`{"a":null}`, true, 0},
		{`null`, false, 0},
		{`7`, false, 7},
		{`-7`, false, 0},
		{`7.9`, false, 7},
		{`1e3`, false, 1000},
		{`999999999999999`, false, 999999999999999},
		{`9223372036854775807`, false, 9223372036854775807},
		{`9223372036854775808`, false, 9223372036854775807},
		{`1e999`, false, 9223372036854775807},
		{`"7"`, true, 0},
	} {
		c := scan.Cursor{Text: []byte(test.text), Max: 1}
		if got := c.Filled(); got != test.filled || !c.Whole() {
			t.Errorf("%s: filled %v, whole %v", test.text, got, c.Whole())
		}
		c = scan.Cursor{Text: []byte(test.text), Max: 1}
		if got := c.Count(); got != test.count || !c.Whole() {
			t.Errorf("%s: count %d, whole %v", test.text, got, c.Whole())
		}
	}
	for text, want := range map[string]int64{"-1e999": -9223372036854775808, "-9223372036854775809": -9223372036854775808, "-2.9": -2, "x": 0, "": 0} {
		if got := scan.Integer([]byte(text)); got != want {
			t.Errorf("Integer(%q) = %d, want %d", text, got, want)
		}
	}
	c := scan.Cursor{Text: []byte(`nullx`)}
	if !c.Null() || c.Whole() {
		t.Error("null is not found, or what follows it is")
	}
}

func FuzzCursor(f *testing.F) {
	for _, text := range notJSON {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"a":[1,-2.5e3,true,false,null,{},[]],"\u0062\n":"\ud83d\ude00 \/"}`))
	f.Add([]byte("{\"a\":\"\xff\\ud800\"}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		c := scan.Cursor{Text: text, Max: 1000}
		c.Skip()
		if !c.Deep && c.Whole() != json.Valid(text) {
			t.Fatalf("whole %v, encoding/json says %v", c.Whole(), json.Valid(text))
		}
		w := scan.Cursor{Text: text, Max: 1000}
		if walk(&w); w.Whole() != c.Whole() {
			t.Fatalf("whole %v when walked, %v when skipped", w.Whole(), c.Whole())
		}
		if _, fault := scan.Strict(text, 1000); fault == nil && !c.Whole() {
			t.Fatal("Strict takes what is not JSON")
		}
		if n := scan.Parse(text, 1000); (n != nil) != c.Whole() {
			t.Fatalf("Parse gives %v", n)
		}
		if !bytes.Equal(before, text) {
			t.Fatal("the text was changed")
		}
	})
}

func ExampleCursor() {
	c := scan.Cursor{Text: []byte(`{"model":"m","messages":[{"role":"user"}],"n":2}`), Max: 64}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "model":
			inner, _ := c.Quoted()
			fmt.Printf("%s\n", inner)
		case "n":
			fmt.Println(c.Count())
		default:
			c.Skip()
		}
	}
	fmt.Println(c.Whole())
	// Output:
	// m
	// 2
	// true
}

func BenchmarkSkip(b *testing.B) {
	text := []byte(`{"messages":[` + strings.Repeat(`{"role":"user","content":"The quick brown fox jumps over the lazy dog.\n"},`, 24) + `{}]}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		c := scan.Cursor{Text: text, Max: 64}
		if c.Skip(); !c.Whole() {
			b.Fatal("not JSON")
		}
	}
}
