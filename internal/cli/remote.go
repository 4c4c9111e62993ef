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

func (r *remote) register(c *cobra.Command, s Streams) {
	r.environ = s.Environ
	c.Flags().StringVar(&r.url, "url", "", "the gateway, or its control address (FOREBAY_URL; default http://127.0.0.1:8080)")
	c.Flags().StringVar(&r.key, "key", "", "a key that has the scope cache (FOREBAY_KEY)")
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

// do sends a request and returns the answer's body, which the caller closes. What
// the gateway refuses is an error in its own words.
func (r *remote) do(ctx context.Context, method, path, contentType string, body io.Reader) (io.ReadCloser, error) {
	if u, err := url.Parse(r.base()); err != nil || u.Host == "" {
		return nil, usageError{fmt.Errorf("--url %q: an address such as http://127.0.0.1:8080", r.base())}
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base()+path, body)
	if err != nil {
		return nil, usageError{err}
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
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
		return nil, fmt.Errorf("no gateway answers at %s: %w", r.base(), errors.Unwrap(err))
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	var p problem
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil || p.Detail == "" {
		return nil, fmt.Errorf("%s answers %s to %s: is it a gateway of this version?", r.base(), res.Status, path)
	}
	return nil, errors.New(p.Detail)
}

// json sends in, where it is not nil, and reads the answer into out.
func (r *remote) json(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	contentType := ""
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body, contentType = bytes.NewReader(text), "application/json"
	}
	answer, err := r.do(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w", r.base(), err)
	}
	return nil
}
