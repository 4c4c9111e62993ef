package openai

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
	// maxName bounds what of a provider's code, type or parameter is passed on, in bytes.
	maxName = 200
)

// DecodeError reads a provider's error answer, or the error event of a stream (status
// 0, no header). What it means is for failure.Classify to say; RetryAfter and NoRetry
// come from there too. Message and Code are the provider's, in whatever shape it sent
// them (OpenAI's, problem details, other gateways', HTML, plain text), bounded, valid
// UTF-8 and without keys. Status is the provider's own, or the number that its body gives.
func DecodeError(status int, header http.Header, body []byte) *llm.Error {
	s, param := readSignal(status, header, body)
	s.Now = time.Now()
	v := failure.Classify(s)
	e := &llm.Error{
		Kind:       v.Kind,
		Status:     s.Status,
		Code:       scrub(s.Code, maxName),
		Param:      scrub(param, maxName),
		RetryAfter: v.RetryAfter,
		NoRetry:    v.NoRetry,
	}
	if e.Code == "" {
		e.Code = scrub(s.Type, maxName)
	}
	if e.Message = scrub(s.Message, maxMessage); e.Message == "" {
		e.Message = "the provider reported an error without saying which"
		if s.Status > 0 {
			e.Message = "the provider answered " + strconv.Itoa(s.Status) + " " + http.StatusText(s.Status)
		}
	}
	return e
}

// ErrorSignal is what an error answer says, for failure.Classify. It reads OpenAI's
// shape and those that come near to it, Anthropic's and Bedrock's among them; status is
// 0 for an event of a stream. Nothing of it is fit to be passed on: the message is as
// long as it came, and may hold keys. Now is left to the caller.
func ErrorSignal(status int, header http.Header, body []byte) failure.Signal {
	s, _ := readSignal(status, header, body)
	return s
}

func readSignal(status int, header http.Header, body []byte) (s failure.Signal, param string) {
	r := readReport(body)
	if status < 300 && r.status >= 400 && r.status < 600 {
		status = r.status
	}
	return failure.Signal{
		Dialect: Name, Status: status, Code: r.code, Type: r.kind, Inner: r.inner, Message: r.message, Hint: r.hint, Header: header,
	}, r.param
}

// report is what an error body says, whatever its shape.
type report struct {
	message, kind, code, param, inner, hint string
	status                                  int
}

// readReport finds the report in a body.
func readReport(body []byte) report {
	n := scan.Parse(body, maxAnswerDepth)
	if list := n.Elements(); len(list) > 0 { // Gemini wraps the object in an array
		n = list[0]
	}
	if n == nil || n.Kind != '{' {
		return report{message: plainText(body)}
	}
	at := n
	switch inner := n.Get("error"); {
	case inner == nil:
	case inner.Kind == '{':
		at = inner
	case inner.Kind == '"': // Ollama, Hugging Face
		r := readObject(n)
		r.message = inner.String()
		return r
	}
	if list := n.Get("errors").Elements(); at == n && len(list) > 0 && list[0].Kind == '{' {
		at = list[0]
	}
	r := readObject(at)
	if r.message == "" && at != n {
		r.message = readObject(n).message
	}
	return r
}

// readObject reads the object that reports the error: OpenAI's error, a problem
// details object (RFC 9457), FastAPI's detail, or what comes near to one of them.
func readObject(n *scan.Node) report {
	r := report{
		kind:  n.Get("type").String(),
		code:  n.Get("code").String(),
		param: n.Get("param").String(),
		inner: n.Get("innererror").Get("code").String(),
		hint:  readHint(n),
	}
	if r.inner == "" { // Forebay's own word, beside the code that its provider gave
		r.inner = n.Get("error_type").String()
	}
	for _, name := range [...]string{"message", "detail", "error_description", "title", "msg", "Message"} {
		value := n.Get(name)
		if list := value.Elements(); len(list) > 0 {
			value = list[0].Get("msg")
		}
		if r.message = value.String(); r.message != "" {
			break
		}
	}
	for _, name := range [...]string{"code", "status", "status_code"} {
		if number, ok := n.Get(name).Number(); ok && r.status == 0 {
			r.status = int(max(min(number, 999), 0))
		}
	}
	for _, name := range [...]string{"status", "__type"} { // Gemini's word for the error, and AWS's
		if r.kind == "" {
			r.kind = n.Get(name).String()
		}
	}
	return r
}

// readHint finds the delay that a body states in a member of its own: Google's
// retryDelay among the details, retry_after of several gateways, or Hugging Face's
// estimate of how long a model takes to load.
func readHint(n *scan.Node) string {
	for _, detail := range n.Get("details").Elements() {
		if delay := detail.Get("retryDelay").String(); delay != "" {
			return delay
		}
	}
	for _, name := range [...]string{"retry_after", "estimated_time"} {
		switch value := n.Get(name); {
		case value == nil:
		case value.Kind == '"':
			return value.String()
		case value.Kind != '{' && value.Kind != '[':
			return string(value.Text)
		}
	}
	return ""
}

// plainText makes a message of a body that is not JSON: a page's title, or the
// beginning of the text.
func plainText(body []byte) string {
	body = body[:min(len(body), 4*maxMessage)]
	text := bytes.TrimSpace(body)
	if len(text) == 0 || text[0] != '<' {
		return strings.Join(strings.Fields(string(text)), " ")
	}
	lower := bytes.ToLower(text)
	_, after, found := bytes.Cut(lower, []byte("<title>"))
	end := bytes.IndexByte(after, '<')
	if !found || end < 0 || len(lower) != len(text) {
		return "the provider answered with a page, not with JSON"
	}
	start := len(text) - len(after)
	title := strings.Join(strings.Fields(string(text[start:start+end])), " ")
	return "the provider answered with a page: " + title
}

// keyLike matches what looks like a credential: bearer tokens, and the keys of OpenAI
// and those who copied its form, Google and AWS. OpenAI repeats part of a wrong key.
var keyLike = ident.Pattern(`(?i:\bbearer\s+)[^\s"',;]+|\b(?:sk|pk|rk|gsk|xai|hf)[-_][A-Za-z0-9_*.\-]{4,}|\b(?:AIza|AKIA|ASIA)[A-Za-z0-9_\-]{12,}`)

// scrub makes a provider's text fit to be passed on: no keys, at most n bytes, valid UTF-8.
func scrub(text string, n int) string {
	if text == "" {
		return ""
	}
	text = scan.Cut(text, 4*maxMessage)
	return scan.Cut(keyLike().ReplaceAllString(text, "***"), n)
}
