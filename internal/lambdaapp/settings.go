package lambdaapp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/llm"
)

// The variables that only the function knows.
const (
	// envStream says which doors stream, with commas: url (Function URL in the mode
	// RESPONSE_STREAM), rest (REST API with the transfer mode STREAM), or none. The default is url.
	envStream = "FOREBAY_LAMBDA_STREAM"
	// envKey names the key of the configuration that direct invocations have. The default
	// is the only key that there is.
	envKey = "FOREBAY_LAMBDA_KEY"
	// envPublic, as true, serves HTTP without keys also where no authorizer of AWS is in
	// front: to everybody.
	envPublic = "FOREBAY_LAMBDA_PUBLIC"

	envConfig   = "FOREBAY_CONFIG"
	envTaskRoot = "LAMBDA_TASK_ROOT"
	// packaged is the configuration that is found without being named: beside the binary.
	packaged = "forebay.yaml"
)

// Variables lists the environment variables of the function, for documentation.
func Variables() []string { return []string{envStream, envKey, envPublic} }

// settings are the values of the function's own variables.
type settings struct {
	bufferedURL, streamREST, public bool
	key                             string
}

// split takes the function's own variables out of environ.
func split(environ []string) (rest []string, s settings, err error) {
	var faults []error
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case envStream:
			faults = append(faults, s.stream(value))
		case envKey:
			s.key = value
		case envPublic:
			if s.public = value == "true"; value != "" && value != "true" && value != "false" {
				faults = append(faults, fmt.Errorf("%s: %.20q is neither true nor false", envPublic, value))
			}
		default:
			rest = append(rest, pair)
		}
	}
	return rest, s, errors.Join(faults...)
}

func (s *settings) stream(value string) error {
	if value == "" {
		return nil
	}
	words := strings.Split(value, ",")
	for _, word := range words {
		if !slices.Contains([]string{"url", "rest", "none"}, word) || word == "none" && len(words) > 1 {
			return fmt.Errorf("%s: %.20q is not url, rest, url,rest or none", envStream, value)
		}
	}
	s.bufferedURL, s.streamREST = !slices.Contains(words, "url"), slices.Contains(words, "rest")
	return nil
}

// source is where the configuration is read from.
func source(environ []string) config.Sources {
	src := config.Sources{Environ: environ}
	lookup := func(name string) string {
		for _, pair := range environ {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
	if root := lookup(envTaskRoot); root != "" && lookup(envConfig) == "" {
		if _, err := os.Stat(filepath.Join(root, packaged)); err == nil {
			src.Path = filepath.Join(root, packaged)
		}
	}
	return src
}

// directKey is the secret of direct invocations.
func (s *settings) directKey(keys []config.Key) (llm.Secret, error) {
	if s.key == "" {
		if len(keys) == 1 {
			return keys[0].Secret, nil
		}
		return "", nil // with several, direct invocations are refused as any without a key
	}
	for _, k := range keys {
		if k.Name == s.key {
			return k.Secret, nil
		}
	}
	return "", fmt.Errorf("%s: there is no key %.64q in the configuration", envKey, s.key)
}
