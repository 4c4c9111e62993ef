package degrade

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Degrader finds and fills in prepared texts. It never changes after New and is
// safe for concurrent use.
type Degrader struct {
	off      bool
	personas map[string]persona
	// sets are asked in this order: the configured texts, then the built-in ones,
	// so that one general text of the operator's own replaces all built-in ones.
	sets []map[textKey]template
}

// persona is a Persona made ready.
type persona struct {
	name, locale string
	texts        map[string]template // by operation
}

type textKey struct{ operation, locale string }

// Case is a call that needs a prepared text.
type Case struct {
	// Operation selects the text and is what {{operation}} inserts; may be empty.
	Operation string
	// Persona is the persona that the call names; may be empty or unknown.
	Persona string
	// Locale is the language that the call asks for, as a BCP 47 tag. Empty means
	// the persona's.
	Locale string
	// SupportID is what {{support_id}} inserts: the request's id.
	SupportID string
	// RetryAfter is when another try makes sense. {{retry_after}} inserts it in
	// whole seconds, rounded up, and inserts nothing where it is zero (unknown).
	RetryAfter time.Duration
}

// New makes a Degrader. The error names every fault of cfg.
func New(cfg Config) (*Degrader, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("degrade: %w", err)
	}
	d := &Degrader{off: cfg.Off, personas: make(map[string]persona)}
	all := builtinPersonas()
	maps.Copy(all, cfg.Personas)
	for key, p := range all {
		made, err := makePersona(key, p)
		if err != nil {
			return nil, fmt.Errorf("degrade: %w", err)
		}
		d.personas[key] = made
	}
	for _, texts := range []map[string]map[string]string{cfg.Templates, builtinTemplates()} {
		set, err := makeSet(texts)
		if err != nil {
			return nil, fmt.Errorf("degrade: %w", err)
		}
		d.sets = append(d.sets, set)
	}
	return d, nil
}

func makePersona(key string, p Persona) (persona, error) {
	made := persona{name: p.Name, locale: p.Locale, texts: make(map[string]template, len(p.Templates))}
	if made.name == "" {
		made.name = key
	}
	for operation, text := range p.Templates {
		t, err := compile(text)
		if err != nil {
			return persona{}, err
		}
		made.texts[operation] = t
	}
	return made, nil
}

func makeSet(texts map[string]map[string]string) (map[textKey]template, error) {
	set := make(map[textKey]template)
	for operation, byLocale := range texts {
		for locale, text := range byLocale {
			t, err := compile(text)
			if err != nil {
				return nil, err
			}
			set[textKey{operation, normalLocale(locale)}] = t
		}
	}
	return set, nil
}

// Text returns the prepared text for c. The first of these that exists is taken:
//
//  1. the persona's own text for the operation, then its text for all operations;
//  2. the operation's text in the locale (de-AT, then de);
//  3. the operation's text for every language;
//  4. the general text in the locale;
//  5. the general text for every language.
//
// Steps 2 to 5 go through the configured texts first and then through the built-in
// ones. The locale is the call's, or else the persona's. A persona that is not
// configured is the default one. ok is false where the texts are switched off.
func (d *Degrader) Text(c Case) (text string, ok bool) {
	if d.off {
		return "", false
	}
	p, known := d.personas[c.Persona]
	if !known {
		p = d.personas[""] // the zero persona unless one is configured
	}
	t, ok := d.find(p, c)
	if !ok {
		return "", false
	}
	return t.render(values{
		varOperation:  c.Operation,
		varPersona:    p.name,
		varSupportID:  c.SupportID,
		varRetryAfter: wholeSeconds(c.RetryAfter),
	}), true
}

func (d *Degrader) find(p persona, c Case) (template, bool) {
	for _, operation := range [...]string{c.Operation, ""} {
		if t, ok := p.texts[operation]; ok {
			return t, true
		}
	}
	locale := c.Locale
	if locale == "" || len(locale) > maxLocaleBytes { // a longer one is no locale that anybody has a text for
		locale = p.locale
	}
	locale = normalLocale(locale)
	for _, set := range d.sets {
		for _, operation := range [...]string{c.Operation, ""} {
			if t, ok := inLocale(set, operation, locale); ok {
				return t, true
			}
		}
	}
	return template{}, false
}

// inLocale looks for the locale, then for its parents (de-de-1996, de-de, de), then
// for the text of every language (RFC 4647 §3.4, lookup).
func inLocale(set map[textKey]template, operation, locale string) (template, bool) {
	for {
		if t, ok := set[textKey{operation, locale}]; ok {
			return t, true
		}
		if locale == "" {
			return template{}, false
		}
		locale = locale[:max(0, strings.LastIndexByte(locale, '-'))]
	}
}

// Personas returns the ids of all personas, built-in ones included, sorted.
func (d *Degrader) Personas() []string { return slices.Sorted(maps.Keys(d.personas)) }

func wholeSeconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(int64((d-1)/time.Second)+1, 10)
}
