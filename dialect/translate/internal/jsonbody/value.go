// Package jsonbody is what translations have in common: Value, a JSON value that knows
// where in a body it stands, Task, which gathers what is dropped and the first fault of a
// request on its way into another format, and Member, a row of the tables that say what
// becomes of what. It knows no format; packages request and translate do.
package jsonbody

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

const (
	// maxDepth is how deep a request may be nested; it is that of the dialects.
	MaxDepth = 64
	// maxAnswerDepth bounds the nesting of what providers send, as in package openai.
	MaxAnswerDepth = 256
	// maxNamed bounds what of a caller's own member names is repeated, in bytes.
	maxNamed = 100
)

// Value is a JSON value of a body whose grammar was checked, and where it stands: so
// that a fault can name the place. The zero value stands for what is absent.
type Value struct {
	Text  []byte // without the space around it
	At    int    // offset in the body
	up    *Value // what it is a part of; nil for the body itself
	Name  string // of a member
	Index int    // of an element; -1 for a member
}

// Given says that the value is there and is not null.
func (v Value) Given() bool { return len(v.Text) > 0 && v.Text[0] != 'n' }

// Kind is the value's first byte; 0 for what is absent.
func (v Value) Kind() byte {
	if len(v.Text) == 0 {
		return 0
	}
	return v.Text[0]
}

// IsNumber says that the value is a number.
func (v Value) IsNumber() bool {
	ch := v.Kind()
	return ch == '-' || '0' <= ch && ch <= '9'
}

// Is says that the value is spelled like literal.
func (v Value) Is(literal string) bool { return string(v.Text) == literal }

// Members yields the members of an object, and nothing for anything else.
func (v Value) Members(yield func(Value) bool) { v.parts('{', yield) }

// Elements yields the elements of an array, and nothing for anything else.
func (v Value) Elements(yield func(Value) bool) { v.parts('[', yield) }

func (v Value) parts(bracket byte, yield func(Value) bool) {
	if v.Kind() != bracket {
		return
	}
	up := v
	c := scan.Cursor{Text: v.Text, Max: MaxAnswerDepth}
	i := 0
	for ok := c.Open(bracket); ok; ok = c.More(bracket + 2) {
		part := Value{up: &up, Index: i}
		if i++; bracket == '{' {
			part.Name, part.Index = string(c.Name()), -1
		}
		c.Peek()
		part.At = v.At + c.At
		if part.Text = c.Value(); c.Bad || !yield(part) {
			return
		}
	}
}

// Get returns a member of an object; absent where there is none.
func (v Value) Get(name string) Value {
	for m := range v.Members {
		if m.Name == name {
			return m
		}
	}
	return Value{}
}

// Inner returns what stands between a string's quotes, and nothing for anything else.
func (v Value) Inner() []byte {
	if v.Kind() != '"' {
		return nil
	}
	return v.Text[1 : len(v.Text)-1]
}

// String returns the text that a string means, and nothing for anything else.
func (v Value) String() string {
	inner := v.Inner()
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	return string(scan.Unescape(inner))
}

// Blank says that v is a string of nothing but white space.
func (v Value) Blank() bool {
	return v.Kind() == '"' && strings.TrimSpace(v.String()) == ""
}

// Empty says that the value says nothing: null, false, or a string, array or object with
// nothing in it.
func (v Value) Empty() bool {
	switch v.Kind() {
	case 0, 'n', 'f':
		return true
	case '"', '[', '{':
		c := scan.Cursor{Text: v.Text, Max: MaxAnswerDepth}
		return !c.Filled()
	}
	return false
}

// compact is a short value without the space in it; a long one says something anyway.
func (v Value) compact() string {
	const short = 100
	if len(v.Text) > short {
		return ""
	}
	return string(scan.Parse(v.Text, MaxAnswerDepth).Append(nil))
}

// path names the place as callers name it: messages[2].content[0].
func (v Value) path() string { return string(v.appendPath(nil, true)) }

// Pattern names the place as the tables do: messages[].content[].
func (v Value) Pattern() string { return string(v.appendPath(nil, false)) }

func (v Value) appendPath(dst []byte, numbers bool) []byte {
	if v.up == nil {
		return dst
	}
	if dst = v.up.appendPath(dst, numbers); v.Index >= 0 {
		dst = append(dst, '[')
		if numbers {
			dst = strconv.AppendInt(dst, int64(v.Index), 10)
		}
		return append(dst, ']')
	}
	if len(dst) > 0 {
		dst = append(dst, '.')
	}
	return append(dst, Printable(v.Name)...)
}

// Printable makes a caller's name fit for headers and logs.
func Printable(name string) string {
	name = scan.Cut(name, maxNamed)
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == ',' {
			return '?'
		}
		return r
	}, name)
}

// Comma appends what goes between two members or elements.
func Comma(dst []byte) []byte {
	if last := dst[len(dst)-1]; last == '{' || last == '[' {
		return dst
	}
	return append(dst, ',')
}

// Key appends a member's name, which needs no escapes.
func Key(dst []byte, name string) []byte {
	dst = append(Comma(dst), '"')
	return append(append(dst, name...), `":`...)
}

// CompactJSON is JSON without the space in it, which models would be paid to read. What is
// no strict JSON stays as it is.
func CompactJSON(text []byte) string {
	v := jsontext.Value(slices.Clone(text))
	if v.Compact() != nil {
		return string(text)
	}
	return string(v)
}

// AppendText appends what stands between the quotes of strings as one string.
func AppendText(dst []byte, inner ...[]byte) []byte {
	dst = append(dst, '"')
	for _, part := range inner {
		dst = append(dst, part...)
	}
	return append(dst, '"')
}
