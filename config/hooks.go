package config

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/webhook"
)

// hookField keeps secrets of webhooks apart from whatever else comes from the
// store's key.
const hookField = 'w'

// hookSecret is four keyed hashes of 64 bits.
func hookSecret(keys *envelope.Keyring, tenant string) []byte {
	secret := make([]byte, 0, 32)
	for i := range 4 {
		secret = binary.BigEndian.AppendUint64(secret, keys.Tag(hookField, fmt.Sprintf("%d:%s", i, tenant)))
	}
	return secret
}

// hooks delivers the webhooks of jobs; nil where there are none.
func (f *File) hooks(keys *envelope.Keyring) (jobs.Deliverer, error) {
	if !f.values.Bool("jobs", "webhooks") {
		return nil, nil
	}
	sender, err := webhook.New(webhook.Config{
		Secret: func(tenant string) []byte { return hookSecret(keys, tenant) },
		Allow:  f.values.List("jobs", "webhook_hosts"),
	})
	if err != nil {
		return nil, fmt.Errorf("jobs.webhook_hosts: %w", err)
	}
	return deliverer{sender}, nil
}

// deliverer lets jobs use a sender of webhooks.
type deliverer struct{ *webhook.Sender }

// Deliver implements jobs.Deliverer.
func (d deliverer) Deliver(ctx context.Context, m jobs.Message) (again bool, err error) {
	return d.Sender.Deliver(ctx, webhook.Message(m))
}
