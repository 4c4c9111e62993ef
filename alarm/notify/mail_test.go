package notify_test

import (
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/notify"
	"github.com/forebay-ai/forebay/llm"
)

// post starts s and returns a notifier that sends to it.
func post(t *testing.T, s *smtpServer, change func(*notify.MailConfig)) *notify.Mail {
	t.Helper()
	cert, roots := certificate(t, "127.0.0.1")
	s.cert = cert
	s.listen(t)
	cfg := notify.MailConfig{
		Host: "127.0.0.1", Port: s.port, From: "Forebay <alarms@example.com>", To: []string{"ops@example.org"}, Roots: roots, Timeout: 5 * time.Second,
	}
	if s.implicit {
		cfg.Encryption = notify.ImplicitTLS
	}
	if s.user != "" {
		cfg.User, cfg.Password = s.user, llm.Secret(s.password)
	}
	if change != nil {
		change(&cfg)
	}
	m, err := notify.NewMail(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parts reads a mail: its head, and its bodies by type.
func parts(t *testing.T, text string) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s: %v", kind, err)
	}
	bodies := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return m.Header, bodies
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(p)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		bodies[kind] = string(b)
	}
}

func TestMail(t *testing.T) {
	for name, s := range map[string]*smtpServer{
		"STARTTLS and PLAIN":        {user: "forebay", password: canary, mechanisms: "PLAIN LOGIN"},
		"STARTTLS and LOGIN":        {user: "forebay", password: canary, mechanisms: "LOGIN"},
		"STARTTLS and nobody":       {},
		"TLS at once and PLAIN":     {implicit: true, user: "forebay", password: canary, mechanisms: "PLAIN"},
		"TLS at once and nobody":    {implicit: true},
		"a mechanism nobody wants":  {user: "forebay", password: canary, mechanisms: "GSSAPI PLAIN"},
		"a password with odd signs": {user: "f@example.com", password: canary + " äß=\\\"'", mechanisms: "PLAIN"},
	} {
		t.Run(name, func(t *testing.T) {
			m := post(t, s, nil)
			if err := m.Notify(t.Context(), notice("n-1")); err != nil {
				t.Fatal(err)
			}
			got := s.received()
			if len(got) != 1 || got[0].from != "alarms@example.com" || got[0].to != "ops@example.org" {
				t.Fatalf("%+v", got)
			}
			if s.user != "" && s.logins() != 1 {
				t.Error("nobody logged in")
			}
			for _, line := range s.inTheClear() {
				if verb := strings.Fields(line)[0]; verb != "EHLO" && verb != "STARTTLS" {
					t.Errorf("said in the clear: %s", line)
				}
			}
			if m.Name() != "mail" {
				t.Error(m.Name())
			}
		})
	}
}

func TestMailContent(t *testing.T) {
	s := &smtpServer{}
	m := post(t, s, nil)
	n := notice("n-1")
	n.Items[0].Message = "Fehler in <b>Küche</b> & \"Bar\""
	n.Items = append(n.Items, slices.Repeat(n.Items, 30)...)
	if err := m.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	head, bodies := parts(t, s.received()[0].text)
	for name, want := range map[string]string{
		"From": `"Forebay" <alarms@example.com>`, "To": "<ops@example.org>", "Subject": "[CRITICAL] errors-high on chat",
		"Auto-Submitted": "auto-generated", "X-Forebay-Notice": "n-1", "Importance": "high",
		"Date": "Sun, 22 Nov 2026 08:30:00 +0000",
	} {
		if head.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, head.Get(name), want)
		}
	}
	for _, part := range []string{"errors-high (chat): critical, firing", `Fehler in <b>Küche</b> & "Bar"`, "Since 2026-11-22 08:29:00 UTC", "What to do: Look at", "Runbook: https://example.com/runbooks/errors", "and 11 more", "Sent by gateway-1 at 2026-11-22 08:30:00 UTC. Notice n-1."} {
		if !strings.Contains(bodies["text/plain"], part) {
			t.Errorf("no %q in the text:\n%s", part, bodies["text/plain"])
		}
	}
	for _, part := range []string{"Fehler in &lt;b&gt;Küche&lt;/b&gt; &amp;", `<a href="https://example.com/runbooks/errors">Runbook</a>`, "<strong>errors-high (chat)</strong>", "and 11 more"} {
		if !strings.Contains(bodies["text/html"], part) {
			t.Errorf("no %q in the HTML:\n%s", part, bodies["text/html"])
		}
	}
	if strings.Contains(bodies["text/html"], "<img") || strings.Contains(bodies["text/html"], "<b>") {
		t.Error("the HTML loads something, or has what was not escaped")
	}
}

// Every try of a notice has the same Message-ID, and that of its end another.
func TestMailMessageID(t *testing.T) {
	id := func(n alarm.Notice) string {
		s := &smtpServer{}
		if err := post(t, s, nil).Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		head, _ := parts(t, s.received()[0].text)
		return head.Get("Message-ID")
	}
	over := notice("n-1")
	over.Resolved = true
	first, again, end, other := id(notice("n-1")), id(notice("n-1")), id(over), id(notice("n-2"))
	if first != again || first == end || first == other || !strings.HasPrefix(first, "<forebay.") || !strings.HasSuffix(first, "@example.com>") {
		t.Error(first, again, end, other)
	}
}

// Nothing in a notice becomes a header, a recipient or a command.
func TestMailInjection(t *testing.T) {
	evil := "x\r\nBcc: evil@example.net\r\n\r\n.\r\nMAIL FROM:<evil@example.net>\r\n\u2028<script>alert(1)</script>"
	n := alarm.Notice{
		ID: evil, Title: evil, Source: evil, Severity: alarm.Severity(evil), At: time.Now(),
		Items: []alarm.Item{{Status: alarm.Status{Name: evil, Of: evil, State: alarm.State(evil), Reason: evil}, Severity: alarm.Severity(evil), Message: evil, Do: evil, Runbook: "javascript://example.com/%0aalert(1)"}},
	}
	s := &smtpServer{}
	if err := post(t, s, nil).Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	got := s.received()
	if len(got) != 1 || got[0].to != "ops@example.org" || got[0].from != "alarms@example.com" {
		t.Fatalf("%+v", got)
	}
	head, bodies := parts(t, got[0].text)
	allowed := []string{"Auto-Submitted", "Content-Type", "Date", "From", "Importance", "Message-Id", "Mime-Version", "Priority", "Subject", "To", "X-Forebay-Notice", "X-Msmail-Priority", "X-Priority"}
	for name := range head {
		if !slices.Contains(allowed, name) {
			t.Errorf("header %s: %s", name, head.Get(name))
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(head.Get("Subject"))
	if err != nil || strings.ContainsAny(subject, "\r\n\u2028") || !strings.Contains(subject, "Bcc: evil") {
		t.Errorf("%q: %v", subject, err)
	}
	if strings.Contains(bodies["text/html"], "<script") || strings.Contains(bodies["text/html"], "href") || strings.Contains(bodies["text/plain"], "javascript") {
		t.Error(bodies["text/html"])
	}
}

func TestMailFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		server *smtpServer
		change func(*notify.MailConfig)
		final  bool
		text   string
	}{
		"no STARTTLS":        {&smtpServer{plain: true, user: "u", password: canary, mechanisms: "PLAIN"}, nil, false, "STARTTLS"},
		"clear on a TLS way": {&smtpServer{plain: true}, func(c *notify.MailConfig) { c.Encryption = notify.ImplicitTLS }, false, "tls"},
		"another name": {&smtpServer{}, func(c *notify.MailConfig) {
			c.Host = "localhost"
		}, false, "certificate"},
		"unknown authority": {&smtpServer{implicit: true}, func(c *notify.MailConfig) { c.Roots = nil }, false, "certificate"},
		"no login offered":  {&smtpServer{user: "u", password: canary}, nil, false, "AUTH"},
		"wrong password": {&smtpServer{user: "u", password: "right", mechanisms: "PLAIN"}, func(c *notify.MailConfig) {
			c.Password = canary
		}, true, "535"},
		"refused for good":   {&smtpServer{data: func(int) string { return "554 5.7.1 spam" }}, nil, true, "554"},
		"refused for now":    {&smtpServer{data: func(int) string { return "451 4.3.0 later" }}, nil, false, "451"},
		"no such recipient":  {&smtpServer{rcpt: func(string) string { return "550 5.1.1 unknown" }}, nil, true, "550"},
		"greylisted":         {&smtpServer{rcpt: func(string) string { return "450 4.2.0 greylisted" }}, nil, false, "450"},
		"hangs at EHLO":      {&smtpServer{hang: "EHLO"}, func(c *notify.MailConfig) { c.Timeout = 200 * time.Millisecond }, false, "in time"},
		"hangs at MAIL":      {&smtpServer{hang: "MAIL"}, func(c *notify.MailConfig) { c.Timeout = 200 * time.Millisecond }, false, "in time"},
		"hangs at DATA":      {&smtpServer{hang: "DATA"}, func(c *notify.MailConfig) { c.Timeout = 200 * time.Millisecond }, false, "in time"},
		"hangs at TLS":       {&smtpServer{hang: "EHLO", plain: true}, func(c *notify.MailConfig) { c.Encryption, c.Timeout = notify.ImplicitTLS, 200*time.Millisecond }, false, ""},
		"nobody there":       {&smtpServer{}, func(c *notify.MailConfig) { c.Port = 1 }, false, "refused"},
		"a talkative server": {&smtpServer{data: func(int) string { return "554 " + strings.Repeat("x", 5000) }}, nil, false, "mail server"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			err := post(t, tt.server, tt.change).Notify(t.Context(), notice("n"))
			if name != "a talkative server" {
				want(t, name, err, tt.final, tt.text)
			} else if err == nil || len(err.Error()) > 700 {
				t.Errorf("%d bytes: %.100v", len(fmt.Sprint(err)), err)
			}
			if took := time.Since(begin); took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
			if len(tt.server.received()) != 0 {
				t.Error("something was sent")
			}
			for _, line := range tt.server.inTheClear() {
				if strings.HasPrefix(line, "AUTH") || strings.HasPrefix(line, "MAIL") {
					t.Errorf("said in the clear: %s", line)
				}
			}
		})
	}
}

// A recipient who is refused keeps nothing from the others, and who has a notice does not
// get it again when it is tried again.
func TestMailRecipients(t *testing.T) {
	full := true
	s := &smtpServer{}
	s.rcpt = func(address string) string {
		s.mu.Lock()
		defer s.mu.Unlock()
		if address == "b@example.org" && full {
			return "452 4.2.2 mailbox full"
		}
		return ""
	}
	m := post(t, s, func(c *notify.MailConfig) { c.To = []string{"a@example.org", "Bert <b@example.org>", "c@example.org"} })
	recipients := func() (all []string) {
		for _, r := range s.received() {
			all = append(all, r.to)
		}
		return all
	}
	want(t, "one is full", m.Notify(t.Context(), notice("n")), false, "for 1 of 3 recipients")
	if got := recipients(); !slices.Equal(got, []string{"a@example.org", "c@example.org"}) {
		t.Errorf("%v", got)
	}
	s.mu.Lock()
	full = false
	s.mu.Unlock()
	for range 2 {
		if err := m.Notify(t.Context(), notice("n")); err != nil {
			t.Error(err)
		}
	}
	if got := recipients(); !slices.Equal(got, []string{"a@example.org", "c@example.org", "b@example.org"}) {
		t.Errorf("%v", got)
	}
}

func TestMailEndsWithItsContext(t *testing.T) {
	m := post(t, &smtpServer{hang: "MAIL"}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := m.Notify(ctx, notice("n")); err == nil || time.Since(begin) > 2*time.Second {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
}

func TestMailFaults(t *testing.T) {
	good := notify.MailConfig{Host: "mail.example.com", From: "a@example.com", To: []string{"b@example.com"}}
	for _, change := range []func(*notify.MailConfig){
		func(*notify.MailConfig) {},
		func(c *notify.MailConfig) { c.Port, c.Encryption = 465, "" },
		func(c *notify.MailConfig) { c.Host = "::1" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	err := notify.MailConfig{
		Name: "No!", Host: "smtp://mail", Port: 70_000, Encryption: "none", User: "u\r\n", From: "nobody",
		To: []string{"", "a@example.com\r\nBcc: x@example.com", "b@example.com", "B@example.com", "x y"}, Timeout: -1,
	}.Validate()
	for _, want := range []string{
		`name "No!"`, "host is neither", "port 70000", `encryption "none"`, "user and password: both", "no line breaks", "from: ", "to[0]: it is missing", "to[1]: ",
		"to[3]: B@example.com is there already", "to[4]: ", "timeout is negative",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %q in %v", want, err)
		}
	}
	many := good
	many.To = slices.Repeat([]string{"a@example.com"}, 51)
	if err := many.Validate(); err == nil || !strings.Contains(err.Error(), "51 recipients") {
		t.Error(err)
	}
	if err := (notify.MailConfig{}).Validate(); err == nil || !strings.Contains(err.Error(), "host is missing") || !strings.Contains(err.Error(), "0 recipients") {
		t.Error(err)
	}
}
