package degrade

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
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

// maxMistakes bounds how many unknown variables of one text are told: who has made
// ten has taken the wrong file.
const maxMistakes = 10

// compile cuts text at its variables and fills in constants, the operator's own. A
// name in double braces that is no variable is a mistake; double braces around
// anything but a name are plain text, so that a text may hold JSON.
func compile(text string, constants map[string]string) (template, []mistake) {
	c := compiler{text: text, constants: constants}
	c.checkCharacters()
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
		c.put(name, open)
		at = open + size
		c.read = at
	}
	c.literal.WriteString(text[c.read:])
	c.made.literals = append(c.made.literals, c.literal.String())
	return c.made, c.mistakes
}

// compiler is one run of compile.
type compiler struct {
	text      string
	constants map[string]string
	made      template
	literal   strings.Builder // the literal that is being read
	read      int             // what of text is in made and literal
	strangers []string        // unknown variables, each once
	mistakes  []mistake
}

// put takes the variable name, which begins at the byte open.
func (c *compiler) put(name string, open int) {
	c.literal.WriteString(c.text[c.read:open])
	if i := slices.Index(variableNames[:], name); i >= 0 {
		c.made.literals = append(c.made.literals, c.literal.String())
		c.made.variables = append(c.made.variables, variable(i))
		c.literal.Reset()
		return
	}
	value, ok := c.constants[name]
	if !ok {
		c.unknown(name, open)
		return
	}
	c.literal.WriteString(value)
}

// unknown notes that there is no such variable, where the text first has it.
func (c *compiler) unknown(name string, at int) {
	if slices.Contains(c.strangers, name) || len(c.strangers) == maxMistakes {
		return
	}
	c.strangers = append(c.strangers, name)
	known := slices.Concat(variableNames[:], slices.Sorted(maps.Keys(c.constants)))
	c.wrong(at, fmt.Sprintf("unknown variable {{%s}}: one of {{%s}}", name, strings.Join(known, "}}, {{")))
}

func (c *compiler) checkCharacters() {
	if i := strings.IndexFunc(c.text, forbidden); i >= 0 {
		r, _ := utf8.DecodeRuneInString(c.text[i:])
		c.wrong(i, fmt.Sprintf("the control character %U cannot stand in a text", r))
	}
}

// wrong notes a mistake at a byte of the text.
func (c *compiler) wrong(at int, message string) {
	c.mistakes = append(c.mistakes, mistake{1 + strings.Count(c.text[:at], "\n"), message})
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

// size is how many bytes the text has before its variables are filled in.
func (t template) size() int {
	size := 0
	for _, literal := range t.literals {
		size += len(literal)
	}
	return size
}

// render joins literals and values in one pass.
func (t template) render(v values) string {
	size := t.size()
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
