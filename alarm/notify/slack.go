package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/llm"
)

// SlackConfig configures NewSlack.
type SlackConfig struct {
	// Name is the notifier's. Empty means "slack".
	Name string
	// URL is the incoming webhook's https address, which is the secret: whoever has it
	// can post. Receivers that take the same form (Mattermost, Rocket.Chat) do as well.
	URL llm.Secret
	// Timeout bounds one attempt, from the resolution of the name to the end of the
	// answer. Zero means 10 s.
	Timeout time.Duration
	// Roots are the authorities whose certificates are believed. Nil means the system's.
	Roots *x509.CertPool
}

const (
	slackTimeout = 10 * time.Second
	// slackAnswer bounds how much of an answer is read: it is "ok", or a word that says
	// what is wrong.
	slackAnswer = 4 << 10
)

// Slack posts notices to an incoming webhook of Slack. Every text of a notice is escaped,
// so that none can mention a channel, hide a link or close a block.
type Slack struct {
	name    string
	url     llm.Secret
	timeout time.Duration
	// transport is used without an http.Client: nothing here could follow a redirect,
	// and take the secret elsewhere.
	transport *http.Transport
}

// Validate returns every fault of c, joined; each names its key, and none repeats the
// address.
func (c SlackConfig) Validate() error {
	var faults []error
	if err := nameFault(cmp.Or(c.Name, "slack")); err != nil {
		faults = append(faults, err)
	}
	u, err := url.Parse(c.URL.Reveal())
	switch {
	case c.URL == "":
		faults = append(faults, errors.New("url is missing: it is the address that Slack shows when an incoming webhook is added"))
	case err != nil, u.Host == "", u.Opaque != "":
		faults = append(faults, errors.New("url is not a URL with a host"))
	case u.Scheme != "https":
		faults = append(faults, errors.New("url is not https: whoever reads it on its way can post"))
	case u.User != nil, u.Fragment != "":
		faults = append(faults, errors.New("url has a user or a fragment, which an incoming webhook has not"))
	}
	if c.Timeout < 0 {
		faults = append(faults, errors.New("timeout is negative"))
	}
	if len(faults) > 0 {
		return fmt.Errorf("notifier %.70q: %w", cmp.Or(c.Name, "slack"), errors.Join(faults...))
	}
	return nil
}

// NewSlack returns a notifier, or every fault of cfg, joined. Proxies of the environment
// are used: they see the host and not the address.
func NewSlack(cfg SlackConfig) (*Slack, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Slack{
		name: cmp.Or(cfg.Name, "slack"), url: cfg.URL, timeout: cmp.Or(cfg.Timeout, slackTimeout),
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true, // notices are rare
			MaxResponseHeaderBytes: 64 << 10,
		},
	}, nil
}

// String is the notifier's name: printed member by member, it would show its secrets.
func (s *Slack) String() string { return s.name }

// GoString is the same for %#v.
func (s *Slack) GoString() string { return s.name }

// Name returns the notifier's name.
func (s *Slack) Name() string { return s.name }

// Notify posts n once. An error with NoRetry says that another try is no use: Slack knows
// the webhook no more, or refuses the message itself. RetryAfter is what Slack asks for.
func (s *Slack) Notify(ctx context.Context, n alarm.Notice) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	body, err := json.Marshal(slackMessageOf(n))
	if err != nil {
		return &llm.Error{Kind: llm.ForebayInternal, Message: "the notice cannot be written as JSON", NoRetry: true, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.Reveal(), bytes.NewReader(body))
	if err != nil { // its text has the address
		return &llm.Error{Kind: llm.ForebayInternal, Message: "the webhook's address cannot be used", NoRetry: true}
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "forebay-notify")
	res, err := s.transport.RoundTrip(req)
	if err != nil {
		return &llm.Error{Kind: llm.ForebayUnavailable, Message: "no answer from " + req.URL.Host, Err: withoutAddress(err)}
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, slackAnswer)) // the status says enough
	if res.StatusCode >= 200 && res.StatusCode <= 299 {
		return nil
	}
	return refusalOf(req.URL.Host, res, answer)
}

// refusalOf is the error for an answer that is none of success.
func refusalOf(host string, res *http.Response, answer []byte) *llm.Error {
	refusal := &llm.Error{
		Kind: llm.ForebayUnavailable, Message: fmt.Sprintf("%s answers %d", host, res.StatusCode), Status: res.StatusCode,
		RetryAfter: llm.RetryAfter(res.Header, time.Now()),
	}
	switch code := res.StatusCode; {
	case code >= 300 && code <= 399:
		refusal.Message += ": redirects are not followed"
		refusal.NoRetry = true
	case code >= 400 && code <= 499 && code != http.StatusRequestTimeout && code != http.StatusTooEarly && code != http.StatusTooManyRequests:
		refusal.NoRetry = true // no_service, channel_is_archived, invalid_payload and the like
		refusal.Fix = "Check the incoming webhook in Slack."
	}
	if word := string(answer); len(word) <= 40 && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz_") == "" {
		refusal.Message += " " + word
	}
	return refusal
}

// withoutAddress takes an error of net/http without the address that it may carry.
func withoutAddress(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
