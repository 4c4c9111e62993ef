// Package upstream is the model back end of the measurements: it speaks enough
// HTTP/1.1 and OpenAI chat completions to be called by a gateway, and costs as
// little as a Go program can: one goroutine a connection, prepared answers, one
// read and one write a request.
//
// It is no HTTP server: it takes requests with a Content-Length or in chunks, and
// looks at nothing but the model and the stream flag of the body.
package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxBody bounds a request's body: the measurements send a few hundred bytes.
const maxBody = 1 << 20

// Server answers on the connections of one listener.
type Server struct {
	answers map[string]*answer // not changed after New
	served  atomic.Int64

	mu     sync.Mutex // guards conns and closed
	conns  map[net.Conn]struct{}
	closed bool
}

// New returns a server that knows Small, Large and Slow.
func New() *Server {
	return &Server{answers: newAnswers(), conns: map[net.Conn]struct{}{}}
}

// Served counts the answers so far.
func (s *Server) Served() int64 { return s.served.Load() }

// Serve answers until ln is closed; then it closes its connections and returns
// when their goroutines have ended. Its error is nil after a close.
func (s *Server) Serve(ln net.Listener) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	defer s.closeConns()
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("upstream: %w", err)
		}
		if !s.track(c) {
			return nil
		}
		handlers.Go(func() {
			defer s.forget(c)
			s.serveConn(c)
		})
	}
}

func (s *Server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) forget(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	_ = c.Close()
}

func (s *Server) closeConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
}

// serveConn answers until the other side goes away or sends what is no request.
func (s *Server) serveConn(c net.Conn) {
	br := bufio.NewReaderSize(c, 32<<10)
	body := make([]byte, 0, 4<<10)
	for {
		h, err := readHead(br)
		if err != nil {
			return
		}
		if body, err = readBody(br, h, body[:0]); err != nil {
			return
		}
		a := s.answerTo(body)
		if a.delay > 0 {
			time.Sleep(a.delay)
		}
		out := a.whole
		if bytes.Contains(body, []byte(`"stream":true`)) {
			out = a.stream
		}
		s.served.Add(1) // before the write: whoever has the answer finds it counted
		if _, err := c.Write(out); err != nil || h.close {
			return
		}
	}
}

func (s *Server) answerTo(body []byte) *answer {
	if _, rest, ok := bytes.Cut(body, []byte(`"model":"`)); ok {
		name, _, _ := bytes.Cut(rest, []byte{'"'})
		if a := s.answers[string(name)]; a != nil {
			return a
		}
	}
	return s.answers[Small]
}

// head is what matters of a request's head.
type head struct {
	length         int
	chunked, close bool
}

func readHead(br *bufio.Reader) (head, error) {
	var h head
	for first := true; ; first = false {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			if first {
				continue // RFC 9112 §2.2: an empty line before a request is passed over
			}
			return h, nil
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if first || !ok {
			continue
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil || h.length < 0 || h.length > maxBody {
				return h, fmt.Errorf("upstream: content length %q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	}
}

func readBody(br *bufio.Reader, h head, body []byte) ([]byte, error) {
	if h.chunked {
		b, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(br), maxBody))
		if err != nil {
			return nil, err
		}
		_, err = br.Discard(2) // the empty line behind the last chunk
		return b, err
	}
	if cap(body) < h.length {
		body = make([]byte, 0, h.length)
	}
	body = body[:h.length]
	_, err := io.ReadFull(br, body)
	return body, err
}
