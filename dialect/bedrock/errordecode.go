package bedrock

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/internal/ident"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// maxMessage bounds what of a provider's message is passed on, in bytes.
	maxMessage = 500
	// maxName bounds what of a provider's code or type is passed on, in bytes.
	maxName = 200
	// typeHeader is where AWS names an error's type, with the address of its definition.
	typeHeader = "X-Amzn-Errortype"
)

// DecodeError reads Bedrock's error answer, or what an error within a stream says
// (status 0, no header). The type is that of X-Amzn-ErrorType, or of the body's __type or
// code. What it means is for failure.Classify to say; RetryAfter and NoRetry come from
// there too. Message and Code are the provider's, bounded, valid UTF-8 and without keys;
// Code is the bare type, such as ThrottlingException. Status is the provider's own.
func DecodeError(status int, h http.Header, body []byte) *llm.Error {
	return decoded(ErrorSignal(status, h, body))
}

// exception makes the error of an exception in a stream.
func exception(e Event) *llm.Error {
	s := ErrorSignal(0, nil, e.Payload)
	s.Code = e.Type
	return decoded(s)
}

func decoded(s failure.Signal) *llm.Error {
	s.Now = time.Now()
	v := failure.Classify(s)
	e := &llm.Error{
		Kind: v.Kind, Status: s.Status, Code: scrub(s.Code, maxName),
		RetryAfter: v.RetryAfter, NoRetry: v.NoRetry,
	}
	if e.Code == "" {
		e.Code = scrub(s.Type, maxName)
	}
	if e.Message = scrub(s.Message, maxMessage); e.Message == "" {
		e.Message = "the provider reported an error without saying which"
		switch {
		case e.Code != "":
			e.Message = "the provider reported " + e.Code
		case s.Status > 0:
			e.Message = "the provider answered " + strconv.Itoa(s.Status) + " " + http.StatusText(s.Status)
		}
	}
	return e
}

// ErrorSignal is what an error answer says, for failure.Classify. Status is 0 for what
// comes within a stream. Nothing of it is fit to be passed on: the message is as long as
// it came, and may hold keys. Now is left to the caller.
func ErrorSignal(status int, h http.Header, body []byte) failure.Signal {
	s := failure.Signal{Dialect: failure.Bedrock, Status: status, Code: bare(h.Get(typeHeader)), Header: h}
	n := scan.Parse(body, maxAnswerDepth)
	if n == nil || n.Kind != '{' {
		s.Message = plainText(body)
		return s
	}
	if inner := n.Get("Output"); inner.Get("__type") != nil { // of a path that AWS does not know
		n = inner
	}
	for _, name := range [...]string{"__type", "code", "Code"} {
		if s.Code == "" {
			s.Code = bare(n.Get(name).String())
		}
	}
	s.Inner = n.Get("error_type").String() // Forebay's own word, beside AWS's type
	at := n
	switch inner := n.Get("error"); {
	case inner == nil:
	case inner.Kind == '{': // Anthropic's
		at = inner
		s.Type = inner.Get("type").String()
	case inner.Kind == '"':
		s.Message = inner.String()
	}
	for _, name := range [...]string{"message", "Message", "originalMessage", "errorMessage", "detail"} {
		if s.Message == "" {
			s.Message = at.Get(name).String()
		}
	}
	return s
}

// bare is a type without its namespace (com.amazon.coral.service#Type) and address
// (Type:http://…).
func bare(word string) string {
	if _, name, ok := strings.Cut(word, "#"); ok {
		word = name
	}
	word, _, _ = strings.Cut(word, ":")
	return strings.TrimSpace(word)
}

// plainText makes a message of a body that is not JSON: the beginning of a text, or no
// more than that it is a page.
func plainText(body []byte) string {
	text := bytes.TrimSpace(body[:min(len(body), 4*maxMessage)])
	if len(text) > 0 && text[0] == '<' {
		return "the provider answered with a page, not with JSON"
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// keyLike matches what looks like a credential: bearer tokens, AWS's access keys, and
// the keys for Bedrock's API.
var keyLike = ident.Pattern(`(?i:\bbearer\s+)[^\s"',;]+|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bbedrock-api-key-[^\s"',;]+|\bABSK[A-Za-z0-9+/=]{16,}|\bsk[-_][A-Za-z0-9_*.\-]{4,}`)

// scrub makes a provider's text fit to be passed on: no keys, at most n bytes, valid UTF-8.
func scrub(text string, n int) string {
	if text == "" {
		return ""
	}
	text = scan.Cut(text, 4*maxMessage)
	return scan.Cut(keyLike().ReplaceAllString(text, "***"), n)
}
