package exchange

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// unanswered explains why there is no head.
func (x *Exchange) unanswered(err error) *llm.Error {
	if e := x.Ended(); e != nil {
		return e
	}
	e := connectionError(err, x.line.cfg.Where)
	if e.Limit == "connect_timeout" {
		e.Value = x.line.cfg.Bounds.Connect.String()
	}
	e.Err = err
	return x.about(e)
}

// connectionError words what befell a connection. where names the configuration keys
// that say where the back end is.
func connectionError(err error, where string) *llm.Error {
	t := transportFault(err)
	e := Fault(t, connectionMessages[t])
	switch t {
	case failure.ConnectTimeout, failure.TLSTimeout:
		e.Limit = "connect_timeout"
	case failure.Certificate:
		e.Fix = "Check the provider's certificate, the host in its " + where + ", and this machine's clock and authorities."
	case failure.NoSuchHost:
		e.Fix = "Check the host in the provider's " + where + "."
	case failure.TLS:
		var record tls.RecordHeaderError
		if errors.As(err, &record) {
			e.Message, e.Fix = "the provider does not speak TLS", "Check the scheme of its "+where+"."
		}
	}
	return e
}

// connectionMessages are what callers read; the cause goes to the log.
var connectionMessages = map[failure.Transport]string{
	failure.DNS:            "the provider's host name could not be resolved at the moment",
	failure.NoSuchHost:     "the provider's host name could not be resolved: there is no such host",
	failure.Refused:        "the provider refused the connection",
	failure.ConnectTimeout: "the provider could not be connected to in time",
	failure.Unreachable:    "the provider could not be connected to",
	failure.TLS:            "the TLS handshake with the provider failed",
	failure.TLSTimeout:     "the TLS handshake with the provider did not end in time",
	failure.Certificate:    "the provider's certificate is not trusted",
	failure.NotProcessed:   "the provider did not take the call",
	failure.BadHead:        "the provider's answer does not begin as HTTP answers do",
	failure.Reset:          "the connection to the provider broke before its answer began",
}

// transportFault names what befell a connection. Nothing has come back but perhaps a
// broken head.
func transportFault(err error) failure.Transport {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		op          *net.OpError
	)
	switch {
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return failure.NoSuchHost
		}
		return failure.DNS
	case errors.As(err, &certificate):
		return failure.Certificate
	case errors.Is(err, syscall.ECONNREFUSED):
		return failure.Refused
	case errors.As(err, &op) && op.Op == "dial":
		if op.Timeout() {
			return failure.ConnectTimeout
		}
		return failure.Unreachable
	}
	return saidFault(err)
}

// saidFault goes by the text, where net/http and crypto/tls have no type for it.
func saidFault(err error) failure.Transport {
	var (
		record tls.RecordHeaderError
		alert  *net.OpError // what crypto/tls makes of an alert
		slow   net.Error
	)
	text := err.Error()
	switch {
	case strings.Contains(text, "TLS handshake timeout") && errors.As(err, &slow) && slow.Timeout():
		return failure.TLSTimeout
	case errors.As(err, &record), errors.As(err, &alert) && strings.HasSuffix(alert.Op, " error"), strings.HasPrefix(text, "tls: "):
		return failure.TLS
	case strings.Contains(text, "REFUSED_STREAM"), strings.Contains(text, "graceful shutdown GOAWAY"):
		return failure.NotProcessed
	case strings.Contains(text, "malformed"), strings.Contains(text, "headers exceeded"), strings.Contains(text, "1xx"),
		strings.Contains(text, "header list"), strings.Contains(text, "transfer encoding"), strings.Contains(text, "Content-Length"):
		return failure.BadHead
	}
	return failure.Reset
}
