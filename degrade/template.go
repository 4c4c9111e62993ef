package degrade

import (
	"fmt"
	"strings"
)

// template is a text cut at its variables: literal, variable, literal, ….
// Values are joined in between and never looked at, so a value that contains
// braces stays what it is.
type template struct {
	literals  []string   // one more than variables
	variables []variable // in the order of the text
}

// variable is an index into the values of one call.
type variable int

const (
	varOperation variable = iota
	varPersona
	varSupportID
	varRetryAfter
	varCount
)

var variableNames = [varCount]string{"operation", "persona", "support_id", "retry_after"}

// values holds what each variable inserts.
type values [varCount]string

// compile cuts text at its variables. A name in double braces that is no variable
// is an error; double braces around anything but a name are plain text, so that a
// text may hold JSON.
func compile(text string) (template, error) {
	var t template
	literal := 0 // start of the literal that is being read
	for at := 0; ; {
		open := strings.Index(text[at:], "{{")
		if open < 0 {
			break
		}
		open += at
		name, size, ok := braced(text[open:])
		if !ok {
			at = open + 1 // the next brace may open a variable: {{{operation}}
			continue
		}
		v, err := parseVariable(name)
		if err != nil {
			return template{}, err
		}
		t.literals = append(t.literals, text[literal:open])
		t.variables = append(t.variables, v)
		at = open + size
		literal = at
	}
	t.literals = append(t.literals, text[literal:])
	return t, nil
}

// maxBracedBytes is how far from an opening pair of braces its closing pair is
// looked for. No variable's name comes near it, white space included; without it a
// text full of open braces takes quadratic time.
const maxBracedBytes = 64

// braced reads "{{ name }}" at the start of text and gives the name and the bytes
// that all of it takes.
func braced(text string) (name string, size int, ok bool) {
	text = text[:min(len(text), maxBracedBytes)]
	end := strings.Index(text, "}}")
	if end < 0 {
		return "", 0, false
	}
	name = strings.TrimSpace(text[2:end])
	return name, end + 2, isName(name)
}

func isName(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == ""
}

func parseVariable(name string) (variable, error) {
	for i, known := range variableNames {
		if name == known {
			return variable(i), nil
		}
	}
	return 0, fmt.Errorf("unknown variable {{%s}}: one of {{%s}}", name, strings.Join(variableNames[:], "}}, {{"))
}

// render joins literals and values in one pass.
func (t template) render(v values) string {
	size := 0
	for _, literal := range t.literals {
		size += len(literal)
	}
	for _, name := range t.variables {
		size += len(v[name])
	}
	var b strings.Builder
	b.Grow(size)
	for i, literal := range t.literals {
		b.WriteString(literal)
		if i < len(t.variables) {
			b.WriteString(v[t.variables[i]])
		}
	}
	return b.String()
}
