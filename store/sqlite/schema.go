package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/forebay-ai/forebay/llm"
)

// cacheApplication marks a database as a cache of this program ("FBch"), so that
// somebody else's file of the same name is left alone.
const cacheApplication = 0x46426368

// cacheVersion is the version of cacheSchema. A change of the schema raises it.
const cacheVersion = 1

// The statements say to those who open the file by hand what is in it.
//
// entries is an ordinary table with an index on the key beside it: with the key as
// the primary key of a table WITHOUT ROWID the records would lie in the order of
// random keys, and a put would cost twice as much. It has no index on keep either: a
// put would cost 35 us instead of 21, the replacement of a record 68 instead of 26
// and a deletion 30 instead of 20, while walking the table for what has expired takes
// about 1 us a record, and is needed for what is invalidated anyway.
const cacheSchema = `
CREATE TABLE entries (
  id        INTEGER PRIMARY KEY, -- ascending in the order of writing
  key       BLOB    NOT NULL,    -- SHA-256
  expires   INTEGER NOT NULL,    -- nanoseconds since 1970, as all times here
  since     INTEGER NOT NULL,    -- the last invalidation that was known
  keep      INTEGER NOT NULL,    -- until when the entry may be read
  tenant    INTEGER NOT NULL,    -- keyed hashes
  operation INTEGER NOT NULL,
  user      INTEGER NOT NULL,
  model     INTEGER NOT NULL,
  namespace INTEGER NOT NULL,
  sealed    BLOB    NOT NULL     -- compressed and encrypted; last, so that the rest is read without it
);
CREATE UNIQUE INDEX entries_key ON entries (key);
CREATE TABLE invalidations (
  number    INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
  at        INTEGER NOT NULL,
  mask      INTEGER NOT NULL,    -- which of the following count
  tenant    INTEGER NOT NULL,
  operation INTEGER NOT NULL,
  user      INTEGER NOT NULL,
  model     INTEGER NOT NULL,
  namespace INTEGER NOT NULL,
  key       BLOB    NOT NULL
);
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

// prepareSchema makes the schema in a new file, and checks that of an old one: that
// it is this program's, of a version that is known, and as it was made, and that the
// small tables are sound. To check all of a file of gigabytes would take minutes at
// each start; damage in its other pages is noticed when they are read.
func prepareSchema(w *conn, l layout) error {
	application, err := pragma(w, "application_id")
	if err != nil {
		return err
	}
	version, err := pragma(w, "user_version")
	if err != nil {
		return err
	}
	there, err := schemaOf(w)
	if err != nil {
		return err
	}
	switch {
	case application == 0 && version == 0 && there == "":
		return makeSchema(w, l)
	case application != int64(l.application):
		return &llm.Error{
			Kind:    llm.ForebayUnavailable,
			Message: "the database belongs to another program",
			Fix:     "Give the store a directory of its own (store.dir), or move the file away",
		}
	case version > int64(l.version):
		return &llm.Error{
			Kind:    llm.ForebayUnavailable,
			Message: fmt.Sprintf("the database was written by a newer version of Forebay (schema %d, this one knows %d)", version, l.version),
			Fix:     "Start that version, or move the file away to begin with an empty one",
		}
	case there != strings.Join(statements(l.schema), "\n"):
		return fmt.Errorf("%w: its schema has been changed", ErrDamaged)
	}
	return checkTables(w, l.checkedWhole)
}

func checkTables(w *conn, tables []string) error {
	for _, table := range tables {
		var verdict string
		if err := w.QueryRowContext(context.Background(), "PRAGMA quick_check("+table+")").Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" {
			return fmt.Errorf("%w: table %s: %s", ErrDamaged, table, verdict)
		}
	}
	return nil
}

func makeSchema(w *conn, l layout) error {
	return w.run(fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
		l.schema, l.application, l.version))
}

// schemaOf is the statements that made what is in a file, a line each.
func schemaOf(w *conn) (string, error) {
	var all string
	err := w.QueryRowContext(context.Background(),
		`SELECT coalesce(group_concat(sql, char(10)), '') FROM (SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY rowid)`,
	).Scan(&all)
	return all, err
}

// statements splits a schema; no statement in it has a semicolon of its own.
func statements(schema string) []string {
	var all []string
	for s := range strings.SplitSeq(schema, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// pragma reads a setting that is a number.
func pragma(c *conn, name string) (int64, error) {
	var n int64
	err := c.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&n)
	return n, err
}
