package settings

import (
	"fmt"
	"strings"

	"github.com/forebay-ai/forebay/internal/ident"
)

// source is the text of a file, for excerpts in faults. It knows which stretches
// hold, or may hold, a secret.
type source struct {
	lines []string
	masks map[int][]stretch // by line
	// unparsed says that the text is not YAML, so that nobody knows what is a
	// secret: then only values of keys that are known to hold none are shown.
	unparsed bool
}

// stretch is a masked part of a line, with the text that it holds.
type stretch struct {
	column, width int
	text          string
}

func newSource(content []byte) *source {
	return &source{lines: strings.Split(string(content), "\n"), masks: map[int][]stretch{}}
}

// mask hides a scalar. A scalar of several lines is hidden to the end of its line;
// faults do not point at its other lines.
func (s *source) mask(n *node) {
	s.masks[n.line] = append(s.masks[n.line], stretch{n.column, max(1, n.width), n.text})
}

const hidden = "***"

// excerpt gives a line with secrets masked, and the column in it of a column of
// the file; 0 where that is not shown. The line is empty where nothing of it is
// for showing.
func (s *source) excerpt(at Place, public map[string]bool) (string, int) {
	if at.line < 1 || at.line > len(s.lines) {
		return "", 0
	}
	line := strings.TrimRight(s.lines[at.line-1], "\r")
	line = strings.TrimPrefix(line, "\ufeff")
	if s.unparsed {
		line = maskUnparsed(line, public)
		if n := len([]rune(line)); at.column > n+1 {
			at.column = 0
		}
		return window(line, at.column)
	}
	shown, mark := s.cover(line, at)
	for _, m := range s.masks[at.line] {
		// A net below the columns, which are the parser's: rather no line than a secret.
		if len(m.text) > len(hidden) && strings.Contains(shown, m.text) {
			return "", 0
		}
	}
	return window(shown, mark)
}

// cover writes a line with its masked stretches hidden, and where at's column is
// then.
func (s *source) cover(line string, at Place) (string, int) {
	runes, mark := []rune(line), at.column
	covered := make([]bool, len(runes))
	for _, m := range s.masks[at.line] {
		for i := max(0, m.column-1); i < m.column-1+m.width && i < len(runes); i++ {
			covered[i] = true
		}
	}
	var b strings.Builder
	written := 0
	for i, r := range runes {
		if i == at.column-1 {
			mark = written + 1
		}
		switch {
		case !covered[i]:
			b.WriteRune(r)
			written++
		case i == 0 || !covered[i-1]:
			b.WriteString(hidden)
			written += len(hidden)
		}
	}
	if at.column > len(runes) {
		mark = written + 1
	}
	return b.String(), mark
}

// window cuts a long line down to what stands around the mark.
func window(line string, mark int) (string, int) {
	const before, most = 80, 160
	runes := []rune(strings.ToValidUTF8(line, "?"))
	if len(runes) <= most {
		return string(runes), mark
	}
	start := max(0, min(mark-before, len(runes)-most))
	cut := string(runes[start:min(start+most, len(runes))])
	if start == 0 {
		return cut + "…", mark
	}
	return "…" + cut, mark - start + 1
}

var keyInLine = ident.Pattern(`([A-Za-z0-9_.-]+)(?:["'][ \t]*:|[ \t]*:(?:[ \t]|$))`)

// maskUnparsed shows a line up to the first key that is not known to be harmless.
// Without a key in it the line may be the rest of anything.
func maskUnparsed(line string, public map[string]bool) string {
	found := keyInLine().FindAllStringSubmatchIndex(line, -1)
	if found == nil {
		return ""
	}
	for _, f := range found {
		if !public[line[f[2]:f[3]]] {
			return strings.TrimRight(line[:f[1]], " \t") + " " + hidden
		}
	}
	return line
}

// public lists the elements of keys whose values are no secrets.
func (s *Schema) public() map[string]bool {
	names := map[string]bool{}
	for _, k := range s.Keys {
		for _, e := range Elements(k.Path) {
			names[e] = true
		}
	}
	for _, k := range s.Keys {
		if k.Kind == Secret {
			e := Elements(k.Path)
			delete(names, e[len(e)-1])
			delete(names, "headers")
		}
	}
	return names
}

var variable = ident.Pattern(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// expand puts values in the place of ${NAME} and ${NAME:-default}; $${ stands for
// ${ itself. The default is used where the variable is not set or empty.
func expand(text string, lookup func(string) (string, bool)) (string, error) {
	if !strings.Contains(text, "${") {
		return text, nil
	}
	var b strings.Builder
	for text != "" {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		m := variable().FindStringSubmatch(text[i:])
		if m == nil {
			return "", wrong("Write ${NAME} or ${NAME:-default}, or $${ for the characters ${ themselves.", "a ${ that begins no variable")
		}
		value, ok := lookup(m[1])
		switch {
		case m[2] != "" && value == "":
			value = m[3]
		case !ok:
			return "", &valueFault{
				message: fmt.Sprintf("the environment variable %s is not set", m[1]),
				fix:     fmt.Sprintf("Set it, or write ${%s:-default}.", m[1]),
			}
		}
		b.WriteString(text[:i] + value)
		text = text[i+len(m[0]):]
	}
	b.WriteString(text)
	return b.String(), nil
}

// fields cuts a list as variables and flags write it: at commas, brackets allowed.
func fields(text string) []string {
	text = strings.TrimSpace(text)
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}
