package settings

import (
	"fmt"
)

// The ranks of sources, from the weakest.
const (
	FromDefault = iota
	FromProfile
	FromFile
	FromEnvironment
	FromFlag
)

// Layer is one source of values: the defaults, a profile, the file, the
// environment or the flags. Each variable of the environment and each flag is a
// layer of its own, so that its faults and values carry its name. A layer is for
// one goroutine.
type Layer struct {
	// Rank is one of From....
	Rank int
	// File stands in faults in place of a file's name.
	File string
	// Origin names the layer where values come from; a place is added for a file.
	Origin string
	// Lookup fills ${NAME}; nil where that is not done.
	Lookup func(string) (string, bool)
	// Settings are the values by key, Sections the mappings and lists whose
	// elements the user names or counts.
	Settings map[string]*Setting
	Sections map[string]*Section
	// Faults are those found so far.
	Faults []Fault

	schema *Schema
	source *source // the text that places refer to; nil where there is none
}

// Setting is one value and where it stands.
type Setting struct {
	Key   string
	Row   *Key
	Value any // of the Go type that Kind names
	From  *Layer
	place Place
	why   string // added to the origin
}

// Section is a mapping or a list whose elements the user names or counts.
type Section struct {
	Names []string // in their order
	at    map[string]spot
	list  bool
}

// spot is a place in a layer.
type spot struct {
	From  *Layer
	Place Place
}

// NewLayer makes an empty layer.
func NewLayer(s *Schema, rank int, file, origin string) *Layer {
	return &Layer{schema: s, Rank: rank, File: file, Origin: origin, Settings: map[string]*Setting{}, Sections: map[string]*Section{}}
}

// Fault notes what is wrong at a place.
func (l *Layer) Fault(at Place, key, message, fix string) {
	const longest = 600 // a key may be as long as the file
	if r := []rune(message); len(r) > longest {
		message = string(r[:longest]) + "…"
	}
	l.Faults = append(l.Faults, Fault{File: l.File, Line: at.line, Column: at.column, Key: key, Message: message, Fix: fix})
}

// Wrong notes a fault of a setting.
func (s *Setting) Wrong(message, fix string) { s.From.Fault(s.place, s.Key, message, fix) }

// ReadFile takes the whole of a file.
func (l *Layer) ReadFile(content []byte) {
	l.source = newSource(content)
	root, err := parseYAML(content)
	if err != nil {
		l.syntaxFault(err)
		return
	}
	switch {
	case root == nil:
		l.Fault(Place{}, "", "the file is empty", "Write at least one key, such as listen: 127.0.0.1:8080, or start without a file.")
	case root.kind != mappingNode:
		l.Fault(root.place(), "", "the file is not a mapping of keys to values", "Write keys with a colon, such as listen: 127.0.0.1:8080.")
	default:
		l.walk(root, l.schema.root, nil)
	}
}

// ReadPart takes the value of one section, as JSON or YAML, from outside a file. No
// fault has a line, and none but those of values quotes anything. The error says
// that the text is neither.
func (l *Layer) ReadPart(content []byte, path []string) error {
	root, err := parseYAML(content)
	if err != nil {
		return err
	}
	if root != nil {
		l.walk(root, l.schema.find(path), path)
	}
	l.forgetPlaces()
	return nil
}

func (l *Layer) syntaxFault(err error) {
	f, ok := err.(*yamlFault)
	if !ok {
		l.Fault(Place{}, "", "not valid YAML", "Check the file with a YAML editor.")
		return
	}
	if l.source != nil {
		l.source.unparsed = true
	}
	l.Fault(f.Place, "", f.message, f.fix)
}

func (l *Layer) wrongValue(at Place, k string, err error) {
	fix := ""
	if f, ok := err.(*valueFault); ok {
		fix = f.fix
	}
	l.Fault(at, k, k+": "+err.Error(), fix)
}

func (l *Layer) put(k string, row *Key, v any, at Place) {
	l.Settings[k] = &Setting{Key: k, Row: row, Value: v, From: l, place: at}
}

// fill puts the environment's values in the place of ${NAME}.
func (l *Layer) fill(n *node, k string) (string, bool) {
	if l.Lookup == nil {
		return n.text, true
	}
	text, err := expand(n.text, l.Lookup)
	if err != nil {
		l.wrongValue(n.place(), k, err)
		return "", false
	}
	return text, true
}

// SetVariable takes the value of the environment variable of a row, whose bare
// numbers count the row's unit.
func (l *Layer) SetVariable(row *Key, text string) {
	converted, err := row.fromUnit(text)
	if err != nil {
		l.wrongValue(Place{}, row.Path, err)
		return
	}
	l.SetText(row, Elements(row.Path), converted)
}

// SetText takes a value from outside a file: a flag or a default.
func (l *Layer) SetText(row *Key, path []string, text string) {
	for i := range path {
		if b := l.schema.find(path[:i]); b != nil && b.children[path[i]] == nil {
			l.section(path[:i], b.items != nil).add(path[i], spot{From: l})
		}
	}
	k := Join(path)
	var v any
	var err error
	if row.Kind == Choices {
		items := fields(text)
		v, _, err = row.parseList(items, items)
	} else {
		v, err = row.parse(text, text)
	}
	if err != nil {
		l.wrongValue(Place{}, k, err)
		return
	}
	l.put(k, row, v, Place{})
}

// maskAll keeps the scalars of n out of excerpts.
func (l *Layer) maskAll(n *node) {
	if l.source == nil || n == nil {
		return
	}
	if n.kind == scalarNode {
		l.source.mask(n)
	}
	for _, e := range n.entries {
		l.maskAll(e.value)
	}
	for _, item := range n.items {
		l.maskAll(item)
	}
}

// at says where a value stands, as File.Origins prints it.
func (l *Layer) at(p Place) string {
	if l.Rank == FromFile && p.line > 0 {
		return fmt.Sprintf("%s:%d:%d", l.File, p.line, p.column)
	}
	return l.Origin
}
