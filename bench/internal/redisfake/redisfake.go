// Package redisfake is as much of Redis as the measurements' tests need where no
// redis-server is installed: PING, GET and SET on strings, over RESP. Expiry is taken
// and forgotten. It is for tests alone, never for figures.
package redisfake

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// maxBulk bounds one argument of a command.
const maxBulk = 1 << 20

// Server holds the strings of one fake.
type Server struct {
	mu      sync.Mutex // guards strings
	strings map[string]string
}

// Serve answers on the connections of ln until it is closed. Connections end with
// their clients.
func (s *Server) Serve(ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go s.serveConn(c) // ends with the client
	}
}

func (s *Server) serveConn(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	for {
		args, err := readCommand(br)
		if err != nil {
			return
		}
		if _, err := io.WriteString(c, s.answer(args)); err != nil {
			return
		}
	}
}

// answer carries out a command. One that it does not know is an error, as HELLO is for
// an old Redis: clients go on without.
func (s *Server) answer(args []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name := strings.ToUpper(args[0]); {
	case name == "PING":
		return "+PONG\r\n"
	case name == "GET" && len(args) == 2:
		v, ok := s.strings[args[1]]
		if !ok {
			return "$-1\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
	case name == "SET" && len(args) >= 3:
		if s.strings == nil {
			s.strings = map[string]string{}
		}
		s.strings[args[1]] = args[2]
		return "+OK\r\n"
	}
	return "-ERR unknown command\r\n"
}

// readCommand reads an array of bulk strings.
func readCommand(br *bufio.Reader) ([]string, error) {
	n, err := readLength(br, '*')
	if err != nil || n < 1 || n > 100 {
		return nil, fmt.Errorf("redisfake: a command of %d arguments: %w", n, err)
	}
	args := make([]string, n)
	for i := range args {
		size, err := readLength(br, '$')
		if err != nil || size < 0 || size > maxBulk {
			return nil, fmt.Errorf("redisfake: an argument of %d bytes: %w", size, err)
		}
		b := make([]byte, size+2) // the line's end too
		if _, err := io.ReadFull(br, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

func readLength(br *bufio.Reader, mark byte) (int, error) {
	line, err := br.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != mark {
		return 0, fmt.Errorf("%q begins with no %q", line, mark)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}
