package logdb

import (
	"context"
	"fmt"
	"sync"

	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	// mostWords bounds the words of a file. The texts come from closed sets, with the
	// exception of models that do not exist, of which callers may invent any number.
	mostWords = 4096
	// longestWord is the longest text that becomes one, in bytes.
	longestWord = 256
)

// words are the texts that are kept as numbers. A number is given once, in the
// transaction that uses it first, and never again, even where that one failed.
type words struct {
	mu    sync.RWMutex // guards all below
	text  []string     // by number; 0 is the empty text
	ids   map[string]int64
	fresh []string // those of the transaction in progress
}

// load reads the words of the file.
func (w *words) load(c *sqlfile.Conn) error {
	rows, err := c.QueryContext(context.Background(), `SELECT id, word FROM words ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text, w.ids = []string{""}, map[string]int64{"": 0}
	for rows.Next() {
		var id int64
		var word string
		if err := rows.Scan(&id, &word); err != nil {
			return err
		}
		// Numbers of transactions that failed are missing.
		if id < int64(len(w.text)) || id > 16*mostWords {
			return fmt.Errorf("%w: a word has the number %d", sqlfile.ErrDamaged, id)
		}
		for int64(len(w.text)) < id {
			w.text = append(w.text, "")
		}
		w.text = append(w.text, word)
		w.ids[word] = id
	}
	return rows.Err()
}

// find is what a text is kept as: its number, or the text itself.
func (w *words) find(text string) any {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if id, ok := w.ids[text]; ok {
		return id
	}
	return text
}

// keep is find for what is written: a text that is new becomes a word where there is room.
func (w *words) keep(c *sqlfile.Conn, text string) (any, error) {
	w.mu.RLock()
	id, ok := w.ids[text]
	room := len(w.ids) < mostWords && len(w.text) < 16*mostWords && len(text) <= longestWord
	w.mu.RUnlock()
	switch {
	case ok:
		return id, nil
	case !room:
		return text, nil
	}
	w.mu.Lock()
	id = int64(len(w.text))
	w.text = append(w.text, text)
	w.ids[text] = id
	w.fresh = append(w.fresh, text)
	w.mu.Unlock()
	_, err := c.Exec(insertWord, id, text)
	return id, err
}

// settle ends a transaction. Where it failed, its words are none.
func (w *words) settle(failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if failed {
		for _, text := range w.fresh {
			delete(w.ids, text)
		}
	}
	w.fresh = w.fresh[:0]
}

// of is the text of a number.
func (w *words) of(id int64) (string, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if id < 0 || id >= int64(len(w.text)) {
		return "", fmt.Errorf("%w: there is no word %d", sqlfile.ErrDamaged, id)
	}
	return w.text[id], nil
}

// cell is a column that has a word's number or a text.
type cell struct {
	id   int64
	text string
	wrong,
	isText bool
}

// Scan implements sql.Scanner.
func (c *cell) Scan(src any) error {
	*c = cell{}
	switch v := src.(type) {
	case int64:
		c.id = v
	case string:
		c.text, c.isText = v, true
	default:
		c.wrong = true // read decides: an error here would be told with the value in it
	}
	return nil
}

// read is what a cell stands for.
func (w *words) read(c *cell) (string, error) {
	switch {
	case c.wrong:
		return "", fmt.Errorf("%w: a text is neither a word nor a text", sqlfile.ErrDamaged)
	case c.isText:
		return c.text, nil
	}
	return w.of(c.id)
}
