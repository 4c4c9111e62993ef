package scan

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Cursor walks over JSON text without building anything: a value is visited or
// skipped, and the grammar of all that it passes is checked. It does not look for
// duplicate names or invalid UTF-8; Strict does, where that matters.
//
// After a fault the cursor stands at the end and Bad is set: every later step
// finds nothing, so that callers check once, at the end.
//
//	c := scan.Cursor{Text: text, Max: 64}
//	for ok := c.Open('{'); ok; ok = c.More('}') {
//		switch string(c.Name()) {
//		case "model": ...
//		default: c.Skip()
//		}
//	}
//	if !c.Whole() { ... }
//
// A cursor is a value for one goroutine; a copy of it walks by itself.
type Cursor struct {
	// Text is the JSON text, which the cursor never changes. What it returns are parts of it.
	Text []byte
	// At is the offset of the next byte in Text. Who sets it says what Depth is there.
	At int
	// Depth is how many objects and arrays are open.
	Depth int
	// Max is how many may be open at a time; 0 lets none.
	Max int
	// Bad says that the text is not JSON, or nested deeper than Max, which Deep tells.
	Bad, Deep bool
}

// plain marks the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for i := range t {
		t[i] = i >= ' ' && i != '"' && i != '\\'
	}
	return t
}()

// Fail marks the text as bad and ends the walk.
func (c *Cursor) Fail() {
	c.Bad, c.At = true, len(c.Text)
}

// Peek passes white space and returns the byte behind it, or 0 at the end. Where
// there is no space, which is nearly everywhere, it is inlined.
func (c *Cursor) Peek() byte {
	if c.At < len(c.Text) && c.Text[c.At] > ' ' {
		return c.Text[c.At]
	}
	return c.pass()
}

func (c *Cursor) pass() byte {
	for c.At < len(c.Text) {
		switch ch := c.Text[c.At]; ch {
		case ' ', '\n', '\r', '\t':
			c.At++
		default:
			return ch
		}
	}
	return 0
}

// Open steps into an object ('{') or array ('[') and reports whether there is a
// first member. The caller has peeked the bracket, or wants anything else to be a fault.
func (c *Cursor) Open(bracket byte) bool {
	if c.Peek() != bracket {
		c.Fail()
		return false
	}
	c.At++
	if c.Depth++; c.Depth > c.Max {
		c.Deep = true
		c.Fail()
		return false
	}
	if c.Peek() == bracket+2 { // in ASCII ']' follows '[' and '}' follows '{' at this distance
		c.At++
		c.Depth--
		return false
	}
	return !c.Bad
}

// More steps to the next member, or out of the object or array that ends with closing.
func (c *Cursor) More(closing byte) bool {
	switch c.Peek() {
	case ',':
		c.At++
		return true
	case closing:
		c.At++
		c.Depth--
	default:
		c.Fail()
	}
	return false
}

// Name reads a member's name and the colon. The name is unescaped.
func (c *Cursor) Name() []byte {
	inner, escaped := c.Quoted()
	if c.Peek() != ':' {
		c.Fail()
		return nil
	}
	c.At++
	if escaped {
		return Unescape(inner)
	}
	return inner
}

// Chars passes a value and returns the text of a string; nil for everything else.
func (c *Cursor) Chars() []byte {
	if c.Peek() != '"' {
		c.Skip()
		return nil
	}
	inner, escaped := c.Quoted()
	if escaped {
		return Unescape(inner)
	}
	return inner
}

// Quoted reads a string and returns what stands between its quotes, escapes and all.
func (c *Cursor) Quoted() (inner []byte, escaped bool) {
	if c.Peek() != '"' {
		c.Fail()
		return nil, false
	}
	b := c.Text
	i := c.At + 1
	start := i
	for {
		for i < len(b) && plain[b[i]] {
			i++
		}
		if i >= len(b) {
			c.Fail()
			return nil, false
		}
		if b[i] == '"' {
			c.At = i + 1
			return b[start:i], escaped
		}
		n := escape(b[i:])
		if n == 0 {
			c.Fail()
			return nil, false
		}
		escaped = true
		i += n
	}
}

// escape returns the length of the escape sequence that b begins with; 0 for none.
func escape(b []byte) int {
	if len(b) < 2 || b[0] != '\\' {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, h := range b[2:6] {
			if !('0' <= h && h <= '9' || 'a' <= h|0x20 && h|0x20 <= 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// Skip passes one value.
func (c *Cursor) Skip() {
	switch c.Peek() {
	case '"':
		c.Quoted()
	case '{':
		for ok := c.Open('{'); ok; ok = c.More('}') {
			if _, _ = c.Quoted(); c.Peek() != ':' {
				c.Fail()
				return
			}
			c.At++
			c.Skip()
		}
	case '[':
		for ok := c.Open('['); ok; ok = c.More(']') {
			c.Skip()
		}
	case 't':
		c.Literal("true")
	case 'f':
		c.Literal("false")
	case 'n':
		c.Literal("null")
	default:
		c.Number()
	}
}

// Value passes one value and returns its text, without the space around it.
func (c *Cursor) Value() []byte {
	c.Peek()
	start := c.At
	c.Skip()
	if c.Bad {
		return nil
	}
	return c.Text[start:c.At]
}

// Literal passes word, which is true, false or null.
func (c *Cursor) Literal(word string) {
	if len(c.Text)-c.At < len(word) || string(c.Text[c.At:c.At+len(word)]) != word {
		c.Fail()
		return
	}
	c.At += len(word)
}

// Number passes a number and returns its text; nil for what is none.
func (c *Cursor) Number() []byte {
	start := c.At
	b := c.Text
	if c.At < len(b) && b[c.At] == '-' {
		c.At++
	}
	if c.At < len(b) && b[c.At] == '0' {
		c.At++
	} else if !c.digits() {
		return nil
	}
	if c.At < len(b) && b[c.At] == '.' {
		c.At++
		if !c.digits() {
			return nil
		}
	}
	if c.At < len(b) && b[c.At]|0x20 == 'e' {
		c.At++
		if c.At < len(b) && (b[c.At] == '+' || b[c.At] == '-') {
			c.At++
		}
		if !c.digits() {
			return nil
		}
	}
	return b[start:c.At]
}

// digits passes at least one digit.
func (c *Cursor) digits() bool {
	start := c.At
	for c.At < len(c.Text) && '0' <= c.Text[c.At] && c.Text[c.At] <= '9' {
		c.At++
	}
	if c.At == start {
		c.Fail()
		return false
	}
	return true
}

// Null passes a null and reports whether there was one.
func (c *Cursor) Null() bool {
	if c.Peek() != 'n' {
		return false
	}
	c.Literal("null")
	return true
}

// Whole reports that the text held exactly one value and that it was JSON.
func (c *Cursor) Whole() bool {
	return !c.Bad && c.Peek() == 0 && c.At == len(c.Text)
}

// Unescape turns what stands between a string's quotes into the text it means.
func Unescape(inner []byte) []byte {
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	// The grammar was checked; what AppendUnquote may still complain of, invalid
	// UTF-8, it replaces.
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return text
}

// Filled passes a value and reports whether it is a string, array or object with
// something in it.
func (c *Cursor) Filled() bool {
	switch c.Peek() {
	case '"':
		inner, _ := c.Quoted()
		return len(inner) > 0
	case '{', '[':
		start := c.At
		c.Skip()
		if c.Bad {
			return false
		}
		inside := Cursor{Text: c.Text[start+1 : c.At-1]}
		return inside.Peek() != 0
	}
	c.Skip()
	return false
}

// Count passes a value and returns it as a count of things; null and everything else
// that is no positive number is 0.
func (c *Cursor) Count() int64 {
	if ch := c.Peek(); ch < '0' || ch > '9' {
		c.Skip()
		return 0
	}
	text := c.Number()
	if len(text) > 15 || !digitsOnly(text) {
		return Integer(text)
	}
	var n int64
	for _, d := range text {
		n = n*10 + int64(d-'0')
	}
	return n
}

func digitsOnly(text []byte) bool {
	for _, d := range text {
		if d < '0' || d > '9' {
			return false
		}
	}
	return true
}

// Integer reads a number's text as an integer: fractions are cut off, and what
// does not fit becomes the nearest value that does.
func Integer(text []byte) int64 {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	case err != nil:
		return 0
	}
	return int64(f)
}
