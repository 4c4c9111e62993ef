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
	// sets are asked in this order, after the persona's own: the configured texts,
	// then the built-in ones, so that one general text of the operator's own replaces
	// all built-in ones.
	sets []set
}

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

// Answer is a prepared text for one call, and which text it is.
type Answer struct {
	// Text is what the caller reads, its variables filled in.
	Text string
	// Operation and Locale are what the text was written for, which may be less than
	// the call asked for: an empty Operation is the text for every operation, an
	// empty Locale the one for every language.
	Operation, Locale string
	// Version is what the text's front matter says, or else eight hexadecimal digits
	// of its SHA-256 before variables are filled in.
	Version string
}

// Mark names the text as answers are marked with it: operation/locale@version, such
// as vc-analysis/de@3. The text for every operation is called default; where the
// text is for every language, its locale is left out: default@9f86d081.
func (a Answer) Mark() string {
	name := a.Operation
	if name == "" {
		name = "default"
	}
	if a.Locale != "" {
		name += "/" + a.Locale
	}
	return name + "@" + a.Version
}

// New makes a Degrader. The error names every fault of cfg.
func New(cfg Config) (*Degrader, error) {
	d, err := build(cfg)
	if err != nil {
		return nil, fmt.Errorf("degrade: %w", err)
	}
	return d, nil
}

// Text returns the prepared text for c. The persona's own texts are searched
// first, then the configured ones, then the built-in ones; in each of these the
// first that exists is taken:
//
//  1. the operation's text in the locale (de-AT, then de);
//  2. the operation's text for every language;
//  3. the general text in the locale;
//  4. the general text for every language.
//
// The locale is the call's, or else the persona's. A persona that is not configured
// is the default one. ok is false where the texts are switched off.
func (d *Degrader) Text(c Case) (a Answer, ok bool) {
	if d.off {
		return Answer{}, false
	}
	p := d.persona(c.Persona)
	t := d.find(p, c)
	if t == nil {
		return Answer{}, false
	}
	filled := t.render(values{
		varOperation:  c.Operation,
		varPersona:    p.Name,
		varSupportID:  c.SupportID,
		varRetryAfter: wholeSeconds(c.RetryAfter),
	})
	return Answer{Text: filled, Operation: t.operation, Locale: t.locale, Version: t.version}, true
}

// persona is the one that a call names, or else the default one, which is the zero
// persona where none is configured.
func (d *Degrader) persona(id string) persona {
	if p, known := d.personas[id]; known {
		return p
	}
	return d.personas[""]
}

func (d *Degrader) find(p persona, c Case) *prepared {
	locale := c.Locale
	if locale == "" || len(locale) > maxLocaleBytes { // a longer one is no locale that anybody has a text for
		locale = p.Locale
	}
	locale = normalLocale(locale)
	if t := p.texts.find(c.Operation, locale); t != nil {
		return t
	}
	for _, s := range d.sets {
		if t := s.find(c.Operation, locale); t != nil {
			return t
		}
	}
	return nil
}

func (s set) find(operation, locale string) *prepared {
	if t := s.inLocale(operation, locale); t != nil {
		return t
	}
	return s.inLocale("", locale)
}

// inLocale looks for the locale, then for its parents (de-de-1996, de-de, de), then
// for the text of every language (RFC 4647 §3.4, lookup).
func (s set) inLocale(operation, locale string) *prepared {
	if len(s) == 0 {
		return nil
	}
	for {
		if t, ok := s[textKey{operation, locale}]; ok {
			return t
		}
		if locale == "" {
			return nil
		}
		locale = locale[:max(0, strings.LastIndexByte(locale, '-'))]
	}
}

// Persona returns what the registry has of the persona that serves calls with this
// id, without its texts: that persona, or else the default one, whose ID is empty.
func (d *Degrader) Persona(id string) Persona { return d.persona(id).Persona }

// Personas returns the ids of all personas, built-in ones included, sorted. The
// default persona is in it, as the empty id, where one is configured.
func (d *Degrader) Personas() []string { return slices.Sorted(maps.Keys(d.personas)) }

func wholeSeconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(int64((d-1)/time.Second)+1, 10)
}
