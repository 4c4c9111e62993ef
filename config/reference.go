package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/config/internal/settings"
)

// Reference is the reference page of all keys, in Markdown. It is generated from
// the table of keys and from the profiles.
func Reference() string {
	s := settings.New(table())
	var b strings.Builder
	b.WriteString(referenceHead)
	group := ""
	for _, k := range s.Keys {
		first := settings.Elements(k.Path)[0]
		if first == k.Path {
			first = "top level"
		}
		if first != group {
			group = first
			fmt.Fprintf(&b, "\n## %s\n\n| key | type | default | analysis | interactive | variable | meaning |\n|---|---|---|---|---|---|---|\n", group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", shownPath(k.Path), shownType(k),
			code(shownDefault(k)), code(profileValue(s, "analysis", k)), code(profileValue(s, "interactive", k)), code(k.Env), cell(shownDoc(k)))
	}
	b.WriteString("\n## What the profile analysis defines besides\n\n")
	for _, section := range []string{"operations", "personas"} {
		l, _ := profileLayer(s, "analysis") // the tests read every profile
		names := slices.Clone(l.Sections[section].Names)
		for i := range names {
			names[i] = "`" + names[i] + "`"
		}
		fmt.Fprintf(&b, "- %s: %s\n", section, strings.Join(names, ", "))
	}
	b.WriteString("\n" + referenceVariables(s))
	return b.String()
}

const referenceHead = `# Configuration

<!-- Generated from the table in config/keys.go by "go generate ./config". Do not edit. -->

A configuration is a YAML file, the environment, flags and a profile. A flag wins over the environment, that over the file, that
over the profile, that over the default. ` + "`forebay config show --origin`" + ` prints every value and where it came from,
` + "`forebay validate`" + ` checks a file without starting anything.

Mappings are merged key by key, lists are replaced as a whole. A key that this page does not have is a fault. ` + "`NAME`" + ` stands for a
name of yours and ` + "`[]`" + ` for each item of a list. In a file, ` + "`${VARIABLE}`" + ` and ` + "`${VARIABLE:-default}`" + ` take values from the
environment; ` + "`$${`" + ` stands for the characters ` + "`${`" + ` themselves.

- A duration has a unit: ` + "`250ms`, `45s`, `5m`, `24h`" + `.
- A size has a unit: ` + "`64KiB`, `256MiB`, `1GiB`" + `. KB, MB and GB mean the same.
- A share is a percentage or a number from 0 to 1: ` + "`10%`, `0.1`" + `.
- Dollars are written with a point: ` + "`0.25`" + `.

The profile ` + "`standard`" + ` is the defaults. The defaults and ` + "`analysis`" + ` are the numbers of the specification of the Bedrock AI
performance and reliability system; limits.max_concurrent alone differs, because a hosted provider takes more calls than the
specification's Lambda function. ` + "`interactive`" + ` has the numbers of the specification of performance monitoring and optimization.
The files under config/profiles name the source of each.
`

func referenceVariables(s *settings.Schema) string {
	var b strings.Builder
	b.WriteString("## Variables\n\n| variable | meaning |\n|---|---|\n")
	for _, k := range s.Keys {
		if k.Env == "" {
			continue
		}
		unit := map[string]string{"ms": ", in milliseconds unless it has a unit", "h": ", in hours unless it has a unit"}[k.Unit]
		note := ""
		if k.Later != nil {
			note = "; accepted, no effect in this version"
		}
		fmt.Fprintf(&b, "| `%s` | `%s`%s%s |\n", k.Env, k.Path, unit, note)
	}
	b.WriteString(`| ` + "`FOREBAY_CONFIG`" + ` | the path of the file, where no flag names one |
| ` + "`FOREBAY_KEYS`" + ` | callers' keys in place of the file's: ` + "`name:secret[:tenant[:bands]]`" + `, commas between keys, + between bands (` + "`web:SECRET:acme:normal+high`" + `); or a JSON array of objects with the members of ` + "`keys`" + ` |
| ` + "`OPENAI_API_KEY`, `OPENAI_BASE_URL`" + ` | the provider openai for every model, where neither a file nor a flag names providers; the key is sent to that URL's host alone, by default api.openai.com |
| ` + "`FOREBAY_UPSTREAM_KEY`" + ` | the key for upstreams that flags name; OPENAI_API_KEY is never sent to them |
`)
	return b.String()
}

func shownPath(path string) string { return strings.ReplaceAll(path, "*", "NAME") }

func shownType(k *settings.Key) string {
	switch k.Kind {
	case settings.Choice:
		return cell(strings.Join(k.Choices, ", "))
	case settings.Choices:
		if len(k.Choices) > 0 {
			return cell("list of " + strings.Join(k.Choices, ", "))
		}
		return "list of texts"
	case settings.Int, settings.Duration, settings.Size:
		return k.Kind.String() + ", " + k.Bounds()
	}
	return k.Kind.String()
}

func shownDefault(k *settings.Key) string {
	if k.Kind == settings.Choices && k.Initial != "" {
		return "[" + k.Initial + "]"
	}
	return k.Initial
}

func shownDoc(k *settings.Key) string {
	doc := k.Doc
	if k.Only != "" {
		doc = "For type " + orTypes(k) + ". " + doc
	}
	if k.Later != nil {
		verb := "No effect in this version"
		if k.Later.Refuse {
			verb = "Not in this version, and refused in a file"
		}
		doc += " " + verb + ": " + strings.ToLower(k.Later.Instead[:1]) + k.Later.Instead[1:]
	}
	return doc
}

// profileValue is what a profile says of a key without names; empty where it says
// nothing.
func profileValue(s *settings.Schema, profile string, k *settings.Key) string {
	l, err := profileLayer(s, profile)
	if err != nil || l.Settings[k.Path] == nil {
		return ""
	}
	return settings.Format(k.Kind, l.Settings[k.Path].Value)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}

// cell keeps a text within its cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
