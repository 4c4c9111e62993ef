package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxQuoted bounds what of a text's own names is repeated in a fault, in bytes.
const maxQuoted = 200

var byteMark = []byte("\xef\xbb\xbf")

// Fault says why a text is refused, in words for whoever wrote it.
type Fault struct {
	// Message is the end of a sentence whose subject is the text: "is not valid: …",
	// with byte, line, column, and the JSON pointer where one is known.
	Message string
	// Param is where the fault is, as messages[0].content; may be empty.
	Param string
	// Fix says what to do about it; may be empty.
	Fix string
	// Deep says that the text is nested too deep.
	Deep bool
}

// Strict checks that text is one well-formed JSON object: no duplicate names, valid
// UTF-8, paired surrogates, nothing behind it. The cursor that it returns stands at
// the object's start and refuses more than max levels; Explain says so.
func Strict(text []byte, max int) (Cursor, *Fault) {
	c := Cursor{Text: text, Max: max}
	if !jsontext.Value(text).IsValid() {
		return c, Explain(text, max)
	}
	if c.Peek() != '{' {
		return c, notObject(&c)
	}
	return c, nil
}

func notObject(c *Cursor) *Fault {
	f := FaultAt(c.Text, c.At, "it is "+KindName(c.Peek())+", not an object")
	f.Fix = "Send a JSON object."
	return f
}

// Explain says what is wrong with a text that is no JSON object of at most max
// levels. It reads the text again, so that texts without fault pay nothing for it.
func Explain(text []byte, max int) *Fault {
	if len(bytes.TrimSpace(text)) == 0 {
		return &Fault{Message: "is empty", Fix: "Send a JSON object."}
	}
	if bytes.HasPrefix(text, byteMark) {
		f := FaultAt(text, 0, "it begins with a byte order mark")
		f.Fix = "Encode the body as UTF-8 without a byte order mark."
		return f
	}
	if at := tooDeep(text, max); at >= 0 {
		f := FaultAt(text, at, "it is nested too deep")
		f.Fix, f.Deep = "Send a flatter body.", true
		return f
	}
	d := jsontext.NewDecoder(bytes.NewReader(text))
	_, err := d.ReadValue()
	if err == nil {
		c := Cursor{Text: text, At: int(d.InputOffset())}
		if c.Peek(); c.At < len(text) {
			return FaultAt(text, c.At, "something follows the JSON value")
		}
		c.At = 0
		return notObject(&c)
	}
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return FaultAt(text, len(text), "it ends too early")
	}
	return syntaxFault(text, syntax)
}

func syntaxFault(text []byte, syntax *jsontext.SyntacticError) *Fault {
	var f *Fault
	switch {
	case errors.Is(syntax.Err, jsontext.ErrDuplicateName):
		name := Cut(syntax.JSONPointer.LastToken(), maxQuoted)
		f = FaultAt(text, int(syntax.ByteOffset), "duplicate member "+strconv.Quote(name))
		f.Fix = "Send each member once."
	case errors.Is(syntax.Err, io.ErrUnexpectedEOF):
		f = FaultAt(text, len(text), "it ends too early")
		f.Fix = "Send the whole body; check Content-Length."
	default:
		f = FaultAt(text, int(syntax.ByteOffset), Cut(syntax.Err.Error(), maxQuoted))
		f.Fix = "Send JSON as RFC 8259 has it."
	}
	if pointer := Cut(string(syntax.JSONPointer), maxQuoted); pointer != "" {
		f.Message += ", in " + pointer
	}
	f.Param = paramOf(syntax.JSONPointer)
	return f
}

// FaultAt makes the fault of a text in which what is wrong at offset.
func FaultAt(text []byte, offset int, what string) *Fault {
	return &Fault{Message: "is not valid: " + what + " " + position(text, offset)}
}

// position names a place for machines and for people: the byte's offset from 0,
// the line from 1 and the column from 1, in characters.
func position(text []byte, offset int) string {
	offset = min(max(offset, 0), len(text))
	before := text[:offset]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("at byte %d (line %d, column %d)", offset, line, column)
}

// tooDeep returns the offset of the bracket that goes below most, or -1. It looks at
// brackets and strings alone, so that it works on texts that are not JSON.
func tooDeep(text []byte, most int) int {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case inString && ch == '\\':
			i++
		case ch == '"':
			inString = !inString
		case inString:
		case ch == '{' || ch == '[':
			if depth++; depth > most {
				return i
			}
		case ch == '}' || ch == ']':
			depth--
		}
	}
	return -1
}

// paramOf writes a JSON pointer as parameters are named: messages[0].content.
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
	return Cut(b.String(), maxQuoted)
}

// Cut cuts a text to at most n bytes of valid UTF-8.
func Cut(text string, n int) string {
	if len(text) > n {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// KindName names the kind of the JSON value that begins with ch, with its article.
func KindName(ch byte) string {
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

// AppendString appends text as a JSON string; invalid UTF-8 is replaced.
func AppendString(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}
