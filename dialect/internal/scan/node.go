package scan

import (
	"bytes"
	"slices"
)

// Node is a JSON value in memory, for the few places that rebuild an answer or read
// a foreign one: members keep their order, and scalars keep their spelling. Methods
// that read take a nil Node for an absent value. A node is for one goroutine.
type Node struct {
	// Kind is '{', '[', '"', or 'x' for numbers, booleans and null.
	Kind byte
	// Text is of a string what stands between its quotes, escapes and all; of 'x' the literal.
	Text []byte
	// Names are those of an object's Members; nil for an array.
	Names []string
	// Members are an object's values, or an array's elements.
	Members []*Node

	owned bool // Text can be appended to
}

// Parse reads one JSON value that is nested at most max deep; nil for what is not
// JSON. Of members of the same name the last one counts. The nodes point into text.
func Parse(text []byte, max int) *Node {
	c := Cursor{Text: text, Max: max}
	n := c.node()
	if !c.Whole() {
		return nil
	}
	return n
}

func (c *Cursor) node() *Node {
	switch kind := c.Peek(); kind {
	case '{':
		return c.members(&Node{Kind: kind})
	case '[':
		n := &Node{Kind: kind}
		for ok := c.Open('['); ok; ok = c.More(']') {
			n.Members = append(n.Members, c.node())
		}
		return n
	case '"':
		text, _ := c.Quoted()
		return &Node{Kind: kind, Text: text}
	}
	return &Node{Kind: 'x', Text: c.Value()}
}

// manyMembers is from how many members on an object's names are looked up in a map: a body
// of a million of them would be compared for half an hour otherwise.
const manyMembers = 32

func (c *Cursor) members(n *Node) *Node {
	var places map[string]int
	for ok := c.Open('{'); ok; ok = c.More('}') {
		name := string(c.Name())
		value := c.node()
		if len(n.Names) < manyMembers {
			n.Set(name, value)
			continue
		}
		if places == nil {
			places = make(map[string]int, 2*manyMembers)
			for i, have := range n.Names {
				places[have] = i
			}
		}
		if i, have := places[name]; have {
			n.Members[i] = value
			continue
		}
		places[name] = len(n.Names)
		n.Names, n.Members = append(n.Names, name), append(n.Members, value)
	}
	return n
}

// Literal makes a number, a boolean or null of its text.
func Literal(text string) *Node { return &Node{Kind: 'x', Text: []byte(text)} }

// Quoted makes a string of text that needs no escapes.
func Quoted(text string) *Node { return &Node{Kind: '"', Text: []byte(text)} }

// Object makes an object without members.
func Object() *Node { return &Node{Kind: '{'} }

// Array makes an array.
func Array(elements ...*Node) *Node { return &Node{Kind: '[', Members: elements} }

// Is reports whether n is the number, boolean or null that literal spells.
func (n *Node) Is(literal string) bool {
	return n != nil && n.Kind == 'x' && string(n.Text) == literal
}

// Get returns a member of an object; nil where n is no object or has no such member.
func (n *Node) Get(name string) *Node {
	if n == nil || n.Kind != '{' {
		return nil
	}
	for i, have := range n.Names {
		if have == name {
			return n.Members[i]
		}
	}
	return nil
}

// Set adds or replaces a member of an object.
func (n *Node) Set(name string, value *Node) {
	for i, have := range n.Names {
		if have == name {
			n.Members[i] = value
			return
		}
	}
	n.Names = append(n.Names, name)
	n.Members = append(n.Members, value)
}

// Put sets a member before all others, unless it is there.
func (n *Node) Put(name string, value *Node) {
	if n.Get(name) == nil {
		n.Names = append([]string{name}, n.Names...)
		n.Members = append([]*Node{value}, n.Members...)
	}
}

// Without returns an object without the members that are named.
func (n *Node) Without(names ...string) *Node {
	rest := Object()
next:
	for i, have := range n.Names {
		for _, name := range names {
			if have == name {
				continue next
			}
		}
		rest.Names = append(rest.Names, have)
		rest.Members = append(rest.Members, n.Members[i])
	}
	return rest
}

// Elements returns an array's elements; nil for everything else.
func (n *Node) Elements() []*Node {
	if n == nil || n.Kind != '[' {
		return nil
	}
	return n.Members
}

// String returns the text that a string means; empty for everything else.
func (n *Node) String() string {
	if n == nil || n.Kind != '"' {
		return ""
	}
	if bytes.IndexByte(n.Text, '\\') < 0 {
		return string(n.Text)
	}
	return string(Unescape(n.Text))
}

// Number returns a number as an integer; false for everything else.
func (n *Node) Number() (int64, bool) {
	if n == nil || n.Kind != 'x' || len(n.Text) == 0 || n.Text[0] > '9' {
		return 0, false
	}
	return Integer(n.Text), true
}

// Empty reports that the value says nothing: null, 0, "", [] and {}.
func (n *Node) Empty() bool {
	switch {
	case n == nil:
		return true
	case n.Kind == 'x':
		return n.Is("null") || n.Is("0")
	case n.Kind == '"':
		return len(n.Text) == 0
	}
	return len(n.Members) == 0
}

// Append appends the value as compact JSON.
func (n *Node) Append(dst []byte) []byte {
	switch n.Kind {
	case '{':
		dst = append(dst, '{')
		for i, m := range n.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, n.Names[i])
			dst = m.Append(append(dst, ':'))
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for i, m := range n.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.Append(dst)
		}
		return append(dst, ']')
	case '"':
		return append(append(append(dst, '"'), n.Text...), '"')
	}
	return append(dst, n.Text...)
}

// Extend appends a string's text to that of n, which is a string too. Halves of a
// surrogate pair that stand in the two become one character again, because what
// stands between the quotes is put together as it is. The text that n was parsed
// from is left alone.
func (n *Node) Extend(piece *Node) {
	if !n.owned { // it is followed by the rest of its source
		n.Text, n.owned = slices.Clip(n.Text), true
	}
	n.Text = append(n.Text, piece.Text...)
}
