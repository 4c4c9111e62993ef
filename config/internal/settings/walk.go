package settings

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/forebay-ai/forebay/internal/near"
)

// walk reads n as what b describes. path is its key.
func (l *Layer) walk(n *node, b *branch, path []string) {
	switch {
	case b.key != nil:
		l.leaf(n, b.key, path)
	case n.kind == nullNode:
		// A section whose keys are all commented out says nothing.
	case b.items != nil:
		l.list(n, b, path)
	default:
		l.mapping(n, b, path)
	}
}

func (l *Layer) mapping(n *node, b *branch, path []string) {
	if n.kind != mappingNode {
		l.maskAll(n)
		l.Fault(n.place(), Join(path), fmt.Sprintf("%s takes keys with values, not %s", Join(path), n.describe()), b.fixSection(path))
		return
	}
	seen := map[string]Place{}
	for _, e := range n.entries {
		name, at := e.key.text, e.key.place()
		below := append(slices.Clone(path), name)
		if first, twice := seen[name]; twice {
			l.maskAll(e.value)
			l.Fault(at, Join(below), fmt.Sprintf("%s stands twice; the first is in line %d", Join(below), first.line), "Remove one of them, or put both into one.")
			continue
		}
		seen[name] = at
		c := b.child(name)
		switch {
		case c == nil:
			l.maskAll(e.value)
			l.unknown(at, b, path, name)
			continue
		case b.children[name] == nil && name == "":
			l.maskAll(e.value)
			l.Fault(at, Join(path), "a name in "+Join(path)+" is empty", "Give it a name.")
			continue
		case b.children[name] == nil:
			l.section(path, false).add(name, spot{l, at})
		}
		l.walk(e.value, c, below)
	}
}

func (l *Layer) list(n *node, b *branch, path []string) {
	if n.kind != sequenceNode {
		l.maskAll(n)
		l.Fault(n.place(), Join(path), fmt.Sprintf("%s is a list, not %s", Join(path), n.describe()), "Write each item on a line of its own that begins with a dash.")
		return
	}
	s := l.section(path, true)
	for i, item := range n.items {
		index := "[" + strconv.Itoa(i) + "]"
		s.add(index, spot{l, item.place()})
		l.walk(item, b.items, append(slices.Clone(path), index))
	}
}

func (l *Layer) section(path []string, list bool) *Section {
	k := Join(path)
	s := l.Sections[k]
	if s == nil {
		s = &Section{at: map[string]spot{}, list: list}
		l.Sections[k] = s
	}
	return s
}

func (s *Section) add(name string, at spot) {
	if _, ok := s.at[name]; !ok {
		s.Names = append(s.Names, name)
		s.at[name] = at
	}
}

// unknown notes a key that the table does not have.
func (l *Layer) unknown(at Place, b *branch, path []string, name string) {
	message := "unknown key " + Quote(name)
	if len(path) > 0 {
		message += " in " + Join(path)
	}
	fix := Suggest(name, "keys", b.names)
	if near.Name(name, b.names) == "" {
		if k := l.schema.elsewhere(name); k != "" {
			fix = fmt.Sprintf("Did you mean %s?", k)
		}
	}
	l.Fault(at, Join(append(slices.Clone(path), name)), message, fix)
}

// leaf reads one value.
func (l *Layer) leaf(n *node, row *Key, path []string) {
	if row.Kind == Secret {
		l.maskAll(n)
	}
	k := Join(path)
	if n.kind == nullNode {
		l.Fault(n.place(), k, k+" has no value", "Give a value, such as "+row.sample()+", or remove the line.")
		return
	}
	if row.Kind == Choices {
		l.listLeaf(n, row, k)
		return
	}
	if n.kind != scalarNode {
		l.maskAll(n)
		l.Fault(n.place(), k, fmt.Sprintf("%s is %s, not %s", k, row.Kind.describe(), n.describe()), "Write one value, such as "+row.sample()+".")
		return
	}
	text, ok := l.fill(n, k)
	if !ok {
		return
	}
	v, err := row.parse(text, n.text)
	if err != nil {
		if row.Kind == URL {
			l.maskAll(n) // a password or a key in it may be the very fault
		}
		l.wrongValue(n.place(), k, err)
		return
	}
	l.put(k, row, v, n.place())
}

func (l *Layer) listLeaf(n *node, row *Key, k string) {
	if n.kind != sequenceNode {
		l.Fault(n.place(), k, fmt.Sprintf("%s is a list, not %s", k, n.describe()), "Write it in brackets, such as "+row.Example+".")
		return
	}
	var items, shown []string
	for _, item := range n.items {
		if item.kind != scalarNode {
			l.Fault(item.place(), k, fmt.Sprintf("%s is a list of names; this item is %s", k, item.describe()), "Write it as "+row.Example+".")
			return
		}
		text, ok := l.fill(item, k)
		if !ok {
			return
		}
		items, shown = append(items, text), append(shown, item.text)
	}
	v, at, err := row.parseList(items, shown)
	if err != nil {
		where := n
		if at >= 0 {
			where = n.items[at]
		}
		l.wrongValue(where.place(), k, err)
		return
	}
	l.put(k, row, v, n.place())
}

// describe names what a node is, for messages.
func (n *node) describe() string {
	switch n.kind {
	case mappingNode:
		return "a mapping"
	case sequenceNode:
		return "a list"
	case nullNode:
		return "nothing"
	}
	return "a single value"
}

// describe names what a kind wants, for messages.
func (k Kind) describe() string {
	switch k {
	case Bool, Dollars:
		return "one value (" + k.String() + ")"
	case Address, URL:
		return "one " + k.String()
	}
	return "a " + k.String()
}

// fixSection shows how a section is written.
func (b *branch) fixSection(path []string) string {
	if len(b.names) == 0 {
		return "Write NAME: value below it, one a line."
	}
	return fmt.Sprintf("Write it as %s: {%s: …}.", path[len(path)-1], b.names[0])
}

// Unread says that there is a file and nothing of it was read, so that every check
// would find something missing.
func (l *Layer) Unread() bool {
	return len(l.Faults) > 0 && (l.source == nil || l.source.unparsed)
}

// Collect collects the faults of all layers, with excerpts.
func Collect(layers []*Layer) []Fault {
	var all []Fault
	for _, l := range layers {
		var public map[string]bool
		if l.source != nil && l.source.unparsed {
			public = l.schema.public()
		}
		for _, f := range l.Faults {
			if l.source != nil {
				f.excerpt, f.mark = l.source.excerpt(Place{f.Line, f.Column}, public)
			}
			all = append(all, f)
		}
	}
	return all
}

// forgetPlaces takes the lines and columns of a variable's value away.
func (l *Layer) forgetPlaces() {
	for i := range l.Faults {
		l.Faults[i].Line, l.Faults[i].Column = 0, 0
	}
	for _, s := range l.Settings {
		s.place = Place{}
	}
	for _, s := range l.Sections {
		for name := range s.at {
			s.at[name] = spot{From: l}
		}
	}
}
