package openai

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/llm"
)

// MaxDepth is how deep objects and arrays of a request may be nested. Requests of
// the recorded SDKs are at most 12 deep (JSON schemas of tools are the deepest part).
const MaxDepth = 64

// maxQuoted bounds what of a caller's own names is repeated in an error.
const maxQuoted = 200

// strict checks that body is one well-formed JSON object: no duplicate names, valid
// UTF-8, paired surrogates, nothing behind it, no more than MaxDepth levels. The
// cursor that it returns stands at the object's start.
func strict(body []byte) (cursor, error) {
	c := cursor{b: body, max: MaxDepth}
	if !jsontext.Value(body).IsValid() {
		return c, explain(body)
	}
	if c.peek() != '{' {
		return c, notObject(&c)
	}
	return c, nil
}

func notObject(c *cursor) *llm.Error {
	kind := kindName(c.peek())
	e := malformed(c.b, c.i, "", "it is "+kind+", not an object")
	e.Fix = "Send a JSON object."
	return e
}

// explain says what is wrong with a body that jsontext refused. It reads the body
// again, so that bodies without fault pay nothing for it.
func explain(body []byte) *llm.Error {
	if len(bytes.TrimSpace(body)) == 0 {
		e := llm.Errorf(llm.CallerInvalidRequest, "the request body is empty")
		e.Fix = "Send a JSON object."
		return e
	}
	if bytes.HasPrefix(body, byteMark) {
		e := malformed(body, 0, "", "it begins with a byte order mark")
		e.Fix = "Encode the body as UTF-8 without a byte order mark."
		return e
	}
	if at := tooDeep(body); at >= 0 {
		return depthError(body, at)
	}
	d := jsontext.NewDecoder(bytes.NewReader(body))
	_, err := d.ReadValue()
	if err == nil {
		c := cursor{b: body, i: int(d.InputOffset())}
		if c.peek(); c.i < len(body) {
			return malformed(body, c.i, "", "something follows the JSON value")
		}
		c.i = 0
		return notObject(&c)
	}
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return malformed(body, len(body), "", "it ends too early")
	}
	return syntaxError(body, syntax)
}

func syntaxError(body []byte, syntax *jsontext.SyntacticError) *llm.Error {
	pointer := clip(string(syntax.JSONPointer))
	var e *llm.Error
	switch {
	case errors.Is(syntax.Err, jsontext.ErrDuplicateName):
		name := clip(syntax.JSONPointer.LastToken())
		e = malformed(body, int(syntax.ByteOffset), pointer, "duplicate member "+strconv.Quote(name))
		e.Fix = "Send each member once."
	case errors.Is(syntax.Err, io.ErrUnexpectedEOF):
		e = malformed(body, len(body), pointer, "it ends too early")
		e.Fix = "Send the whole body; check Content-Length."
	default:
		e = malformed(body, int(syntax.ByteOffset), pointer, clip(syntax.Err.Error()))
		e.Fix = "Send JSON as RFC 8259 has it."
	}
	e.Param = paramOf(syntax.JSONPointer)
	return e
}

// malformed makes the error for a body that is not JSON, or not the JSON wanted.
func malformed(body []byte, offset int, pointer, what string) *llm.Error {
	e := llm.Errorf(llm.CallerInvalidRequest, "the request body is not valid: %s %s", what, position(body, offset))
	if pointer != "" {
		e.Message += ", in " + pointer
	}
	return e
}

func depthError(body []byte, at int) *llm.Error {
	e := malformed(body, at, "", "it is nested too deep")
	e.Limit, e.Value = "json_depth", strconv.Itoa(MaxDepth)
	e.Fix = "Send a flatter body."
	return e
}

// position names a place for machines and for people: the byte's offset from 0,
// the line from 1 and the column from 1, in characters.
func position(body []byte, offset int) string {
	offset = min(max(offset, 0), len(body))
	before := body[:offset]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("at byte %d (line %d, column %d)", offset, line, column)
}

// tooDeep returns the offset of the bracket that goes below MaxDepth, or -1. It
// looks at brackets and strings alone, so that it works on bodies that are not JSON.
func tooDeep(body []byte) int {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch ch := body[i]; {
		case inString && ch == '\\':
			i++
		case ch == '"':
			inString = !inString
		case inString:
		case ch == '{' || ch == '[':
			if depth++; depth > MaxDepth {
				return i
			}
		case ch == '}' || ch == ']':
			depth--
		}
	}
	return -1
}

// paramOf writes a JSON pointer as OpenAI names parameters: messages[0].content.
func paramOf(pointer jsontext.Pointer) string {
	var b strings.Builder
	for token := range pointer.Tokens() {
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return clip(b.String())
}

// clip cuts a text to maxQuoted bytes of valid UTF-8.
func clip(text string) string { return cut(text, maxQuoted) }

// cut cuts a text to at most n bytes of valid UTF-8.
func cut(text string, n int) string {
	if len(text) > n {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// kindName names the kind of the JSON value that begins with ch.
func kindName(ch byte) string {
	switch ch {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
