package storetest_test

import (
	"testing"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/storetest"
)

// TestMemory runs the suites on the implementation that comes with them.
func TestMemory(t *testing.T) {
	t.Run("Cache", func(t *testing.T) {
		storetest.Cache(t, func(*testing.T) cache.Store { return storetest.NewMemory() })
		storetest.CacheBatches(t, func(*testing.T) cache.Store { return storetest.NewMemory() })
	})
	t.Run("Journal", func(t *testing.T) {
		storetest.Journal(t, func(*testing.T) cache.Journal { return storetest.NewMemory() })
	})
	t.Run("Keys", func(t *testing.T) {
		storetest.Keys(t, func(*testing.T) envelope.KeyStore { return storetest.NewMemory() })
		storetest.KeysTogether(t, func(*testing.T) envelope.KeyStore { return storetest.NewMemory() })
	})
	t.Run("Durable", func(t *testing.T) {
		kept := map[string]*storetest.Memory{}
		storetest.Durable(t, func(_ *testing.T, dir string) storetest.Lasting {
			m, ok := kept[dir]
			if !ok {
				m = storetest.NewMemory()
				kept[dir] = m
			}
			return storetest.Lasting{Cache: m, Journal: m, Keys: m, Close: func() error { return nil }}
		})
	})
}
