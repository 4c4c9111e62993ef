// Package payload is the format of calls of functions: a payload in, a value out, both
// JSON. It is not a wire format of any provider, and has no streams.
package payload

import (
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/llm"
)

// Dialect is the format. Its zero value is ready, and may be used concurrently.
type Dialect struct{}

// Name is payload.
func (Dialect) Name() string { return "payload" }

// Canonical is the payload with its members sorted and its numbers normalised.
func (Dialect) Canonical(dst []byte, req *llm.Request, _ bool) ([]byte, error) {
	v := jsontext.Value(append(dst, req.Body...))
	if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false)); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return v, nil
}

// Covers is true: there is one form of a value.
func (Dialect) Covers(*llm.Request, []byte, bool) bool { return true }

// Reshape changes nothing.
func (Dialect) Reshape(_ *llm.Request, answer []byte, _ bool) ([]byte, error) {
	return answer, nil
}

// Compose is text as a JSON string.
func (Dialect) Compose(_ *llm.Request, text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		return nil // not reachable: every string has a JSON form
	}
	return b
}
