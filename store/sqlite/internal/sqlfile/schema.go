package sqlfile

import (
	"context"
	"fmt"
	"strings"

	"github.com/forebay-ai/forebay/llm"
)

// prepareSchema makes the schema in a new file, and checks that of an old one: that
// it is this program's, of a version that is known, and as it was made, and that the
// small tables are sound. To check all of a file of gigabytes would take minutes at
// each start; damage in its other pages is noticed when they are read.
func prepareSchema(w *Conn, l Layout) error {
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
	case application != int64(l.Application):
		return &llm.Error{
			Kind:    llm.ForebayUnavailable,
			Message: "the database belongs to another program",
			Fix:     "Give the store a directory of its own (store.dir), or move the file away",
		}
	case version > int64(l.Version):
		return &llm.Error{
			Kind:    llm.ForebayUnavailable,
			Message: fmt.Sprintf("the database was written by a newer version of Forebay (schema %d, this one knows %d)", version, l.Version),
			Fix:     "Start that version, or move the file away to begin with an empty one",
		}
	case there != strings.Join(statements(l.Schema), "\n"):
		return fmt.Errorf("%w: its schema has been changed", ErrDamaged)
	}
	return checkTables(w, l.CheckedWhole)
}

func checkTables(w *Conn, tables []string) error {
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

func makeSchema(w *Conn, l Layout) error {
	return w.Run(fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
		l.Schema, l.Application, l.Version))
}

// schemaOf is the statements that made what is in a file, a line each.
func schemaOf(w *Conn) (string, error) {
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
func pragma(c *Conn, name string) (int64, error) {
	var n int64
	err := c.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&n)
	return n, err
}
