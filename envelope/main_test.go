package envelope_test

import (
	"context"
	"encoding/binary"
	"testing"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/envelope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alice = envelope.Owner{Tenant: "acme", User: "alice"}
	bob   = envelope.Owner{Tenant: "acme", User: "bob"}
	acme  = envelope.Owner{Tenant: "acme"}
	other = envelope.Owner{Tenant: "umbrella", User: "alice"}
	all   = envelope.Owner{}
)

func newMaster(t testing.TB) envelope.Master {
	t.Helper()
	m, err := envelope.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// newKeyring makes a keyring, with the changes to its configuration that a test wants.
func newKeyring(t testing.TB, keys envelope.KeyStore, masters []envelope.Master, change ...func(*envelope.Config)) *envelope.Keyring {
	t.Helper()
	cfg := envelope.Config{Masters: masters, Keys: keys}
	for _, f := range change {
		f(&cfg)
	}
	k, err := envelope.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *envelope.Keyring, owner envelope.Owner, aad, plain string) []byte {
	t.Helper()
	sealed, err := k.Seal(context.Background(), nil, owner, []byte(aad), []byte(plain))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return sealed
}

func open(k *envelope.Keyring, owner envelope.Owner, aad string, sealed []byte) (string, error) {
	plain, err := k.Open(context.Background(), nil, owner, []byte(aad), sealed)
	return string(plain), err
}

// keyID is the id of the data key of an envelope.
func keyID(sealed []byte) uint64 { return binary.BigEndian.Uint64(sealed[2:]) }
