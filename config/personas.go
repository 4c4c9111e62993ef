package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/degrade"
)

// anyName stands for every operation or every locale in templates, and for the
// persona of calls that name none.
const anyName = "default"

func emptyForAny(name string) string {
	if name == anyName {
		return ""
	}
	return name
}

// Degrade reads the directories of prepared texts again and makes the personas and
// texts of the configuration with what they hold now; all else is as it was when the
// configuration was read. The configuration that it returns is whole and valid. The
// error says what is wrong, with files and lines (the first 20 faults), and nothing is
// then returned, so that whoever calls it keeps what it has. It may be called
// concurrently.
func (f *File) Degrade() (degrade.Config, error) {
	t, faults := f.readTexts(f.degradeConfig(texts{}).Variables)
	if len(faults) == 0 {
		c := f.degradeConfig(t)
		err := c.Validate()
		if err == nil {
			return c, nil
		}
		faults = append(faults, textFault{message: err.Error()})
	}
	var all []error
	for i, fault := range faults {
		if i == maxTextFaults {
			all = append(all, fmt.Errorf("and %d more", len(faults)-i))
			break
		}
		all = append(all, errors.New(fault.message))
	}
	return degrade.Config{}, fmt.Errorf("config: %w", errors.Join(all...))
}

// maxTextFaults bounds what one error says of texts: it stands in one line of the log.
const maxTextFaults = 20

// degradeConfig is the configuration of personas and texts, with these files.
func (f *File) degradeConfig(t texts) degrade.Config {
	v := f.values
	c := degrade.Config{
		Off: !v.Bool("degrade", "enabled"), Personas: map[string]degrade.Persona{}, Templates: map[string]map[string]string{},
		Files: t.general, Variables: map[string]string{},
	}
	for _, name := range v.Names("personas") {
		c.Personas[emptyForAny(name)] = degrade.Persona{
			Name: v.Text("personas", name, "name"), Locale: v.Text("personas", name, "locale"), Tone: v.Text("personas", name, "tone"),
			Files: t.personas[name],
		}
	}
	for _, operation := range v.Names("templates") {
		inline := map[string]string{}
		for _, locale := range v.Names("templates", operation) {
			inline[emptyForAny(locale)] = v.Text("templates", operation, locale)
		}
		c.Templates[emptyForAny(operation)] = inline
	}
	for _, name := range v.Names("template_variables") {
		c.Variables[name] = v.Text("template_variables", name)
	}
	return c
}

// readTemplates reads the directories of prepared texts and checks personas and
// texts as package degrade will, each where it stands.
func (f *File) readTemplates() {
	variables := f.checkVariables()
	f.checkPersonas()
	inline := f.checkInline(variables)
	t, faults := f.readTexts(variables)
	if s := f.values.Get("templates_dir"); s != nil && len(faults) == 0 { // good alone, and beside the others?
		both := degrade.Config{Templates: inline, Files: t.general, Variables: variables}
		for _, err := range singly(both.Validate()) {
			faults = append(faults, textFault{s, s.Key + ": " + err.Error(), "Keep one of the two texts."})
		}
	}
	for _, fault := range faults {
		fault.setting.Wrong(fault.message, fault.fix)
	}
	f.texts = t
	f.warnStrangers(t)
}

// checkVariables checks the operator's variables and returns those that are good.
func (f *File) checkVariables() map[string]string {
	v := f.values
	good := map[string]string{}
	for _, name := range v.Names("template_variables") {
		s := v.Get("template_variables", name)
		if s == nil {
			continue // at fault already
		}
		one := degrade.Config{Variables: map[string]string{name: s.Value.(string)}}
		if err := one.Validate(); err != nil {
			s.Wrong(s.Key+": "+reason(err), "Write a name such as support_phone and a short text.")
			continue
		}
		good[name] = s.Value.(string)
	}
	if err := (degrade.Config{Variables: good}).Validate(); err != nil { // too many
		last := slices.Sorted(maps.Keys(good))[len(good)-1]
		v.Get("template_variables", last).Wrong("template_variables: "+err.Error(), "Remove those that no text uses.")
	}
	return good
}

func (f *File) checkPersonas() {
	v := f.values
	for _, name := range v.Names("personas") {
		s := v.Get("personas", name, "locale")
		if s == nil {
			continue
		}
		c := degrade.Config{Personas: map[string]degrade.Persona{emptyForAny(name): {Locale: s.Value.(string)}}}
		if c.Validate() != nil {
			s.Wrong(fmt.Sprintf("%s: %s is not a language tag", s.Key, settings.Quote(s.Value.(string))), "Write de or de-DE.")
		}
	}
}

// checkInline checks the texts in the configuration itself and returns those that
// are good.
func (f *File) checkInline(variables map[string]string) map[string]map[string]string {
	v := f.values
	good := map[string]map[string]string{}
	for _, operation := range v.Names("templates") {
		name := emptyForAny(operation)
		good[name] = map[string]string{}
		for _, locale := range v.Names("templates", operation) {
			s := v.Get("templates", operation, locale)
			if s == nil {
				continue // at fault already
			}
			c := degrade.Config{Templates: map[string]map[string]string{name: {emptyForAny(locale): s.Value.(string)}}, Variables: variables}
			faults := singly(c.Validate())
			for _, err := range faults {
				s.Wrong(s.Key+": "+reason(err), "Correct the text; a locale is default, de or de-DE.")
			}
			if len(faults) == 0 {
				good[name][emptyForAny(locale)] = s.Value.(string)
			}
		}
	}
	return good
}

// warnStrangers warns of texts for operations that nobody can ask for.
func (f *File) warnStrangers(t texts) {
	known := f.values.Names("operations")
	warn := func(where, operation string) {
		if operation != "" && !slices.Contains(known, operation) {
			f.warnings = append(f.warnings, fmt.Sprintf("%s is for the operation %s, which is not configured: no call gets it", where, settings.Quote(operation)))
		}
	}
	for _, operation := range f.values.Names("templates") {
		warn("templates."+settings.Join([]string{operation}), emptyForAny(operation))
	}
	for _, file := range t.general {
		warn(file.Path, file.Operation)
	}
	for _, name := range slices.Sorted(maps.Keys(t.personas)) {
		for _, file := range t.personas[name] {
			warn(file.Path, file.Operation)
		}
	}
}

// reason is what package degrade says of a text or a variable, without the name
// that it has there.
func reason(err error) string {
	if _, rest, ok := strings.Cut(err.Error(), "]: "); ok {
		return rest
	}
	return err.Error()
}

// singly takes the faults apart that an error joins.
func singly(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
