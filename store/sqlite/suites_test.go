package sqlite_test

import (
	"testing"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/sqlite"
	"github.com/forebay-ai/forebay/store/storetest"
)

// open opens a store of its own for a test.
func open(t testing.TB, change ...func(*sqlite.Config)) *sqlite.Store {
	t.Helper()
	cfg := sqlite.Config{Dir: t.TempDir()}
	for _, f := range change {
		f(&cfg)
	}
	s, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestCache(t *testing.T) {
	storetest.Cache(t, func(t *testing.T) cache.Store { return open(t).Cache() })
	storetest.CacheBatches(t, func(t *testing.T) cache.Store { return open(t).Cache() })
}

func TestJournal(t *testing.T) {
	storetest.Journal(t, func(t *testing.T) cache.Journal { return open(t).Cache() })
}

func TestKeys(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) envelope.KeyStore { return open(t).Keys() })
}

func TestDurable(t *testing.T) {
	storetest.Durable(t, func(t *testing.T, dir string) storetest.Lasting {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return storetest.Lasting{Cache: s.Cache(), Journal: s.Cache(), Keys: s.Keys(), Close: s.Close}
	})
}
