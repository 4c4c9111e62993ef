package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Key is one row of a table: everything that there is to know of a key.
type Key struct {
	// Path is the key as documents write it: queue.max. An element * stands for a
	// name of the user's, [] for each item of a list.
	Path string
	Kind Kind
	// Low and High bound numbers, durations (in nanoseconds) and sizes (in bytes),
	// both included; High 0 means no bound above.
	Low, High int64
	// Choices are the values that a choice or a list of choices may have.
	Choices []string
	// Empty lets a list of choices be empty, where that says something else than nothing.
	Empty bool
	// Initial is the default, as a file would write it; empty for none.
	Initial string
	// Env is the environment variable that sets it; empty for none. Unit is what a
	// bare number in it counts, "ms" or "h"; empty where it is written as in a file.
	Env, Unit string
	// Example is a good value, for faults and for the reference page.
	Example string
	// Doc says in full sentences what it does.
	Doc string
	// Only are the types that the mapping around it may have, with spaces between; empty
	// for all.
	Only string
	// Later marks what is not done yet; nil for what is.
	Later *Later
}

// For says whether a mapping of a type may have the key.
func (k *Key) For(kind string) bool {
	return k.Only == "" || slices.Contains(strings.Fields(k.Only), kind)
}

// Later says how a key is treated that belongs to the format and has no effect yet.
type Later struct {
	// Inert are the values that ask for nothing and pass in silence.
	Inert []string
	// Refuse makes any other value a fault: it would promise something that does
	// not happen. Without it the value is taken with a warning.
	Refuse bool
	// Instead says what happens in place of what was asked for.
	Instead string
}

// Schema is a table with its keys found by path: a tree whose inner nodes are
// sections. It never changes.
type Schema struct {
	Keys []*Key
	root *branch
}

// branch is one element of a path.
type branch struct {
	key      *Key // of a leaf
	names    []string
	children map[string]*branch
	any      *branch // *: names of the user's
	items    *branch // []: items of a list
}

// New makes a schema of a table.
func New(table []*Key) *Schema {
	s := &Schema{Keys: table, root: &branch{}}
	for _, k := range s.Keys {
		b := s.root
		for _, element := range Elements(k.Path) {
			b = b.grow(element)
		}
		b.key = k
	}
	return s
}

// Elements cuts a path of the table.
func Elements(path string) []string {
	return strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".")
}

func (b *branch) grow(element string) *branch {
	switch element {
	case "*":
		if b.any == nil {
			b.any = &branch{}
		}
		return b.any
	case "[]":
		if b.items == nil {
			b.items = &branch{}
		}
		return b.items
	}
	if b.children == nil {
		b.children = map[string]*branch{}
	}
	c := b.children[element]
	if c == nil {
		c = &branch{}
		b.children[element] = c
		b.names = append(b.names, element)
	}
	return c
}

// child finds what lies below b under name; nil where nothing does.
func (b *branch) child(name string) *branch {
	if c := b.children[name]; c != nil {
		return c
	}
	return b.any
}

// find follows a key such as models."gpt-4.1".targets[0].model; nil where the
// table has nothing there.
func (s *Schema) find(path []string) *branch {
	b := s.root
	for _, element := range path {
		if strings.HasPrefix(element, "[") && b.items != nil {
			b = b.items
		} else {
			b = b.child(element)
		}
		if b == nil {
			return nil
		}
	}
	return b
}

// Key finds a row by the path of a value; nil where the table has none there.
func (s *Schema) Key(path []string) *Key {
	if b := s.find(path); b != nil {
		return b.key
	}
	return nil
}

// elsewhere finds the only key of the table that ends in name, for those who put a
// key one level too high or too low.
func (s *Schema) elsewhere(name string) string {
	found := ""
	for _, k := range s.Keys {
		e := Elements(k.Path)
		if e[len(e)-1] != name || slices.Contains(e, "[]") {
			continue
		}
		if found != "" {
			return ""
		}
		found = strings.ReplaceAll(k.Path, "*", "NAME")
	}
	return found
}

// Join writes a key from its elements. Names that hold more than letters, digits,
// dashes and underscores are quoted, so that dots in names do not cut.
func Join(path []string) string {
	var b strings.Builder
	for i, element := range path {
		if strings.HasPrefix(element, "[") && strings.HasSuffix(element, "]") && isIndex(element) {
			b.WriteString(element)
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		if plainName(element) {
			b.WriteString(element)
		} else {
			b.WriteString(strconv.Quote(element))
		}
	}
	return b.String()
}

func isIndex(element string) bool {
	_, err := strconv.Atoi(element[1 : len(element)-1])
	return err == nil
}

func plainName(name string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return name != "" && strings.Trim(name, plain) == ""
}

// Split undoes Join: it reads a key as flags name it.
func Split(text string) ([]string, error) {
	var path []string
	rest := text
	for rest != "" {
		switch {
		case rest[0] == '"':
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("%q: a quote does not close", text)
			}
			name, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", text, err)
			}
			path, rest = append(path, name), rest[len(quoted):]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 || !isIndex(rest[:end+1]) {
				return nil, fmt.Errorf("%q: an index is a number in brackets", text)
			}
			path, rest = append(path, rest[:end+1]), rest[end+1:]
		default:
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			path, rest = append(path, rest[:end]), rest[end:]
		}
		rest = strings.TrimPrefix(rest, ".")
	}
	return path, nil
}

// PlainKeys are the keys without names in them.
func (s *Schema) PlainKeys() []string {
	var all []string
	for _, k := range s.Keys {
		if !strings.ContainsAny(k.Path, "*[") {
			all = append(all, k.Path)
		}
	}
	return all
}
