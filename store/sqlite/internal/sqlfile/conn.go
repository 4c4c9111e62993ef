package sqlfile

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Conn is one connection with its prepared statements.
type Conn struct {
	*sql.Conn
	Stmts  []*sql.Stmt         // the prepared ones, by their places in the layout
	raw    []execStmt          // the same, for Exec; of the writer only
	values []driver.NamedValue // room for arguments
	care   Care                // what the connection is set to; of the writer only
}

// Care is what a transaction asks for beyond being written.
type Care uint8

// The cares.
const (
	Normal  Care = iota // outlasts the process
	Durable             // and a power cut
	Secret              // and what it deletes is overwritten with zeros
)

func (c *Conn) prepare(statements []string) error {
	for _, text := range statements {
		s, err := c.PrepareContext(context.Background(), text)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", text, err)
		}
		c.Stmts = append(c.Stmts, s)
	}
	return nil
}

// prepareRaw prepares what Exec runs.
func (c *Conn) prepareRaw(statements []string) error {
	return c.Raw(func(driverConn any) error {
		for _, text := range statements {
			s, err := driverConn.(driver.ConnPrepareContext).PrepareContext(context.Background(), text)
			if err != nil {
				return fmt.Errorf("prepare %q: %w", text, err)
			}
			c.raw = append(c.raw, s.(execStmt))
		}
		return nil
	})
}

// execStmt is a statement as the driver makes it.
type execStmt interface {
	driver.Stmt
	driver.StmtExecContext
}

// Close gives the connection back to its pool. The statements have to be closed
// first: SQLite keeps a connection open for as long as it has any.
func (c *Conn) Close() error {
	var err error
	for _, s := range c.Stmts {
		err = errors.Join(err, s.Close())
	}
	for _, s := range c.raw {
		err = errors.Join(err, c.Raw(func(any) error { return s.Close() }))
	}
	return errors.Join(err, c.Conn.Close())
}

// Exec runs a prepared statement and returns how many rows it changed. Its arguments
// are of the types that the driver takes: int64, string, []byte, bool and nil; int too.
//
// It goes to the driver directly: what database/sql does besides takes as long as
// SQLite itself for a row of forty columns.
func (c *Conn) Exec(stmt int, args ...any) (changed int64, err error) {
	c.values = c.values[:0]
	for i, a := range args {
		if n, ok := a.(int); ok {
			a = int64(n)
		}
		c.values = append(c.values, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	err = c.Raw(func(any) error {
		result, err := c.raw[stmt].ExecContext(context.Background(), c.values)
		if err != nil {
			return err
		}
		changed, err = result.RowsAffected()
		return err
	})
	return changed, err
}

// Run runs a statement that is not worth preparing.
func (c *Conn) Run(text string) error {
	_, err := c.ExecContext(context.Background(), text)
	return err
}

// Row runs a prepared query of one row.
func (c *Conn) Row(stmt int, args ...any) *sql.Row {
	return c.Stmts[stmt].QueryRowContext(context.Background(), args...)
}

// Rows runs a prepared query.
func (c *Conn) Rows(stmt int, args ...any) (*sql.Rows, error) {
	return c.Stmts[stmt].QueryContext(context.Background(), args...)
}

// SetCare sets the connection to what its next transaction asks for. SQLite takes
// synchronous only between transactions.
func (c *Conn) SetCare(want Care) error {
	if c.care == want {
		return nil
	}
	text := "PRAGMA synchronous=NORMAL; PRAGMA secure_delete=OFF"
	switch want {
	case Durable:
		text = "PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF"
	case Secret:
		text = "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON"
	}
	if err := c.Run(text); err != nil {
		return err
	}
	c.care = want
	return nil
}
