package sqlite_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/sqlite"
)

// long runs what takes a minute, too. It is a function since
// go test caches by what the tests read of the environment, and not by what is read before.
func long() bool { return os.Getenv("FOREBAY_LONG") == "1" }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func keyOf(n int) cache.Key {
	return sha256.Sum256(binary.AppendVarint([]byte("sqlite"), int64(n)))
}

// record is record number n, of a size. Its bytes follow from its number, so that
// one can be told from all others and from a damaged one.
func record(n, size int) cache.Record {
	k := keyOf(n)
	sealed := make([]byte, size)
	r := rand.NewChaCha8(k)
	r.Read(sealed)
	at := time.Date(2026, 3, 1, 0, 0, 0, n, time.UTC)
	return cache.Record{
		Key: k, Sealed: sealed, Expires: at.Add(time.Hour), Since: uint64(n), Keep: at.Add(2 * time.Hour),
		Tags: cache.Tags{uint64(n % 5), uint64(n % 7), uint64(n % 11), 1, 2},
	}
}

func batch(from, to, size int) []cache.Record {
	var all []cache.Record
	for ; from < to; from++ {
		all = append(all, record(from, size))
	}
	return all
}

// same reports whether a record is the n-th of a size as it was written.
func same(got cache.Record, n, size int) bool {
	want := record(n, size)
	return got.Key == want.Key && string(got.Sealed) == string(want.Sealed) && got.Expires.Equal(want.Expires) &&
		got.Keep.Equal(want.Keep) && got.Since == want.Since && got.Tags == want.Tags
}

func wrapped(id, tenant, user uint64) envelope.WrappedKey {
	var secret [48]byte
	rand.NewChaCha8(keyOf(int(id) + 1<<40)).Read(secret[:]) // other bytes than those of records
	return envelope.WrappedKey{ID: id, Tenant: tenant, User: user, Master: 1, Wrapped: secret[:], Created: time.Unix(int64(id), 0)}
}

func openIn(t testing.TB, dir string) (*sqlite.Store, error) {
	t.Helper()
	return sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
}

// files reads all files of a directory by name.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := map[string][]byte{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if !errors.Is(err, os.ErrNotExist) { // it went meanwhile
			must(t, err)
		}
		all[e.Name()] = content
	}
	return all
}

// within is a context for a test that should not wait long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// batchOfKeys are n keys of as many tenants.
func batchOfKeys(from, n uint64) []envelope.WrappedKey {
	var all []envelope.WrappedKey
	for id := from; id < from+n; id++ {
		all = append(all, wrapped(id, id, 0))
	}
	return all
}
