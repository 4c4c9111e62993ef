package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// conn is one connection with its prepared statements.
type conn struct {
	*sql.Conn
	stmts []*sql.Stmt
	care  care // what the connection is set to; of the writer only
}

// care is what a transaction asks for beyond being written.
type care uint8

const (
	normal  care = iota // outlasts the process
	durable             // and a power cut
	secret              // and what it deletes is overwritten with zeros
)

func (c *conn) prepare(statements []string) error {
	for _, text := range statements {
		s, err := c.PrepareContext(context.Background(), text)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", text, err)
		}
		c.stmts = append(c.stmts, s)
	}
	return nil
}

// close gives the connection back to its pool. The statements have to be closed
// first: SQLite keeps a connection open for as long as it has any.
func (c *conn) close() error {
	var err error
	for _, s := range c.stmts {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, c.Close())
}

// exec runs a prepared statement and returns how many rows it changed.
func (c *conn) exec(stmt int, args ...any) (int64, error) {
	result, err := c.stmts[stmt].ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// run runs a statement that is not worth preparing.
func (c *conn) run(text string) error {
	_, err := c.ExecContext(context.Background(), text)
	return err
}

// row and rows run prepared queries.
func (c *conn) row(stmt int, args ...any) *sql.Row {
	return c.stmts[stmt].QueryRowContext(context.Background(), args...)
}

func (c *conn) rows(stmt int, args ...any) (*sql.Rows, error) {
	return c.stmts[stmt].QueryContext(context.Background(), args...)
}

// setCare sets the connection to what its next transaction asks for. SQLite takes
// synchronous only between transactions.
func (c *conn) setCare(want care) error {
	if c.care == want {
		return nil
	}
	text := "PRAGMA synchronous=NORMAL; PRAGMA secure_delete=OFF"
	switch want {
	case durable:
		text = "PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF"
	case secret:
		text = "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON"
	}
	if err := c.run(text); err != nil {
		return err
	}
	c.care = want
	return nil
}
