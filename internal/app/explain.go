package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/gateway"
)

// Question is a request whose place in the cache is asked for.
type Question struct {
	// Path is where the request would be sent. Empty means /v1/chat/completions.
	Path string
	// Body is the request's body.
	Body []byte
	// Tenant is that of the caller's key; empty means "default". The others are what
	// the headers of these names would say.
	Tenant, User, Persona, Operation, Namespace string
}

// Explain says under which key a gateway of file looks for the answer to q, without
// a network.
func Explain(file *config.File, q Question) (forebay.Explanation, error) {
	cfg, err := file.Forebay()
	if err != nil {
		return forebay.Explanation{}, err
	}
	client, err := forebay.New(cfg)
	if err != nil {
		return forebay.Explanation{}, err
	}
	defer func() { _ = client.Close(context.Background()) }() // nothing runs in it
	gate, err := gateway.New(gatewayConfig(Options{File: file}, client, nil))
	if err != nil {
		return forebay.Explanation{}, err
	}
	line, err := q.line()
	if err != nil {
		return forebay.Explanation{}, err
	}
	for req, err := range gate.Warmup(strings.NewReader(line), q.Tenant) {
		if err != nil {
			return forebay.Explanation{}, trimLine(err)
		}
		return client.Cache().Explain(req)
	}
	return forebay.Explanation{}, errors.New("there is no request")
}

// line is the question as a line of a warm-up file.
func (q *Question) line() (string, error) {
	body := jsontext.Value(q.Body)
	if err := body.Compact(); err != nil {
		return "", fmt.Errorf("the request is not JSON: %w", err)
	}
	line, err := json.Marshal(map[string]any{
		"url": q.Path, "body": json.RawMessage(body),
		"user": q.User, "persona": q.Persona, "operation": q.Operation, "namespace": q.Namespace,
	})
	return string(line), err
}

// trimLine takes the number of the only line out of an error.
func trimLine(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
