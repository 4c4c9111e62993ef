package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/llm"
)

// Encryption says how the connection to the mail server is encrypted. The set is closed:
// mail is not sent in the clear.
type Encryption string

// The ways.
const (
	// StartTLS begins in the clear and goes on encrypted before anything is said: the way
	// of port 587. A server that does not offer it is refused.
	StartTLS Encryption = "starttls"
	// ImplicitTLS is encrypted from the first byte: the way of port 465.
	ImplicitTLS Encryption = "implicit"
)

// MailConfig configures NewMail.
type MailConfig struct {
	// Name is the notifier's. Empty means "mail".
	Name string
	// Host is the mail server's name, which its certificate is for.
	Host string
	// Port is the server's. Zero means 587, or 465 for ImplicitTLS.
	Port int
	// Encryption is how the connection is encrypted. Empty means StartTLS, or ImplicitTLS
	// for port 465.
	Encryption Encryption
	// User and Password log in: with SCRAM-SHA-256, PLAIN or LOGIN, the first of them that
	// the server has. Both empty: nobody logs in.
	User     string
	Password llm.Secret
	// From is the sender, as "Forebay <alarms@example.com>".
	From string
	// To are the recipients, from 1 to 50. Each gets a mail of its own, so that one that
	// is refused keeps none from the others.
	To []string
	// Timeout bounds one attempt for all recipients. Zero means 20 s.
	Timeout time.Duration
	// Roots are the authorities whose certificates are believed. Nil means the system's.
	Roots *x509.CertPool
}

const (
	mailTimeout   = 20 * time.Second
	maxRecipients = 50
	// rememberedMails bounds the memory of which recipient has which notice. It is only
	// asked between the tries of one notice.
	rememberedMails = 1024
)

// Mail sends notices by SMTP, over TLS alone. The Message-ID of a notice to a recipient is
// always the same, so that mail programs show one that was sent twice once.
type Mail struct {
	cfg  MailConfig
	from *mail.Address
	to   []*mail.Address

	mu   sync.Mutex      // guards the two below
	sent map[string]bool // Message-IDs that a server took
	ring []string        // the same, oldest first
}

// Validate returns every fault of c, joined; each names its key.
func (c MailConfig) Validate() error {
	_, err := NewMail(c)
	return err
}

// NewMail returns a notifier, or every fault of cfg, joined.
func NewMail(cfg MailConfig) (*Mail, error) {
	cfg = cfg.filled()
	m := &Mail{cfg: cfg, sent: map[string]bool{}}
	faults := cfg.serverFaults()
	var err error
	if m.from, err = address(cfg.From); err != nil {
		faults = append(faults, fmt.Errorf("from: %w", err))
	}
	if n := len(cfg.To); n == 0 || n > maxRecipients {
		faults = append(faults, fmt.Errorf("to: %d recipients, not 1 to %d", n, maxRecipients))
	}
	seen := map[string]bool{}
	for i, text := range cfg.To {
		to, err := address(text)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("to[%d]: %w", i, err))
		case seen[strings.ToLower(to.Address)]:
			faults = append(faults, fmt.Errorf("to[%d]: %s is there already", i, to.Address))
		default:
			seen[strings.ToLower(to.Address)] = true
			m.to = append(m.to, to)
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("notifier %.70q: %w", cfg.Name, errors.Join(faults...))
	}
	return m, nil
}

// filled is c with its defaults.
func (c MailConfig) filled() MailConfig {
	c.Name = cmp.Or(c.Name, "mail")
	c.Timeout = cmp.Or(c.Timeout, mailTimeout)
	if c.Encryption == "" {
		c.Encryption = StartTLS
		if c.Port == 465 {
			c.Encryption = ImplicitTLS
		}
	}
	if c.Port == 0 {
		c.Port = 587
		if c.Encryption == ImplicitTLS {
			c.Port = 465
		}
	}
	return c
}

// serverFaults are the faults of everything but the addresses.
func (c MailConfig) serverFaults() (faults []error) {
	if err := nameFault(c.Name); err != nil {
		faults = append(faults, err)
	}
	switch {
	case c.Host == "":
		faults = append(faults, errors.New("host is missing"))
	case strings.ContainsAny(c.Host, "/@:[] ") && net.ParseIP(c.Host) == nil || oneLine(c.Host, 300) != c.Host || len(c.Host) > 253:
		faults = append(faults, errors.New("host is neither a name nor an IP; the port stands by itself"))
	}
	if c.Port < 1 || c.Port > 65535 {
		faults = append(faults, fmt.Errorf("port %d is none", c.Port))
	}
	if c.Encryption != StartTLS && c.Encryption != ImplicitTLS {
		faults = append(faults, fmt.Errorf("encryption %.20q: use %s or %s; mail is not sent in the clear", string(c.Encryption), StartTLS, ImplicitTLS))
	}
	if (c.User == "") != (c.Password == "") {
		faults = append(faults, errors.New("user and password: both or neither"))
	}
	if strings.ContainsAny(c.User+c.Password.Reveal(), "\r\n\x00") {
		faults = append(faults, errors.New("user and password: no line breaks"))
	}
	if c.Timeout < 0 {
		faults = append(faults, errors.New("timeout is negative"))
	}
	return faults
}

// address reads one mail address.
func address(text string) (*mail.Address, error) {
	if text == "" {
		return nil, errors.New("it is missing")
	}
	a, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("%.100q is not a mail address, such as Forebay <alarms@example.com>", text)
	}
	return a, nil
}

// String is the notifier's name: printed member by member, it would show its secrets.
func (m *Mail) String() string { return m.cfg.Name }

// GoString is the same for %#v.
func (m *Mail) GoString() string { return m.cfg.Name }

// Name returns the notifier's name.
func (m *Mail) Name() string { return m.cfg.Name }

// Notify sends n to every recipient that has not got it yet, over one connection. An error
// says who has not; with NoRetry, that the server will not change its mind.
func (m *Mail) Notify(ctx context.Context, n alarm.Notice) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	var messages []*gomail.Msg
	var ids []string
	for _, to := range m.to {
		id := messageID(n, to.Address, m.from.Address)
		if m.knows(id) {
			continue
		}
		msg, err := mailOf(n, m.from, to, id)
		if err != nil {
			return &llm.Error{Kind: llm.ForebayInternal, Message: "the mail cannot be written", NoRetry: true, Err: err}
		}
		messages, ids = append(messages, msg), append(ids, id)
	}
	if len(messages) == 0 {
		return nil
	}
	if err := m.send(ctx, messages); err != nil && ctx.Err() != nil {
		m.remember(messages, ids)
		return &llm.Error{Kind: llm.ForebayUnavailable, Message: "the mail server did not answer in time", Limit: "timeout", Value: m.cfg.Timeout.String(), Err: ctx.Err()}
	} else if err != nil {
		return m.refusal(err, m.remember(messages, ids), len(messages))
	}
	m.remember(messages, ids)
	return nil
}

// send makes one connection and sends everything over it. The connection is closed when
// ctx ends: the library watches it only while it connects.
func (m *Mail) send(ctx context.Context, messages []*gomail.Msg) error {
	client, err := m.client(ctx)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	err = client.SendWithSMTPClient(session, messages...)
	_ = client.CloseWithSMTPClient(session) // what was taken is taken
	return err
}

// client returns a client for one connection, which ends with ctx.
func (m *Mail) client(ctx context.Context) (*gomail.Client, error) {
	secure := &tls.Config{ServerName: m.cfg.Host, RootCAs: m.cfg.Roots, MinVersion: tls.VersionTLS12}
	options := []gomail.Option{
		// Twice the time, so that it is always ctx that ends an attempt.
		gomail.WithPort(m.cfg.Port), gomail.WithTimeout(2 * m.cfg.Timeout), gomail.WithTLSConfig(secure),
		gomail.WithDialContextFunc(func(dialling context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(dialling, network, address)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			if m.cfg.Encryption == StartTLS {
				return conn, nil
			}
			encrypted := tls.Client(conn, secure)
			if err := encrypted.HandshakeContext(dialling); err != nil {
				conn.Close()
				return nil, err
			}
			return encrypted, nil
		}),
	}
	if m.cfg.Encryption == ImplicitTLS {
		options = append(options, gomail.WithSSL())
	} else {
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.cfg.User != "" {
		options = append(options, gomail.WithUsername(m.cfg.User), gomail.WithPassword(m.cfg.Password.Reveal()),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return gomail.NewClient(m.cfg.Host, options...)
}

// refusal is the error of an attempt after which of so many messages some were not taken.
func (m *Mail) refusal(err error, taken, of int) error {
	refusal := &llm.Error{
		Kind: llm.ForebayUnavailable, Message: "the mail server " + m.cfg.Host + ":" + strconv.Itoa(m.cfg.Port) + " did not take the notice",
		Err: errors.New(strings.ReplaceAll(oneLine(err.Error(), 400), cmp.Or(m.cfg.Password.Reveal(), "\x00"), llm.Secret("").String())),
	}
	if of > 1 {
		refusal.Message += fmt.Sprintf(" for %d of %d recipients", of-taken, of)
	}
	// 5xx is for good (RFC 5321): a wrong password that is tried again locks the account.
	var sending *gomail.SendError
	var answer *textproto.Error
	refusal.NoRetry = errors.As(err, &sending) && !sending.IsTemp() && sending.ErrorCode() >= 500 ||
		sending == nil && errors.As(err, &answer) && answer.Code >= 500
	return refusal
}

// knows says whether a mail was taken at an earlier try.
func (m *Mail) knows(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent[id]
}

// remember keeps which of messages were taken, and counts them.
func (m *Mail) remember(messages []*gomail.Msg, ids []string) (taken int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, msg := range messages {
		if !msg.IsDelivered() {
			continue
		}
		taken++
		m.sent[ids[i]] = true
		m.ring = append(m.ring, ids[i])
	}
	for len(m.ring) > rememberedMails {
		delete(m.sent, m.ring[0])
		m.ring = m.ring[1:]
	}
	return taken
}
