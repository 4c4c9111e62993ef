package degrade

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Persona is a kind of reader that answers are written for.
type Persona struct {
	// ID is what requests name. Empty means the persona's key in Config.Personas;
	// anything else must equal it.
	ID string
	// Name is what {{persona}} inserts. Empty means ID.
	Name string
	// Locale is the language of texts for this persona where the call names none,
	// as a BCP 47 tag such as de-DE. Empty means no preference.
	Locale string
	// Tone describes how texts address the persona. It is for those who write
	// texts and prompts; nothing is computed from it.
	Tone string
	// Templates are the persona's own texts by operation; the text under "" serves
	// every operation that has none. They go before all others.
	Templates map[string]string
}

// Config says which prepared texts there are. The zero Config is the built-in
// texts, in English and German, and the built-in persona.
type Config struct {
	// Off takes the texts away: Text finds none.
	Off bool
	// Personas adds to the built-in persona ("Der Profi", de-DE), or replaces it
	// under the same key. The persona under "" is the default: it serves calls that
	// name no persona, or one that is not configured.
	Personas map[string]Persona
	// Templates are texts by operation and then by locale. Operation "" stands for
	// every operation and locale "" for every language. They go before the built-in
	// texts. A text may use {{operation}}, {{persona}}, {{support_id}} and
	// {{retry_after}}; see Case.
	Templates map[string]map[string]string
}

const (
	// maxTemplateBytes bounds one text. A fallback is a notice, not a document; the
	// bound keeps a file given by mistake out of every answer.
	maxTemplateBytes = 64 << 10
	// maxLocaleBytes is what RFC 5646 §4.4.1 recommends as the least that
	// software should hold; no tag in use is longer.
	maxLocaleBytes = 35
)

// Validate reports every fault of the configuration at once, or nil.
func (c Config) Validate() error {
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(c.Personas)) {
		p := c.Personas[key]
		at := fmt.Sprintf("personas[%q]", key)
		if p.ID != "" && p.ID != key {
			faults = append(faults, fmt.Errorf("%s: id %q differs from its key", at, p.ID))
		}
		faults = append(faults, checkLocale(at+".locale", p.Locale))
		for _, operation := range slices.Sorted(maps.Keys(p.Templates)) {
			faults = append(faults, checkText(fmt.Sprintf("%s.templates[%q]", at, operation), p.Templates[operation]))
		}
	}
	for _, operation := range slices.Sorted(maps.Keys(c.Templates)) {
		faults = append(faults, checkTexts(fmt.Sprintf("templates[%q]", operation), c.Templates[operation]))
	}
	return errors.Join(faults...)
}

func checkTexts(at string, texts map[string]string) error {
	var faults []error
	seen := make(map[string]string, len(texts))
	for _, locale := range slices.Sorted(maps.Keys(texts)) {
		faults = append(faults, checkLocale(at, locale), checkText(fmt.Sprintf("%s[%q]", at, locale), texts[locale]))
		if first, twice := seen[normalLocale(locale)]; twice {
			faults = append(faults, fmt.Errorf("%s: %q and %q are the same locale", at, first, locale))
		}
		seen[normalLocale(locale)] = locale
	}
	return errors.Join(faults...)
}

func checkText(at, text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("%s: the text is empty", at)
	case len(text) > maxTemplateBytes:
		return fmt.Errorf("%s: the text has %d bytes: at most %d", at, len(text), maxTemplateBytes)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s: the text is not valid UTF-8", at)
	}
	if _, err := compile(text); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return nil
}

// checkLocale takes the shape of a language tag, not its meaning: subtags of one
// to eight letters and digits, the first of letters (RFC 5646 §2.1).
func checkLocale(at, locale string) error {
	if locale == "" {
		return nil
	}
	if len(locale) > maxLocaleBytes {
		return fmt.Errorf("%s: the locale has %d bytes: at most %d", at, len(locale), maxLocaleBytes)
	}
	for i, part := range strings.Split(normalLocale(locale), "-") {
		digits := strings.Trim(part, "abcdefghijklmnopqrstuvwxyz")
		if part == "" || len(part) > 8 || strings.Trim(digits, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || (i == 0 && digits != "") {
			return fmt.Errorf("%s: %q is not a language tag such as de or de-DE", at, locale)
		}
	}
	return nil
}

// normalLocale is the form that locales are compared in: de_DE and de-de are one.
func normalLocale(locale string) string {
	return strings.ReplaceAll(strings.ToLower(locale), "_", "-")
}
