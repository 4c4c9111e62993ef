package settings

import (
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Values is all layers together: for each key the setting of the strongest.
type Values struct {
	Schema *Schema
	Layers []*Layer

	settings map[string]*Setting
	sections map[string]*Section
}

// Merge puts layers, the weakest first, on top of one another. Mappings are merged
// key by key, lists are replaced as a whole.
func Merge(s *Schema, layers []*Layer) *Values {
	v := &Values{Schema: s, settings: map[string]*Setting{}, sections: map[string]*Section{}, Layers: layers}
	for _, l := range layers {
		for name, sec := range l.Sections {
			if sec.list {
				v.drop(name)
			}
		}
		for name, sec := range l.Sections {
			v.addSection(name, sec)
		}
		for name, set := range l.Settings {
			v.settings[name] = set
		}
	}
	return v
}

// drop takes a list and all that is below it away.
func (v *Values) drop(list string) {
	delete(v.sections, list)
	for name := range v.settings {
		if strings.HasPrefix(name, list+"[") {
			delete(v.settings, name)
		}
	}
	for name := range v.sections {
		if strings.HasPrefix(name, list+"[") {
			delete(v.sections, name)
		}
	}
}

func (v *Values) addSection(name string, from *Section) {
	into := v.sections[name]
	if into == nil {
		into = &Section{at: map[string]spot{}, list: from.list}
		v.sections[name] = into
	}
	for _, n := range from.Names {
		into.add(n, from.at[n])
	}
}

// With is s with another value, whose origin says why.
func (s *Setting) With(value any, why string) *Setting {
	return &Setting{Key: s.Key, Row: s.Row, Value: value, From: s.From, place: s.place, why: why}
}

// Origin says where the value comes from.
func (s *Setting) Origin() string { return s.From.at(s.place) + s.why }

// Names lists what the user named below a section, in a stable order: as written
// for lists, sorted for names.
func (v *Values) Names(path ...string) []string {
	s := v.sections[Join(path)]
	if s == nil {
		return nil
	}
	if s.list {
		return s.Names
	}
	return slices.Sorted(slices.Values(s.Names))
}

// Get finds a setting; nil where neither a source nor a default has one.
func (v *Values) Get(path ...string) *Setting {
	k := Join(path)
	if s := v.settings[k]; s != nil {
		return s
	}
	b := v.Schema.find(path)
	if b == nil || b.key == nil || b.key.Initial == "" {
		return nil
	}
	return defaultSetting(v.Schema, b.key, path)
}

// Has says whether somebody set the key: a file, the environment or a flag.
func (v *Values) Has(path ...string) bool {
	s := v.settings[Join(path)]
	return s != nil && s.From.Rank >= FromFile
}

// Text is the value of a key, "" where it has none.
func (v *Values) Text(path ...string) string { return value[string](v, path) }

// Bool is the value of a key, false where it has none.
func (v *Values) Bool(path ...string) bool { return value[bool](v, path) }

// Int is the value of a key, 0 where it has none.
func (v *Values) Int(path ...string) int64 { return value[int64](v, path) }

// Float is the value of a key, 0 where it has none.
func (v *Values) Float(path ...string) float64 { return value[float64](v, path) }

// List is the value of a key, nil where it has none.
func (v *Values) List(path ...string) []string { return value[[]string](v, path) }

// Secret is the value of a key, empty where it has none.
func (v *Values) Secret(path ...string) llm.Secret { return value[llm.Secret](v, path) }

// Duration is the value of a key, 0 where it has none.
func (v *Values) Duration(path ...string) time.Duration { return value[time.Duration](v, path) }

// Lookup finds what a layer says of a key, as Join writes it: the defaults of keys
// with names in them, which belong to no layer, are left out.
func (v *Values) Lookup(key string) *Setting { return v.settings[key] }

// Replace puts s in the place of the setting of its key.
func (v *Values) Replace(s *Setting) { v.settings[s.Key] = s }

// value is the zero value where the key is not set and has no default.
func value[T any](v *Values, path []string) T {
	var zero T
	s := v.Get(path...)
	if s == nil {
		return zero
	}
	typed, ok := s.Value.(T)
	if !ok {
		return zero
	}
	return typed
}

// Defaults has the defaults of every key without names in it.
func Defaults(s *Schema) *Layer {
	l := NewLayer(s, FromDefault, "default", "default")
	for _, k := range s.Keys {
		if k.Initial == "" || strings.ContainsAny(k.Path, "*[") {
			continue
		}
		l.SetText(k, Elements(k.Path), k.Initial)
	}
	return l
}

// defaultSetting is the default of a key with names in it.
func defaultSetting(s *Schema, k *Key, path []string) *Setting {
	l := NewLayer(s, FromDefault, "default", "default")
	l.SetText(k, path, k.Initial)
	return l.Settings[Join(path)]
}

// Each calls visit for the path of every key that has a value, in the order of the
// table and of names within.
func (v *Values) Each(visit func(s *Setting)) {
	for _, k := range v.Schema.Keys {
		v.Expand(Elements(k.Path), nil, func(path []string) {
			if k.Only != "" && !k.For(v.Text(path[0], path[1], "type")) && v.settings[Join(path)] == nil {
				return
			}
			if s := v.Get(path...); s != nil {
				visit(s)
			}
		})
	}
}

// Expand puts the names that there are in the place of * and [].
func (v *Values) Expand(pattern, path []string, visit func([]string)) {
	if len(pattern) == 0 {
		visit(path)
		return
	}
	head, rest := pattern[0], pattern[1:]
	if head != "*" && head != "[]" {
		v.Expand(rest, append(slices.Clone(path), head), visit)
		return
	}
	for _, name := range v.Names(path...) {
		v.Expand(rest, append(slices.Clone(path), name), visit)
	}
}

// Wrong notes a fault of a section's element, such as a provider.
func (v *Values) Wrong(path []string, message, fix string) {
	parent, name := path[:len(path)-1], path[len(path)-1]
	if s := v.sections[Join(parent)]; s != nil && s.at[name].From != nil {
		s.at[name].From.Fault(s.at[name].Place, Join(path), message, fix)
	}
}
