package openai

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// cursor walks over JSON text without building anything: a value is visited or
// skipped, and the grammar of all that it passes is checked. It does not look for
// duplicate names or invalid UTF-8; jsontext does, where that matters.
//
// After a fault the cursor stands at the end and bad is set: every later step
// finds nothing, so that callers check once, at the end.
//
//	for ok := c.open('{'); ok; ok = c.more('}') {
//		switch string(c.name()) {
//		case "model": ...
//		default: c.skip()
//		}
//	}
type cursor struct {
	b     []byte
	i     int
	depth int
	max   int  // objects and arrays may be nested this deep
	bad   bool // not JSON, or too deep
	deep  bool // too deep
}

// plain marks the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for i := range t {
		t[i] = i >= ' ' && i != '"' && i != '\\'
	}
	return t
}()

func (c *cursor) fail() {
	c.bad, c.i = true, len(c.b)
}

// peek passes white space and returns the byte behind it, or 0 at the end. Where
// there is no space, which is nearly everywhere, it is inlined.
func (c *cursor) peek() byte {
	if c.i < len(c.b) && c.b[c.i] > ' ' {
		return c.b[c.i]
	}
	return c.pass()
}

func (c *cursor) pass() byte {
	for c.i < len(c.b) {
		switch ch := c.b[c.i]; ch {
		case ' ', '\n', '\r', '\t':
			c.i++
		default:
			return ch
		}
	}
	return 0
}

// open steps into an object ('{') or array ('[') and reports whether there is a
// first member. The caller has peeked the bracket, or wants anything else to be a fault.
func (c *cursor) open(bracket byte) bool {
	if c.peek() != bracket {
		c.fail()
		return false
	}
	c.i++
	if c.depth++; c.depth > c.max {
		c.deep = true
		c.fail()
		return false
	}
	if c.peek() == bracket+2 { // in ASCII ']' follows '[' and '}' follows '{' at this distance
		c.i++
		c.depth--
		return false
	}
	return !c.bad
}

// more steps to the next member, or out of the object or array that ends with closing.
func (c *cursor) more(closing byte) bool {
	switch c.peek() {
	case ',':
		c.i++
		return true
	case closing:
		c.i++
		c.depth--
	default:
		c.fail()
	}
	return false
}

// name reads a member's name and the colon. The name is unescaped.
func (c *cursor) name() []byte {
	inner, escaped := c.str()
	if c.peek() != ':' {
		c.fail()
		return nil
	}
	c.i++
	if escaped {
		return unescape(inner)
	}
	return inner
}

// str reads a string and returns what stands between its quotes, escapes and all.
func (c *cursor) str() (inner []byte, escaped bool) {
	if c.peek() != '"' {
		c.fail()
		return nil, false
	}
	b := c.b
	i := c.i + 1
	start := i
	for {
		for i < len(b) && plain[b[i]] {
			i++
		}
		if i >= len(b) {
			c.fail()
			return nil, false
		}
		if b[i] == '"' {
			c.i = i + 1
			return b[start:i], escaped
		}
		n := escape(b[i:])
		if n == 0 {
			c.fail()
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

// skip passes one value.
func (c *cursor) skip() {
	switch c.peek() {
	case '"':
		c.str()
	case '{':
		for ok := c.open('{'); ok; ok = c.more('}') {
			if _, _ = c.str(); c.peek() != ':' {
				c.fail()
				return
			}
			c.i++
			c.skip()
		}
	case '[':
		for ok := c.open('['); ok; ok = c.more(']') {
			c.skip()
		}
	case 't':
		c.literal("true")
	case 'f':
		c.literal("false")
	case 'n':
		c.literal("null")
	default:
		c.number()
	}
}

// value passes one value and returns its text, without the space around it.
func (c *cursor) value() []byte {
	c.peek()
	start := c.i
	c.skip()
	if c.bad {
		return nil
	}
	return c.b[start:c.i]
}

func (c *cursor) literal(word string) {
	if len(c.b)-c.i < len(word) || string(c.b[c.i:c.i+len(word)]) != word {
		c.fail()
		return
	}
	c.i += len(word)
}

// number passes a number and returns its text.
func (c *cursor) number() []byte {
	start := c.i
	b := c.b
	if c.i < len(b) && b[c.i] == '-' {
		c.i++
	}
	if c.i < len(b) && b[c.i] == '0' {
		c.i++
	} else if !c.digits() {
		return nil
	}
	if c.i < len(b) && b[c.i] == '.' {
		c.i++
		if !c.digits() {
			return nil
		}
	}
	if c.i < len(b) && b[c.i]|0x20 == 'e' {
		c.i++
		if c.i < len(b) && (b[c.i] == '+' || b[c.i] == '-') {
			c.i++
		}
		if !c.digits() {
			return nil
		}
	}
	return b[start:c.i]
}

// digits passes at least one digit.
func (c *cursor) digits() bool {
	start := c.i
	for c.i < len(c.b) && '0' <= c.b[c.i] && c.b[c.i] <= '9' {
		c.i++
	}
	if c.i == start {
		c.fail()
		return false
	}
	return true
}

// null passes a null and reports whether there was one.
func (c *cursor) null() bool {
	if c.peek() != 'n' {
		return false
	}
	c.literal("null")
	return true
}

// whole reports that the text held exactly one value and that it was JSON.
func (c *cursor) whole() bool {
	return !c.bad && c.peek() == 0 && c.i == len(c.b)
}

// unescape turns what stands between a string's quotes into the text it means.
func unescape(inner []byte) []byte {
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	// The grammar was checked; what AppendUnquote may still complain of, invalid
	// UTF-8, it replaces.
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return text
}

// integer reads a number's text as an integer: fractions are cut off, and what
// does not fit becomes the nearest value that does.
func integer(text []byte) int64 {
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
