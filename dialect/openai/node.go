package openai

import "bytes"

// node is a JSON value in memory, for the few places that rebuild an answer or read
// a foreign one: members keep their order, and scalars keep their spelling.
type node struct {
	kind    byte     // '{', '[', '"', or 'x' for numbers, booleans and null
	text    []byte   // of a string what stands between its quotes; of 'x' the literal
	owned   bool     // text can be appended to
	names   []string // of an object
	members []*node  // of an object, or the elements of an array
}

// parse reads one JSON value that somebody else sent; nil for what is not JSON.
func parse(b []byte) *node {
	c := cursor{b: b, max: maxAnswerDepth}
	n := c.node()
	if !c.whole() {
		return nil
	}
	return n
}

func (c *cursor) node() *node {
	switch kind := c.peek(); kind {
	case '{':
		n := &node{kind: kind}
		for ok := c.open('{'); ok; ok = c.more('}') {
			name := string(c.name())
			n.set(name, c.node())
		}
		return n
	case '[':
		n := &node{kind: kind}
		for ok := c.open('['); ok; ok = c.more(']') {
			n.members = append(n.members, c.node())
		}
		return n
	case '"':
		text, _ := c.str()
		return &node{kind: kind, text: text}
	}
	return &node{kind: 'x', text: c.value()}
}

func literal(text string) *node        { return &node{kind: 'x', text: []byte(text)} }
func object() *node                    { return &node{kind: '{'} }
func array(elements ...*node) *node    { return &node{kind: '[', members: elements} }
func (n *node) is(literal string) bool { return n != nil && n.kind == 'x' && string(n.text) == literal }

// quoted makes a string of text that needs no escapes.
func quoted(text string) *node { return &node{kind: '"', text: []byte(text)} }

// get returns a member of an object; nil where n is no object or has no such member.
func (n *node) get(name string) *node {
	if n == nil || n.kind != '{' {
		return nil
	}
	for i, have := range n.names {
		if have == name {
			return n.members[i]
		}
	}
	return nil
}

// set adds or replaces a member of an object.
func (n *node) set(name string, value *node) {
	for i, have := range n.names {
		if have == name {
			n.members[i] = value
			return
		}
	}
	n.names = append(n.names, name)
	n.members = append(n.members, value)
}

// put sets a member before all others, unless it is there.
func (n *node) put(name string, value *node) {
	if n.get(name) == nil {
		n.names = append([]string{name}, n.names...)
		n.members = append([]*node{value}, n.members...)
	}
}

// without returns an object without the members that are named.
func (n *node) without(names ...string) *node {
	rest := object()
next:
	for i, have := range n.names {
		for _, name := range names {
			if have == name {
				continue next
			}
		}
		rest.names = append(rest.names, have)
		rest.members = append(rest.members, n.members[i])
	}
	return rest
}

// elements returns an array's elements; nil for everything else.
func (n *node) elements() []*node {
	if n == nil || n.kind != '[' {
		return nil
	}
	return n.members
}

// string returns the text that a string means; empty for everything else.
func (n *node) string() string {
	if n == nil || n.kind != '"' {
		return ""
	}
	if bytes.IndexByte(n.text, '\\') < 0 {
		return string(n.text)
	}
	return string(unescape(n.text))
}

// number returns a number as an integer; false for everything else.
func (n *node) number() (int64, bool) {
	if n == nil || n.kind != 'x' || len(n.text) == 0 || n.text[0] > '9' {
		return 0, false
	}
	return integer(n.text), true
}

// empty reports that the value says nothing: null, 0, "", [] and {}.
func (n *node) empty() bool {
	switch {
	case n == nil:
		return true
	case n.kind == 'x':
		return n.is("null") || n.is("0")
	case n.kind == '"':
		return len(n.text) == 0
	}
	return len(n.members) == 0
}

// append appends the value as compact JSON.
func (n *node) append(dst []byte) []byte {
	switch n.kind {
	case '{':
		dst = append(dst, '{')
		for i, m := range n.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, n.names[i])
			dst = m.append(append(dst, ':'))
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for i, m := range n.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.append(dst)
		}
		return append(dst, ']')
	case '"':
		return append(append(append(dst, '"'), n.text...), '"')
	}
	return append(dst, n.text...)
}
