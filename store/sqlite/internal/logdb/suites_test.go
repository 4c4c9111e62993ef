package logdb_test

import (
	"path/filepath"
	"testing"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
	"github.com/forebay-ai/forebay/store/sqlite/internal/logdb"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
	"github.com/forebay-ai/forebay/store/storetest/logtest"
)

func TestRequests(t *testing.T) {
	logtest.Requests(t, func(t *testing.T) requestlog.Store { return open(t, t.TempDir()) })
}

// TestRequestsHastened has pages end long before they are full.
func TestRequestsHastened(t *testing.T) {
	logtest.Requests(t, func(t *testing.T) requestlog.Store {
		l := open(t, t.TempDir())
		l.Hasten(1, 30)
		return l
	})
}

func TestSeries(t *testing.T) {
	logtest.Series(t, func(t *testing.T) series.Store { return open(t, t.TempDir()) })
}

func TestAlarms(t *testing.T) {
	logtest.Alarms(t, func(t *testing.T) alarm.Store { return open(t, t.TempDir()) })
}

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) (ledger.Store, func() ledger.Store) {
		dir := t.TempDir()
		l := openLedger(t, dir)
		return l, func() ledger.Store {
			must(t, l.Close())
			l = openLedger(t, dir)
			return l
		}
	})
}

func TestDurable(t *testing.T) {
	logtest.Durable(t, func(t *testing.T, dir string) logtest.Lasting {
		l, err := logdb.OpenLog(filepath.Join(dir, "log.db"))
		must(t, err)
		return logtest.Lasting{Requests: l, Series: l, Alarms: l, Close: l.Close}
	})
}
