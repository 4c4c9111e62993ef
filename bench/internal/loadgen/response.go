package loadgen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// response is what is kept of an answer.
type response struct {
	status   int
	first    time.Time // when its first byte had come
	hit      bool      // Cache-Status says so
	keep     bool      // the connection can be used again
	complete bool      // a stream ended with its end mark
}

// tailBytes is as much of a body's end as the end mark needs.
const tailBytes = 16

var endMark = []byte("data: [DONE]\n\n")

// reader reads answers from one connection, without allocations once it is warm.
type reader struct {
	br   *bufio.Reader
	tail []byte // the last bytes of the body that is being read
}

func newReader(r io.Reader) *reader {
	return &reader{br: bufio.NewReaderSize(r, 32<<10), tail: make([]byte, 0, 2*tailBytes)}
}

// read reads one answer to its end. An error means that the connection is spoilt.
func (r *reader) read() (response, error) {
	res := response{keep: true}
	line, err := r.br.ReadSlice('\n')
	if err != nil {
		return res, err
	}
	res.first = time.Now()
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return res, fmt.Errorf("no status line: %.40q", line)
	}
	if res.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return res, fmt.Errorf("no status: %.40q", line)
	}
	length, chunked, err := r.headers(&res)
	if err != nil {
		return res, err
	}
	r.tail = r.tail[:0]
	switch {
	case chunked:
		err = r.chunks()
	case length >= 0:
		err = r.skip(length)
	default:
		err = errors.New("a body without a length") // no server of ours writes one
	}
	res.complete = bytes.HasSuffix(r.tail, endMark)
	return res, err
}

func (r *reader) headers(res *response) (length int, chunked bool, err error) {
	length = -1
	for {
		line, err := r.br.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return length, chunked, nil
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, false, fmt.Errorf("content length %.20q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			res.keep = !bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Cache-Status")):
			res.hit = bytes.Contains(value, []byte("; hit"))
		}
	}
}

// chunks reads a chunked body; trailers are passed over.
func (r *reader) chunks() error {
	for {
		line, err := r.br.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte{';'})
		n, err := strconv.ParseInt(string(size), 16, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("chunk size %.20q", size)
		}
		if n == 0 {
			break
		}
		if err := r.skip(int(n)); err != nil {
			return err
		}
		if _, err := r.br.Discard(2); err != nil {
			return err
		}
	}
	for {
		line, err := r.br.ReadSlice('\n')
		if err != nil || len(line) <= 2 {
			return err
		}
	}
}

// skip passes over n bytes of the body and keeps its last ones in tail.
func (r *reader) skip(n int) error {
	for n > 0 {
		// What is buffered already, or as much as one read brings.
		b, err := r.br.Peek(max(1, min(n, r.br.Buffered())))
		if err != nil {
			return err
		}
		last := b[max(0, len(b)-tailBytes):]
		if over := len(r.tail) + len(last) - tailBytes; over > 0 {
			r.tail = append(r.tail[:0], r.tail[over:]...)
		}
		r.tail = append(r.tail, last...)
		n -= len(b)
		if _, err := r.br.Discard(len(b)); err != nil {
			return err
		}
	}
	return nil
}
