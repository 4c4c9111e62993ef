package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite"
	"github.com/forebay-ai/forebay/store/storetest/backlogtest"
)

// withBacklog has a store open queue.db.
func withBacklog(cfg *sqlite.Config) { cfg.Backlog = true }

// openQueue opens the store in dir with its queue.
func openQueue(t testing.TB, dir string) (*sqlite.Store, error) {
	t.Helper()
	return sqlite.Open(t.Context(), sqlite.Config{Dir: dir, Backlog: true})
}

func lasting(t *testing.T, dir string) backlogtest.Lasting {
	s, err := openQueue(t, dir)
	must(t, err)
	return backlogtest.Lasting{Store: s.Backlog(), Close: s.Close}
}

func TestBacklog(t *testing.T) {
	backlogtest.Store(t, func(t *testing.T) backlog.Store { return open(t, withBacklog).Backlog() })
}

func TestBacklogDurable(t *testing.T) { backlogtest.Durable(t, lasting) }

// TestBacklogDamaged has a column of the record changed behind the store's back.
func TestBacklogDamaged(t *testing.T) {
	for name, change := range map[string]string{
		"spec":                    `UPDATE jobs SET tenant = 'another' WHERE id = ?`,
		"status":                  `UPDATE jobs SET retries = retries + 1 WHERE id = ?`,
		"a value of another type": `UPDATE jobs SET attempt = 'x' WHERE id = ?`,
		"a time":                  `UPDATE jobs SET deadline = NULL WHERE id = ?`,
		"gone":                    `UPDATE jobs SET payload = 'lent' WHERE id = ?`,
	} {
		t.Run(name, func(t *testing.T) {
			backlogtest.Damaged(t, lasting, func(t *testing.T, dir string, id backlog.ID) {
				db, err := sql.Open("sqlite", filepath.Join(dir, "queue.db"))
				must(t, err)
				defer db.Close()
				_, err = db.Exec(change, int64(id))
				must(t, err)
			})
		})
	}
}
