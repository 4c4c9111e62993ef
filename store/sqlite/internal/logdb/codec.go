package logdb

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// The parts of an entry that no filter asks for are kept in two values: rest, and
// attempts, which a page leaves out. Each begins with its format. Numbers are varints. A
// text is the number of its word plus one; or zero, its length and itself.
const (
	restFormat     = 1
	attemptsFormat = 1
)

// The flags of rest.
const (
	flagStream = 1 << iota
	flagJob
	flagStored
	flagEstimated
	flagKey    // a cache key of 32 bytes follows
	flagOddKey // a cache key of another form follows, as a text
)

// keyBytes is the length of a cache key, which an entry has in hexadecimal.
const keyBytes = 32

// writer appends values, and makes words of texts.
type writer struct {
	buf   []byte
	words *words
	conn  *sqlfile.Conn
	err   error // the first
}

func (w *writer) int(n int64)          { w.buf = binary.AppendVarint(w.buf, n) }
func (w *writer) span(d time.Duration) { w.int(int64(d)) }
func (w *writer) raw(s string)         { w.buf = append(binary.AppendUvarint(w.buf, uint64(len(s))), s...) }

func (w *writer) spans(d ...time.Duration) {
	for _, one := range d {
		w.span(one)
	}
}

func (w *writer) texts(all ...string) {
	for _, text := range all {
		v, err := w.words.keep(w.conn, text)
		if err != nil && w.err == nil {
			w.err = err
		}
		if id, ok := v.(int64); ok {
			w.buf = binary.AppendUvarint(w.buf, uint64(id)+1)
			continue
		}
		w.buf = append(w.buf, 0)
		w.raw(text)
	}
}

// rest writes what of an entry has no column.
func (w *writer) rest(e *requestlog.Entry) {
	var flags byte
	for _, f := range [...]struct {
		is  bool
		bit byte
	}{{e.Stream, flagStream}, {e.Job, flagJob}, {e.Stored, flagStored}, {e.Estimated, flagEstimated}} {
		if f.is {
			flags |= f.bit
		}
	}
	key, plain := plainKey(e.CacheKey)
	switch {
	case plain:
		flags |= flagKey
	case e.CacheKey != "":
		flags |= flagOddKey
	}
	w.buf = append(w.buf, restFormat, flags)
	w.buf = append(w.buf, key...)
	if flags&flagOddKey != 0 {
		w.raw(e.CacheKey)
	}
	w.spans(e.Lookup, e.Queue, e.Upstream, e.FirstToken, e.Overhead)
	for _, n := range [...]int64{e.Usage.Input, e.Usage.Output, e.Usage.CacheRead, e.Usage.CacheWrite, e.SavedMicroUSD} {
		w.int(n)
	}
	w.texts(e.Persona, e.Endpoint, e.Priority, e.Answered, e.Region, e.CacheReason, e.CacheDetail, e.Template)
}

// plainKey is a cache key as bytes, where it is one in lower case.
func plainKey(s string) ([]byte, bool) {
	if len(s) != 2*keyBytes || strings.ToLower(s) != s {
		return nil, false
	}
	b, err := hex.DecodeString(s)
	return b, err == nil
}

// attempts writes the attempts of an entry; nothing for none.
func (w *writer) attempts(all []requestlog.Attempt) {
	if len(all) == 0 {
		return
	}
	w.buf = append(w.buf, attemptsFormat)
	w.int(int64(len(all)))
	for i := range all {
		a := &all[i]
		w.spans(a.Start, a.Waited, a.Duration, a.FirstToken)
		w.texts(a.Target, a.Region, string(a.ErrorType))
	}
}

// reader reads what writer wrote. After an error it reads zeros.
type reader struct {
	buf   []byte
	words *words
	err   error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: an entry of the log of calls: %s", sqlfile.ErrDamaged, what)
	}
	r.buf = nil
}

func (r *reader) byte() byte {
	if len(r.buf) == 0 {
		r.fail("it is cut")
		return 0
	}
	b := r.buf[0]
	r.buf = r.buf[1:]
	return b
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.buf)
	if n <= 0 {
		r.fail("a number is cut")
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail("a number is cut")
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.buf)) {
		r.fail("a text is cut")
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) spans(to ...*time.Duration) {
	for _, d := range to {
		*d = time.Duration(r.int())
	}
}

func (r *reader) text() string {
	n := r.uint()
	if n == 0 {
		return string(r.bytes(r.uint()))
	}
	s, err := r.words.of(int64(min(n, 1<<62) - 1))
	if err != nil && r.err == nil {
		r.err = err
	}
	return s
}

func (r *reader) texts(to ...*string) {
	for _, s := range to {
		*s = r.text()
	}
}

// end is the verdict when all was read.
func (r *reader) end() error {
	if len(r.buf) > 0 {
		r.fail("something is behind its end")
	}
	return r.err
}

// readRest fills in what of an entry has no column.
func readRest(b []byte, words *words, e *requestlog.Entry) error {
	r := &reader{buf: b, words: words}
	if r.byte() != restFormat {
		r.fail("its format is unknown")
	}
	flags := r.byte()
	e.Stream, e.Job = flags&flagStream != 0, flags&flagJob != 0
	e.Stored, e.Estimated = flags&flagStored != 0, flags&flagEstimated != 0
	if flags&flagKey != 0 {
		e.CacheKey = hex.EncodeToString(r.bytes(keyBytes))
	}
	if flags&flagOddKey != 0 {
		e.CacheKey = string(r.bytes(r.uint()))
	}
	r.spans(&e.Lookup, &e.Queue, &e.Upstream, &e.FirstToken, &e.Overhead)
	for _, n := range [...]*int64{&e.Usage.Input, &e.Usage.Output, &e.Usage.CacheRead, &e.Usage.CacheWrite, &e.SavedMicroUSD} {
		*n = r.int()
	}
	r.texts(&e.Persona, &e.Endpoint, &e.Priority, &e.Answered, &e.Region, &e.CacheReason, &e.CacheDetail, &e.Template)
	return r.end()
}

// readAttempts reads the attempts of an entry.
func readAttempts(b []byte, words *words) ([]requestlog.Attempt, error) {
	if len(b) == 0 {
		return nil, nil
	}
	r := &reader{buf: b, words: words}
	if r.byte() != attemptsFormat {
		r.fail("the format of its attempts is unknown")
	}
	n := r.int()
	if n < 0 || n > int64(len(r.buf)) { // each takes seven bytes at least
		r.fail("the number of its attempts is wrong")
		n = 0
	}
	var all []requestlog.Attempt
	for i := int64(0); i < n && r.err == nil; i++ {
		var a requestlog.Attempt
		r.spans(&a.Start, &a.Waited, &a.Duration, &a.FirstToken)
		r.texts(&a.Target, &a.Region)
		a.ErrorType = llm.Kind(r.text())
		all = append(all, a)
	}
	return all, r.end()
}
