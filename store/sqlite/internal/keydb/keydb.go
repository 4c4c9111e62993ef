// Package keydb is keys.db: the wrapped data keys of all that a store keeps sealed, in
// a file of its own. So a cache that was damaged and is set aside takes no key of a job
// with it, and whoever shreds an owner's keys shreds those of everything at once.
//
// It is small and precious: every write is synced, the whole file is checked at each
// start, and one that is damaged is never replaced by itself, because without its keys
// everything else is noise.
package keydb

import (
	"context"
	"errors"
	"sync"

	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// Keys implements envelope.KeyStore. All methods may be called concurrently. Reads go
// on beside writes; writes wait for one another and for a sync of the disk.
type Keys struct {
	path string

	mu sync.RWMutex // guards db; not held while it works
	db *sqlfile.Database
}

var _ envelope.KeyStore = (*Keys)(nil)

// application marks a database as keys of this program ("FBke").
const application = 0x46426b65

// version is the version of schema. A change of the schema raises it.
const version = 1

// logPages is how many pages are in the log when it is copied into the file: few, the
// file is small and should be whole by itself.
const logPages = 64

// The statements say to those who open the file by hand what is in it.
const schema = `
CREATE TABLE keys (
  seq     INTEGER PRIMARY KEY,   -- ascending in the order of writing
  id      INTEGER NOT NULL,
  tenant  INTEGER NOT NULL,      -- keyed hashes
  user    INTEGER NOT NULL,      -- 0: the tenant's own
  master  INTEGER NOT NULL,
  created INTEGER NOT NULL,      -- seconds since 1970
  wrapped BLOB    NOT NULL       -- encrypted under the master key
);
CREATE UNIQUE INDEX keys_id ON keys (id);
CREATE INDEX keys_owner ON keys (tenant, user, created);
CREATE INDEX keys_master ON keys (master);
`

const columns = `id, tenant, user, master, created, wrapped`

// The prepared statement of the writer.
const insertKey = 0

// The prepared statements of the readers.
const (
	selectKey = iota
	selectNewest
	selectOthers
)

func layout() sqlfile.Layout {
	return sqlfile.Layout{
		Application: application, Version: version, Schema: schema,
		LogPages: logPages, CheckedWhole: []string{"keys"},
		Writes: []string{
			insertKey: `INSERT INTO keys (` + columns + `) VALUES (?,?,?,?,?,?)
				ON CONFLICT (id) DO UPDATE SET tenant=excluded.tenant, user=excluded.user, master=excluded.master, created=excluded.created, wrapped=excluded.wrapped`,
		},
		Reads: []string{
			selectKey:    `SELECT ` + columns + ` FROM keys WHERE id = ?`,
			selectNewest: `SELECT ` + columns + ` FROM keys WHERE tenant = ? AND user = ? ORDER BY created DESC, seq DESC LIMIT 1`,
			selectOthers: `SELECT ` + columns + ` FROM keys WHERE master < ?1 OR master > ?1 LIMIT ?2`,
		},
	}
}

// Open opens the file at path, or makes it.
func Open(path string) (*Keys, error) {
	db, err := sqlfile.Open(path, layout())
	if err != nil {
		return nil, err
	}
	return &Keys{path: path, db: db}, nil
}

// Close waits for the operations in progress and copies the log into the file.
func (k *Keys) Close() error { return k.now().Close() }

// now is the database as it is open now.
func (k *Keys) now() *sqlfile.Database {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.db
}

// write runs do in a transaction. Where a sync has failed before, what this process
// has read and written may not be what is on disk: then the file is opened anew first.
func (k *Keys) write(ctx context.Context, do func(w *sqlfile.Conn) error) error {
	db := k.now()
	// Secret, since pages of the table that become free have keys in them.
	err := db.Write(ctx, sqlfile.Secret, do)
	if !errors.Is(err, sqlfile.ErrUnsynced) {
		return err
	}
	if db, err = k.reopen(db); err != nil {
		return err
	}
	return db.Write(ctx, sqlfile.Secret, do)
}

// reopen opens the file anew in place of failed, unless somebody has. Operations that
// still use failed end with ErrClosed.
func (k *Keys) reopen(failed *sqlfile.Database) (*sqlfile.Database, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.db != failed {
		return k.db, nil
	}
	if err := failed.Abandon(); err != nil {
		return nil, err
	}
	db, err := sqlfile.Open(k.path, layout())
	if err != nil {
		return nil, err
	}
	k.db = db
	return db, nil
}
