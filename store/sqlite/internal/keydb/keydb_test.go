package keydb_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/sqlite/internal/keydb"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
	"github.com/forebay-ai/forebay/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens the keys in a folder until the test ends.
func open(t testing.TB, dir string) *keydb.Keys {
	t.Helper()
	k, err := keydb.Open(filepath.Join(dir, "keys.db"))
	must(t, err)
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// wrapped is key number id, whose bytes follow from its number.
func wrapped(id, tenant, user uint64) envelope.WrappedKey {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], id)
	var secret [48]byte
	_, _ = rand.NewChaCha8(seed).Read(secret[:])
	return envelope.WrappedKey{ID: id, Tenant: tenant, User: user, Master: 1, Wrapped: secret[:], Created: time.Unix(int64(id), 0)}
}

// batchOfKeys are n keys of as many tenants.
func batchOfKeys(from, n uint64) []envelope.WrappedKey {
	var all []envelope.WrappedKey
	for id := from; id < from+n; id++ {
		all = append(all, wrapped(id, id, 0))
	}
	return all
}

// files reads all files of a folder by name.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := map[string][]byte{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		all[e.Name()] = content
	}
	return all
}

// within is a context for what should not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestKeys(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) envelope.KeyStore { return open(t, t.TempDir()) })
	storetest.KeysTogether(t, func(t *testing.T) envelope.KeyStore { return open(t, t.TempDir()) })
}

// After a sync that failed the file is opened anew, and what was acknowledged before
// is in it.
func TestFailedSyncIsRecovered(t *testing.T) {
	k := open(t, t.TempDir())
	must(t, k.Save(t.Context(), wrapped(1, 1, 0)))
	k.Unsync()
	must(t, k.Save(t.Context(), wrapped(2, 2, 0)))
	for id := uint64(1); id <= 2; id++ {
		if got, err := k.Key(t.Context(), id); err != nil || !bytes.Equal(got.Wrapped, wrapped(id, id, 0).Wrapped) {
			t.Errorf("key %d: %v", id, err)
		}
	}
	k.Unsync()
	ids, err := k.Shred(t.Context(), 1, 0)
	if err != nil || len(ids) != 1 {
		t.Errorf("%v %v", ids, err)
	}
}

// A damaged file stops the start: without its keys everything else is noise, so it is
// not replaced.
func TestDamageStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.db")
	k, err := keydb.Open(path)
	must(t, err)
	must(t, k.Save(t.Context(), batchOfKeys(1, 500)...))
	must(t, k.Close())
	text, err := os.ReadFile(path)
	must(t, err)
	for i := 3 * sqlfile.PageBytes; i < 3*sqlfile.PageBytes+200; i++ {
		text[i] ^= 0xff
	}
	must(t, os.WriteFile(path, text, 0o600))
	if k, err := keydb.Open(path); !errors.Is(err, sqlfile.ErrDamaged) {
		t.Errorf("Open = %v", err)
		_ = k.Close()
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after[sqlfile.PageBytes:], text[sqlfile.PageBytes:]) {
		t.Errorf("the damaged file was changed: %v", err)
	}
}
