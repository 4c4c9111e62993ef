package scan_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

func TestNodeKeepsOrderAndSpelling(t *testing.T) {
	const text = `{"z":1.50,"a":[true,null,{},[]],"\u0062":"\u00e9\/"}`
	n := scan.Parse([]byte(" "+text+" "), 9)
	if got, want := string(n.Append([]byte("x"))), `x{"z":1.50,"a":[true,null,{},[]],"b":"\u00e9\/"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if scan.Parse([]byte(`[[1]]`), 1) != nil || scan.Parse([]byte(`[1`), 9) != nil || scan.Parse(nil, 9) != nil {
		t.Error("what is not JSON or too deep has a node")
	}
}

func TestNodeReads(t *testing.T) {
	n := scan.Parse([]byte(`{"a":"x\n","b":12,"c":[1,"2"],"d":null,"e":0,"f":"","g":{},"a2":"y","b2":true,"h":{"i":{"j":"deep"}}}`), 9)
	if got := n.Get("h").Get("i").Get("j").String(); got != "deep" {
		t.Errorf("got %q", got)
	}
	if n.Get("a").String() != "x\n" || n.Get("b").String() != "" || n.Get("nothing").Get("at all").String() != "" {
		t.Error("strings")
	}
	if b, ok := n.Get("b").Number(); b != 12 || !ok {
		t.Errorf("number %d, %v", b, ok)
	}
	for _, name := range []string{"a", "b2", "d", "nothing"} {
		if _, ok := n.Get(name).Number(); ok {
			t.Errorf("%s is a number", name)
		}
	}
	var empty []string
	for _, name := range n.Names {
		if n.Get(name).Empty() {
			empty = append(empty, name)
		}
	}
	if diff := cmp.Diff([]string{"d", "e", "f", "g"}, empty); diff != "" {
		t.Errorf("empty (-want +got):\n%s", diff)
	}
	if len(n.Get("c").Elements()) != 2 || n.Get("a").Elements() != nil || !n.Get("d").Is("null") || n.Get("nothing").Is("null") {
		t.Error("elements and literals")
	}
}

func TestNodeChanges(t *testing.T) {
	source := []byte(`{"a":1,"b":{"c":2},"t":"one"} tail`)
	text := source[:len(source)-5]
	n := scan.Parse(text, 9)
	n.Set("a", scan.Quoted("new"))
	n.Set("d", scan.Array(scan.Literal("1"), scan.Object()))
	n.Put("first", scan.Literal("true"))
	n.Put("a", scan.Literal("false")) // it is there
	n.Get("t").Extend(scan.Quoted(`\ud83d`))
	n.Get("t").Extend(scan.Quoted(`\ude00`))
	if got, want := string(n.Append(nil)), `{"first":true,"a":"new","b":{"c":2},"t":"one\ud83d\ude00","d":[1,{}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := n.Get("t").String(); got != "one😀" {
		t.Errorf("text %q", got)
	}
	rest := n.Without("b", "t", "nothing")
	if !slices.Equal(rest.Names, []string{"first", "a", "d"}) || len(n.Names) != 5 {
		t.Errorf("without %v, with %v", rest.Names, n.Names)
	}
	if string(source) != `{"a":1,"b":{"c":2},"t":"one"} tail` {
		t.Errorf("the source is now %s", source)
	}
}

// What encoding/json reads of a text is what it reads of the node's text.
func FuzzNode(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,true,false,null,{},[]],"\u0062\n":"\ud83d\ude00 \/"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		n := scan.Parse(text, 100)
		if n == nil {
			return
		}
		var a, b any
		if err := json.Unmarshal(text, &a); err != nil {
			return // numbers out of range
		}
		if err := json.Unmarshal(n.Append(nil), &b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("(-text +node):\n%s", diff)
		}
	})
}
