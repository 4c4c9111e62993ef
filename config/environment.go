package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/config/internal/settings"
	"github.com/forebay-ai/forebay/internal/near"
)

// The variables that set no key of the table.
const (
	envConfig      = "FOREBAY_CONFIG"       // the file's path
	envKeys        = "FOREBAY_KEYS"         // callers' keys
	envUpstreamKey = "FOREBAY_UPSTREAM_KEY" // the key for upstreams given by flags
	envOpenAIKey   = "OPENAI_API_KEY"       // as OpenAI's SDKs read them
	envOpenAIURL   = "OPENAI_BASE_URL"

	openAIURL = "https://api.openai.com/v1" // the SDKs' default
)

// environment is the variables of the process.
type environment map[string]string

func newEnvironment(pairs []string) environment {
	e := environment{}
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			e[name] = value
		}
	}
	return e
}

func (e environment) lookup(name string) (string, bool) {
	v, ok := e[name]
	return v, ok
}

// layers makes a layer of each variable that sets a key. Empty variables count as
// not set: that is how deployments switch one off.
func (e environment) layers(s *settings.Schema) []*settings.Layer {
	var all []*settings.Layer
	for _, k := range s.Keys {
		text := e[k.Env]
		if k.Env == "" || text == "" {
			continue
		}
		l := settings.NewLayer(s, settings.FromEnvironment, "environment "+k.Env, "environment "+k.Env)
		l.SetVariable(k, text)
		all = append(all, l)
	}
	if text := e[envKeys]; text != "" {
		all = append(all, callersKeys(s, text))
	}
	return all
}

// callersKeys reads FOREBAY_KEYS: name:secret[:tenant[:bands]], with commas between
// keys and + between bands, or a JSON array of the same members as keys in a file.
// No part of it stands in a message but names.
func callersKeys(s *settings.Schema, text string) *settings.Layer {
	l := settings.NewLayer(s, settings.FromEnvironment, "environment "+envKeys, "environment "+envKeys)
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		if err := l.ReadPart([]byte(text), []string{"keys"}); err != nil {
			l.Fault(settings.Place{}, "keys", "the value begins with [ and is not a JSON array", `Write [{"name": "web", "secret": "…"}], or name:secret.`)
		}
		return l
	}
	for i, one := range strings.Split(text, ",") {
		parts := strings.Split(strings.TrimSpace(one), ":")
		if len(parts) < 2 || len(parts) > 4 {
			l.Fault(settings.Place{}, "keys", fmt.Sprintf("key %d has %d parts between colons", i+1, len(parts)), "Write name:secret, name:secret:tenant or name:secret:tenant:normal+high; secrets with a colon or a comma need the JSON form.")
			continue
		}
		for j, member := range []string{"name", "secret", "tenant", "bands"}[:len(parts)] {
			value := parts[j]
			if j >= 2 && value == "" {
				continue
			}
			if member == "bands" {
				value = strings.ReplaceAll(value, "+", ",")
			}
			path := []string{"keys", fmt.Sprintf("[%d]", i), member}
			l.SetText(s.Key(path), path, value)
		}
	}
	return l
}

// strangers warns of variables that look like ours and are not.
func (e environment) strangers(s *settings.Schema) []string {
	known := []string{envConfig, envKeys, envUpstreamKey, "FOREBAY_URL", "FOREBAY_KEY"} // the last two are the command line's
	for _, k := range s.Keys {
		if strings.HasPrefix(k.Env, "FOREBAY_") {
			known = append(known, k.Env)
		}
	}
	var warnings []string
	for name := range e {
		if !strings.HasPrefix(name, "FOREBAY_") || slices.Contains(known, name) {
			continue
		}
		warning := fmt.Sprintf("environment %s is not known and has no effect.", name)
		if best := near.Name(name, known); best != "" {
			warning += fmt.Sprintf(" Did you mean %s?", best)
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}
