package ledgertest_test

import (
	"testing"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
)

func TestMemory(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) (ledger.Store, func() ledger.Store) {
		m := ledgertest.NewMemory()
		return m, func() ledger.Store {
			m = m.Copy()
			return m
		}
	})
}
