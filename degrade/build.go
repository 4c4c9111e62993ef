package degrade

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// set holds texts by what they are for.
type set map[textKey]*prepared

type textKey struct{ operation, locale string } // the locale is normal

// prepared is a text made ready, and what an answer says of it.
type prepared struct {
	template
	operation, locale, version string
}

// persona is a Persona made ready.
type persona struct {
	Persona
	texts set
}

// source is a text before it is looked at.
type source struct {
	at                string // names it in faults
	operation, locale string
	text              string
	file              bool // with front matter, and faults with lines
}

// builder makes a Degrader and notes every fault on the way.
type builder struct {
	variables map[string]string
	faults    []error
}

// build makes the Degrader of cfg. The error is every fault.
func build(cfg Config) (*Degrader, error) {
	b := &builder{variables: cfg.Variables}
	b.checkVariables()
	d := &Degrader{off: cfg.Off, personas: make(map[string]persona)}
	all := builtinPersonas()
	maps.Copy(all, cfg.Personas)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		d.personas[key] = b.persona(key, all[key])
	}
	d.sets = []set{
		b.compile(slices.Concat(inlineSources(cfg.Templates), fileSources(cfg.Files))),
		b.builtin(),
	}
	if err := errors.Join(b.faults...); err != nil {
		return nil, err
	}
	return d, nil
}

func (b *builder) fault(at, format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

func (b *builder) checkVariables() {
	if n := len(b.variables); n > maxVariables {
		b.fault("variables", "there are %d: at most %d", n, maxVariables)
	}
	for _, name := range slices.Sorted(maps.Keys(b.variables)) {
		at := fmt.Sprintf("variables[%.60q]", name)
		value := b.variables[name]
		switch {
		case !isVariableName(name):
			b.fault(at, "this cannot be a name: 1 to %d of a-z 0-9 _, the first a letter", maxVariableName)
		case slices.Contains(variableNames[:], name):
			b.fault(at, "every text has this variable already: choose another name")
		case len(value) > maxVariableBytes:
			b.fault(at, "the value has %d bytes: at most %d", len(value), maxVariableBytes)
		case !utf8.ValidString(value):
			b.fault(at, "the value is not valid UTF-8")
		case strings.ContainsFunc(value, forbidden):
			b.fault(at, "the value has a control character")
		}
	}
}

func isVariableName(name string) bool {
	return len(name) <= maxVariableName && name != "" && name[0] >= 'a' && name[0] <= 'z' &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// forbidden are the control characters but line feed and tab: they mean that a
// file is not what it seems, such as UTF-16, and no dialect shows them.
func forbidden(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

func (b *builder) persona(key string, p Persona) persona {
	at := fmt.Sprintf("personas[%q]", key)
	if p.ID != "" && p.ID != key {
		b.fault(at, "id %q differs from its key", p.ID)
	}
	if fault := checkLocale(p.Locale); fault != "" {
		b.fault(at+".locale", "%s", fault)
	}
	sources := make([]source, 0, len(p.Templates)+len(p.Files))
	for _, operation := range slices.Sorted(maps.Keys(p.Templates)) {
		sources = append(sources, source{at: fmt.Sprintf("%s.templates[%q]", at, operation), operation: operation, text: p.Templates[operation]})
	}
	made := persona{Persona: p, texts: b.compile(append(sources, fileSources(p.Files)...))}
	made.ID, made.Templates, made.Files = key, nil, nil
	if made.Name == "" {
		made.Name = key
	}
	return made
}

func inlineSources(texts map[string]map[string]string) []source {
	var all []source
	for _, operation := range slices.Sorted(maps.Keys(texts)) {
		for _, locale := range slices.Sorted(maps.Keys(texts[operation])) {
			all = append(all, source{
				at: fmt.Sprintf("templates[%q][%q]", operation, locale), operation: operation, locale: locale, text: texts[operation][locale],
			})
		}
	}
	return all
}

func fileSources(files []File) []source {
	all := make([]source, 0, len(files))
	for _, f := range files {
		all = append(all, source{at: f.Path, operation: f.Operation, locale: f.Locale, text: f.Content, file: true})
	}
	return all
}

// builtin is the set of built-in texts. Its general texts are in English, and say so.
func (b *builder) builtin() set {
	s := b.compile(inlineSources(builtinTemplates()))
	for key, t := range s {
		if key.locale == "" {
			t.locale = "en"
		}
	}
	return s
}

// compile makes a set of sources. Those at fault are left out.
func (b *builder) compile(sources []source) set {
	s := make(set, len(sources))
	seen := make(map[textKey]string, len(sources))
	for _, src := range sources {
		if fault := checkOperation(src.operation); fault != "" {
			b.fault(src.at, "%s", fault)
		}
		if fault := checkLocale(src.locale); fault != "" {
			b.fault(src.at, "%s", fault)
		}
		key := textKey{src.operation, normalLocale(src.locale)}
		if first, twice := seen[key]; twice {
			b.fault(src.at, "%s is for the same operation and locale", first)
		}
		seen[key] = src.at
		if t := b.prepare(src); t != nil {
			s[key] = t
		}
	}
	return s
}

// prepare makes one text. Where nothing can be made of it, it is nil.
func (b *builder) prepare(src source) *prepared {
	if n := len(src.text); n > MaxTextBytes {
		b.fault(src.at, "the text has %d bytes: at most %d", n, MaxTextBytes)
		return nil
	}
	if !utf8.ValidString(src.text) {
		b.fault(src.at, "the text is not valid UTF-8")
		return nil
	}
	doc := document{body: src.text}
	if src.file {
		var mistake *mistake
		if doc, mistake = parseDocument(src.text); mistake != nil {
			b.fault(fmt.Sprintf("%s:%d", src.at, mistake.line), "%s", mistake.message)
			return nil
		}
	}
	if strings.TrimSpace(doc.body) == "" {
		b.fault(src.at, "the text is empty")
		return nil
	}
	compiled, mistakes := compile(doc.body, b.variables)
	for _, m := range mistakes {
		at := src.at
		if src.file {
			at = fmt.Sprintf("%s:%d", src.at, doc.skipped+m.line)
		}
		b.fault(at, "%s", m.message)
	}
	if n := compiled.size(); n > MaxTextBytes {
		b.fault(src.at, "the text has %d bytes with its variables filled in: at most %d", n, MaxTextBytes)
	}
	return &prepared{template: compiled, operation: src.operation, locale: src.locale, version: versionOf(doc)}
}

// versionOf is the version that the front matter gives, or else the first 32 bits of the text's
// SHA-256: enough to tell the few versions of one text apart, short enough to be read out.
func versionOf(doc document) string {
	if doc.version != "" {
		return doc.version
	}
	sum := sha256.Sum256([]byte(doc.body))
	return hex.EncodeToString(sum[:4])
}

// checkOperation bounds names that stand in answers' headers.
func checkOperation(name string) string {
	if len(name) > maxOperationBytes || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Sprintf("%.60q cannot be the name of an operation: at most %d bytes of UTF-8, without control characters", name, maxOperationBytes)
	}
	return ""
}

// checkLocale takes the shape of a language tag, not its meaning: subtags of one
// to eight letters and digits, the first of letters (RFC 5646 §2.1).
func checkLocale(locale string) string {
	if locale == "" {
		return ""
	}
	if len(locale) > maxLocaleBytes {
		return fmt.Sprintf("the locale has %d bytes: at most %d", len(locale), maxLocaleBytes)
	}
	for i, part := range strings.Split(normalLocale(locale), "-") {
		digits := strings.Trim(part, "abcdefghijklmnopqrstuvwxyz")
		if part == "" || len(part) > 8 || strings.Trim(digits, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || (i == 0 && digits != "") {
			return fmt.Sprintf("%q is not a language tag such as de or de-DE", locale)
		}
	}
	return ""
}

// normalLocale is the form that locales are compared in: de_DE and de-de are one.
func normalLocale(locale string) string {
	return strings.ReplaceAll(strings.ToLower(locale), "_", "-")
}
