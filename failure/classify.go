package failure

import (
	"net/http"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// The dialects that have rows of their own. Signals of others are read by the rows for
// any dialect.
const (
	OpenAI    = "openai"
	Anthropic = "anthropic"
	Bedrock   = "bedrock"
)

// Transport is what befell a connection, or a call for which no answer came in time.
type Transport string

// The faults of connections. The empty value means none: there is an answer to read.
const (
	// DNS is a host name that could not be resolved: a server's failure, or no answer.
	DNS Transport = "dns"
	// NoSuchHost is a name server's word that there is no such host, or no address of it.
	NoSuchHost Transport = "no_such_host"
	// Refused is a port where nobody listens.
	Refused Transport = "refused"
	// ConnectTimeout is a connection, proxy included, that did not come about in time.
	ConnectTimeout Transport = "connect_timeout"
	// Unreachable is any other reason why there is no connection.
	Unreachable Transport = "unreachable"
	// TLS is a handshake that failed for good: another protocol, version or alert.
	TLS Transport = "tls"
	// TLSTimeout is a handshake that did not end in time.
	TLSTimeout Transport = "tls_timeout"
	// Certificate is a certificate that is expired, not trusted or another host's.
	Certificate Transport = "certificate"
	// Reset is a connection that broke, or was closed, before the answer's head was there.
	Reset Transport = "reset"
	// NotProcessed is an HTTP/2 server's word that it has not looked at the call
	// (REFUSED_STREAM, or GOAWAY with an older stream).
	NotProcessed Transport = "not_processed"
	// BadHead is a head that is no HTTP, or over the bounds of one.
	BadHead Transport = "bad_head"
	// HeaderTimeout is a head that did not come in time.
	HeaderTimeout Transport = "header_timeout"
	// FirstTokenTimeout is a head without anything useful behind it in time.
	FirstTokenTimeout Transport = "first_token_timeout"
	// Idle is an answer that fell silent.
	Idle Transport = "idle"
	// Slow is an answer that came, but too slowly.
	Slow Transport = "slow"
	// Truncated is an answer that stopped before its end mark.
	Truncated Transport = "truncated"
	// Malformed is an answer that is not of the dialect: garbage, a page, nothing at all.
	Malformed Transport = "malformed"
	// Encoded is an answer in an encoding that was not asked for. It is not unpacked.
	Encoded Transport = "encoded"
	// TooLarge is an answer, or an event of one, over its bound.
	TooLarge Transport = "too_large"
	// Redirect is a redirect. It is not followed: our key is for one host.
	Redirect Transport = "redirect"
)

// Signal is what was seen of a failure.
type Signal struct {
	// Dialect is the wire format that the provider speaks. Empty means unknown.
	Dialect string
	// Status is the HTTP status, or the one that the body of a stream's error event
	// names. Zero means none.
	Status int
	// Code, Type and Inner are the error's short words, as the body has them: OpenAI's
	// code and type, and the code of Azure's innererror or Forebay's own error_type.
	// AWS's forms (a namespace before #, an address behind :) are understood.
	Code, Type, Inner string
	// Message is the error's text, as the body has it. Its first 4 KiB are looked at.
	Message string
	// Hint is a delay that the body states in a member of its own, such as Google's
	// retryDelay: seconds ("13"), or with units ("13s", "350ms").
	Hint string
	// Header is the answer's header; may be nil.
	Header http.Header
	// Transport is what befell the connection. Where it is set nothing of the answer
	// but its header counts.
	Transport Transport
	// Now is the time at which the answer came, for dates in headers, where the answer
	// has no Date of its own. Zero means that nobody knows: dates are then ignored.
	Now time.Time
}

// Verdict is what a failure means.
type Verdict struct {
	// Kind is what happened; its Domain says whose fault it is.
	Kind llm.Kind
	// Retry says that the same target may well answer another try of this call.
	Retry bool
	// FailOver says that another target may answer. A context window that is too small
	// is no failure to be routed around, and has false here: package route knows which
	// targets have a larger one.
	FailOver bool
	// Breaker says that the target's breaker counts it.
	Breaker bool
	// Limiter says that the target is to get fewer calls at once.
	Limiter bool
	// NoRetry says that Retry is false though the kind allows it: the row says that
	// another try within one call cannot help, or the answer does (x-should-retry: false).
	NoRetry bool
	// RetryAfter is how long to wait before another try, at most llm.MaxRetryAfter.
	// Zero means unknown.
	RetryAfter time.Duration
	// Rule is the row that decided.
	Rule Rule
}

// Classify says what a failure means.
//
// x-should-retry: false is obeyed, so that two gateways in a row do not multiply their
// tries; true is not, because what may be repeated is for the table to say.
func Classify(s Signal) Verdict {
	rule := decide(&s)
	v := Verdict{
		Kind: rule.Kind, FailOver: rule.Kind.TryNext(), Breaker: rule.Kind.CountsForBreaker(), Limiter: rule.Kind.FeedsLimiter(),
		NoRetry: rule.NoRetry || declined(s.Header), Rule: rule,
	}
	v.Retry = v.Kind.Retryable() && !v.NoRetry
	v.RetryAfter = retryAfter(v.Kind, &s)
	return v
}

// declined reads the header with which OpenAI and Anthropic tell their SDKs, and
// Forebay its callers, that another try is of no use.
func declined(h http.Header) bool {
	return strings.EqualFold(strings.TrimSpace(h.Get("X-Should-Retry")), "false")
}

// maxText is how much of a message is looked at, in bytes.
const maxText = 4 << 10

// evidence is a signal made ready for comparison.
type evidence struct {
	*Signal
	words [4]string // in lower case
	text  string    // in lower case
}

func decide(s *Signal) Rule {
	e := evidence{Signal: s, text: strings.ToLower(s.Message[:min(len(s.Message), maxText)])}
	e.words = [...]string{bare(s.Code), bare(s.Type), bare(s.Inner), ""}
	if s.Dialect == Bedrock {
		e.words[3] = bare(s.Header.Get("X-Amzn-Errortype"))
	}
	for i := range table {
		if table[i].fits(&e) {
			return table[i]
		}
	}
	return table[len(table)-1] // the last row fits everything
}

// bare is a word as the table has it: AWS writes com.amazon.coral.service#Word and
// Word:http://address.
func bare(word string) string {
	if _, name, ok := strings.Cut(word, "#"); ok {
		word = name
	}
	word, _, _ = strings.Cut(word, ":")
	return strings.ToLower(strings.TrimSpace(word))
}

// fits says whether the row is about what was seen.
func (r *Rule) fits(e *evidence) bool {
	switch {
	case r.Transport != e.Transport && !r.last():
		return false
	case r.Dialect != "" && r.Dialect != e.Dialect:
		return false
	case !r.hasStatus(e.Status):
		return false
	case r.Text != "" && !strings.Contains(e.text, r.Text):
		return false
	}
	return r.Word == "" || r.hasWord(&e.words)
}

// last says whether the row is the one for all the rest.
func (r *Rule) last() bool {
	return r.Transport == "" && r.Dialect == "" && r.Status == 0 && r.Word == "" && r.Text == ""
}

func (r *Rule) hasStatus(status int) bool {
	switch {
	case r.Status == 0 || r.Status == status:
		return true
	case r.Status == 5:
		return status >= 500 // numbers above 599 are nobody's; 999 stands in the catalogues
	}
	return r.Status < 10 && status/100 == r.Status
}

func (r *Rule) hasWord(words *[4]string) bool {
	for _, word := range words {
		if word == r.Word {
			return true
		}
	}
	return false
}
