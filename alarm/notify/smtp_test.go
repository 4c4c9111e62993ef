package notify_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// smtpServer is a mail server as far as RFC 5321 is needed here, with STARTTLS or TLS
// from the first byte, and AUTH PLAIN and LOGIN. Its members say what it does wrong.
type smtpServer struct {
	cert tls.Certificate
	// implicit is TLS from the first byte; plain offers no STARTTLS.
	implicit, plain bool
	// user and password have to be given where user is set; mechanisms are what is offered.
	user, password, mechanisms string
	// rcpt answers RCPT, data the end of DATA; empty means yes.
	rcpt func(address string) string
	data func(n int) string
	// hang stops before answering this command.
	hang string

	port int
	mu   sync.Mutex // guards the four below
	mail []received
	said []string // by clients, in the clear
	auth int      // logins that worked
	seen int      // ends of DATA
}

type received struct{ from, to, text string }

// listen serves until the test ends.
func (s *smtpServer) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				s.serve(c, stop)
			})
		}
	})
	t.Cleanup(func() {
		close(stop)
		l.Close()
		wg.Wait()
	})
}

// received returns what was delivered.
func (s *smtpServer) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mail...)
}

// inTheClear returns what clients said so far without TLS.
func (s *smtpServer) inTheClear() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.said...)
}

// logins returns how many logins worked.
func (s *smtpServer) logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth
}

// session is one connection.
type session struct {
	*smtpServer
	conn     net.Conn
	r        *bufio.Reader
	secure   bool
	in       bool // logged in
	from, to string
	stop     chan struct{}
}

func (s *smtpServer) serve(c net.Conn, stop chan struct{}) {
	if s.implicit {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{s.cert}})
	}
	x := &session{smtpServer: s, conn: c, r: bufio.NewReader(c), secure: s.implicit, stop: stop}
	x.say("220 test ESMTP")
	for {
		line, err := x.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if !x.secure {
			s.mu.Lock()
			s.said = append(s.said, line)
			s.mu.Unlock()
		}
		if !x.command(line) {
			return
		}
	}
}

func (x *session) say(line string) { fmt.Fprintf(x.conn, "%s\r\n", line) }

// command answers one line, and says whether the connection goes on.
func (x *session) command(line string) bool {
	verb := strings.ToUpper(strings.SplitN(line, " ", 2)[0])
	if x.hang == verb {
		<-x.stop
		return false
	}
	switch verb {
	case "EHLO":
		x.say("250-test")
		if !x.secure && !x.plain {
			x.say("250-STARTTLS")
		}
		if x.mechanisms != "" && (x.secure || x.plain) {
			x.say("250-AUTH " + x.mechanisms)
		}
		x.say("250 8BITMIME")
	case "STARTTLS":
		x.say("220 go on")
		x.conn = tls.Server(x.conn, &tls.Config{Certificates: []tls.Certificate{x.cert}})
		x.r, x.secure = bufio.NewReader(x.conn), true
	case "AUTH":
		return x.login(strings.Fields(line))
	case "MAIL":
		if x.user != "" && !x.in {
			x.say("530 5.7.0 log in first")
			break
		}
		x.from = line[strings.Index(line, "<")+1 : strings.Index(line, ">")]
		x.say("250 yes")
	case "RCPT":
		x.to = line[strings.Index(line, "<")+1 : strings.Index(line, ">")]
		answer := ""
		if x.rcpt != nil {
			answer = x.rcpt(x.to)
		}
		if answer == "" {
			answer = "250 yes"
		}
		x.say(answer)
	case "DATA":
		return x.content()
	case "QUIT":
		x.say("221 bye")
		return false
	default: // RSET, NOOP
		x.say("250 yes")
	}
	return true
}

// login knows PLAIN and LOGIN.
func (x *session) login(words []string) bool {
	plain := func(text string) string {
		b, _ := base64.StdEncoding.DecodeString(text)
		return string(b)
	}
	var user, password string
	switch {
	case words[1] == "PLAIN" && len(words) == 3:
		parts := strings.Split(plain(words[2]), "\x00")
		user, password = parts[1], parts[2]
	case words[1] == "LOGIN":
		ask := func(what string) string {
			x.say("334 " + base64.StdEncoding.EncodeToString([]byte(what)))
			line, _ := x.r.ReadString('\n')
			return plain(strings.TrimSpace(line))
		}
		user, password = ask("Username:"), ask("Password:")
	}
	if user != x.user || password != x.password {
		x.say("535 5.7.8 wrong: " + password) // an answer that repeats what it was told
		return true
	}
	x.in = true
	x.mu.Lock()
	x.auth++
	x.mu.Unlock()
	x.say("235 welcome")
	return true
}

// content reads a mail.
func (x *session) content() bool {
	x.say("354 go on")
	var text strings.Builder
	for {
		line, err := x.r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	x.mu.Lock()
	x.seen++
	answer := ""
	if x.data != nil {
		answer = x.data(x.seen)
	}
	if answer == "" {
		answer = "250 kept"
		x.mail = append(x.mail, received{x.from, x.to, text.String()})
	}
	x.mu.Unlock()
	x.say(answer)
	return true
}
