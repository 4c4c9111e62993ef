package webhook_test

import (
	"context"
	"net/netip"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/webhook"
)

// A proxy of the environment is read once, at the first request. Nothing listens at
// this one, so that whoever asks it fails.
const proxy = "http://127.0.0.1:1"

func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		if err := os.Setenv(name, proxy); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// secretOf gives every tenant a secret of its own.
func secretOf(tenant string) []byte {
	secret := make([]byte, 32)
	copy(secret, tenant)
	return secret
}

// sender returns a Sender that allows what is listed.
func sender(t testing.TB, allow ...string) *webhook.Sender {
	t.Helper()
	return senderOf(t, webhook.Config{Allow: allow})
}

func senderOf(t testing.TB, cfg webhook.Config) *webhook.Sender {
	t.Helper()
	cfg.Secret = secretOf
	s, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names is a resolver that knows these names and no others.
type names map[string][]string

func (n names) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, ip := range n[host] {
		all = append(all, netip.MustParseAddr(ip))
	}
	return all, nil
}
