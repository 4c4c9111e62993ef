package notify

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/webhook"
)

// WebhookConfig configures NewWebhook.
type WebhookConfig struct {
	// Name is the notifier's. Empty means "webhook".
	Name string
	// URL is where notices are posted: https, and of a public host unless Allow says
	// otherwise. It is a secret because its path often is one.
	URL llm.Secret
	// Secret signs the notices, in the form whsec_ and base64 of 24 to 64 bytes.
	Secret llm.Secret
	// Allow names private hosts and prefixes that may be reached, and by plain http; see
	// webhook.Config.Allow.
	Allow []string
	// Timeout bounds one attempt. Zero means 10 s.
	Timeout time.Duration
	// Roots are the authorities whose certificates are believed. Nil means the system's.
	Roots *x509.CertPool
}

// Webhook posts notices as JSON, signed as Standard Webhooks says. The body is an
// alarm.Notice in its JSON form, and the header webhook-id is the same for every try of
// one notice, so that a receiver can tell a repetition.
type Webhook struct {
	name   string
	url    llm.Secret
	sender *webhook.Sender
}

// Validate returns every fault of c, joined; each names its key, and none repeats a
// secret.
func (c WebhookConfig) Validate() error {
	_, err := NewWebhook(c)
	return err
}

// NewWebhook returns a notifier, or every fault of cfg, joined.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	if cfg.Name == "" {
		cfg.Name = "webhook"
	}
	var faults []error
	if err := nameFault(cfg.Name); err != nil {
		faults = append(faults, err)
	}
	secret, err := webhook.ParseSecret(cfg.Secret.Reveal())
	if err != nil {
		faults = append(faults, fmt.Errorf("secret: %w", err))
	}
	sender, err := webhook.New(webhook.Config{
		Secret: func(string) []byte { return secret }, Allow: cfg.Allow, Timeout: cfg.Timeout, Roots: cfg.Roots,
	})
	switch {
	case err != nil:
		faults = append(faults, err)
	case cfg.URL == "":
		faults = append(faults, errors.New("url is missing"))
	default:
		if err := sender.Check(cfg.URL.Reveal()); err != nil {
			faults = append(faults, fmt.Errorf("url: %w", err))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("notifier %.70q: %w", cfg.Name, errors.Join(faults...))
	}
	return &Webhook{cfg.Name, cfg.URL, sender}, nil
}

// String is the notifier's name: printed member by member, it would show its secrets.
func (w *Webhook) String() string { return w.name }

// GoString is the same for %#v.
func (w *Webhook) GoString() string { return w.name }

// Name returns the notifier's name.
func (w *Webhook) Name() string { return w.name }

// Notify posts n once. An error with NoRetry says that another try is no use: the
// receiver wants no more events, or the address is refused.
func (w *Webhook) Notify(ctx context.Context, n alarm.Notice) error {
	body, err := json.Marshal(encodable(n))
	if err != nil {
		return &llm.Error{Kind: llm.ForebayInternal, Message: "the notice cannot be written as JSON", NoRetry: true, Err: err}
	}
	again, err := w.sender.Deliver(ctx, webhook.Message{Address: w.url.Reveal(), ID: eventID(n.ID), Body: body})
	if err == nil {
		return nil
	}
	return &llm.Error{Kind: llm.ForebayUnavailable, Message: "the webhook did not take the notice", NoRetry: !again, Err: err}
}

// eventID is an ID that can stand in a header: id itself where it can, else its hash.
func eventID(id string) string {
	ok := id != "" && len(id) <= 128
	for i := 0; i < len(id) && ok; i++ {
		c := id[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	if ok {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}
