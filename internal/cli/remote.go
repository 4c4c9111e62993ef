package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// remote is a running gateway that a command talks to.
type remote struct {
	url, key string
	environ  []string
}

func (r *remote) register(c *cobra.Command, s Streams) { r.registerFor(c, s, "cache") }

// registerFor adds the flags of a command that needs a scope.
func (r *remote) registerFor(c *cobra.Command, s Streams, scope string) {
	r.environ = s.Environ
	c.Flags().StringVar(&r.url, "url", "", "the gateway, or its control address (FOREBAY_URL; default http://127.0.0.1:8080)")
	c.Flags().StringVar(&r.key, "key", "", "a key that has the scope "+scope+" (FOREBAY_KEY)")
}

// base is the gateway's address.
func (r *remote) base() string {
	base := r.url
	if base == "" {
		base = lookup(r.environ, "FOREBAY_URL")
	}
	if base == "" {
		base = "http://127.0.0.1:8080"
	}
	return strings.TrimSuffix(strings.TrimRight(base, "/"), "/v1")
}

// problem is how the gateway says what went wrong.
type problem struct {
	Detail string `json:"detail"` // with the fix
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// refusal is what a gateway answered in place of what was asked for, in its words.
type refusal struct {
	status int
	text   string // with the fix
}

func (e *refusal) Error() string { return e.text }

// unreachable says that no gateway answers, or that it stopped in the middle.
type unreachable struct{ err error }

func (e *unreachable) Error() string { return e.err.Error() }
func (e *unreachable) Unwrap() error { return e.err }

// do sends a request and returns the answer's body, which the caller closes. What
// the gateway refuses is an error in its own words.
func (r *remote) do(ctx context.Context, method, path, contentType string, body io.Reader) (io.ReadCloser, error) {
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	res, err := r.send(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// send is do for callers that have headers to send or to read. The status of the
// answer is from 200 to 299.
func (r *remote) send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	if u, err := url.Parse(r.base()); err != nil || u.Host == "" {
		return nil, usageError{fmt.Errorf("--url %q: an address such as http://127.0.0.1:8080", r.base())}
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base()+path, body)
	if err != nil {
		return nil, usageError{err}
	}
	req.Header = header
	key := r.key
	if key == "" {
		key = lookup(r.environ, "FOREBAY_KEY")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &unreachable{fmt.Errorf("no gateway answers at %s: %w", r.base(), errors.Unwrap(err))}
	}
	if res.StatusCode >= 200 && res.StatusCode <= 299 {
		return res, nil
	}
	defer res.Body.Close()
	var p problem
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("%s answers %s to %s: is it a gateway of this version?", r.base(), res.Status, path)
	}
	return nil, &refusal{res.StatusCode, p.Detail}
}

// json sends in, where it is not nil, and reads the answer into out.
func (r *remote) json(ctx context.Context, method, path string, in, out any) error {
	raw, err := r.raw(ctx, method, path, in)
	if err != nil {
		return err
	}
	return r.readable(json.Unmarshal(raw, out))
}

// raw is json for callers that want the answer as it came.
func (r *remote) raw(ctx context.Context, method, path string, in any) (json.RawMessage, error) {
	header := http.Header{}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
		header.Set("Content-Type", "application/json")
	}
	res, err := r.send(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, r.brokenOff(ctx, err)
	}
	return raw, nil
}

// readable is the fault of an answer that is not what was asked for.
func (r *remote) readable(err error) error {
	if err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w", r.base(), err)
	}
	return nil
}

// brokenOff is the fault of an answer that stopped in the middle.
func (r *remote) brokenOff(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &unreachable{fmt.Errorf("the answer of %s broke off: %w", r.base(), err)}
}
