package openai

import (
	"bytes"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// maxMessage bounds what of a provider's message is passed on, in bytes.
	maxMessage = 500
	// maxName bounds what of a provider's code, type or parameter is passed on, in bytes.
	maxName = 200
)

// statusKinds says what a provider's status means. Other 4xx are ProviderRejected and
// other 5xx ProviderError.
var statusKinds = map[int]llm.Kind{
	http.StatusUnauthorized:       llm.ProviderAuthFailed,
	http.StatusPaymentRequired:    llm.ProviderQuotaExceeded, // DeepSeek, OpenRouter: no credit left
	http.StatusForbidden:          llm.ProviderAuthFailed,
	http.StatusRequestTimeout:     llm.ProviderTimeout,
	http.StatusTooManyRequests:    llm.ProviderRateLimited,
	http.StatusServiceUnavailable: llm.ProviderOverloaded,
	http.StatusGatewayTimeout:     llm.ProviderTimeout,
	524:                           llm.ProviderTimeout,    // Cloudflare: the origin did not answer
	529:                           llm.ProviderOverloaded, // Anthropic's, used by others too
}

// strongWords are codes and types that say more than the status does: OpenAI uses 429
// for a quota that is used up, and 400 for its content filter.
var strongWords = map[string]llm.Kind{
	"insufficient_quota":           llm.ProviderQuotaExceeded,
	"insufficient_balance":         llm.ProviderQuotaExceeded,
	"billing_hard_limit_reached":   llm.ProviderQuotaExceeded,
	"billing_not_active":           llm.ProviderQuotaExceeded,
	"billing_error":                llm.ProviderQuotaExceeded,
	"content_filter":               llm.ProviderFiltered,
	"content_policy_violation":     llm.ProviderFiltered,
	"responsibleaipolicyviolation": llm.ProviderFiltered, // Azure's inner error
	"moderation_blocked":           llm.ProviderFiltered,
	"invalid_api_key":              llm.ProviderAuthFailed,
	"incorrect_api_key":            llm.ProviderAuthFailed,
}

// weakWords are codes and types that count where no status says more: in streams, and
// in answers with status 200.
var weakWords = map[string]llm.Kind{
	"rate_limit_exceeded":     llm.ProviderRateLimited,
	"rate_limit_error":        llm.ProviderRateLimited,
	"too_many_requests":       llm.ProviderRateLimited,
	"resource_exhausted":      llm.ProviderRateLimited,
	"requests":                llm.ProviderRateLimited,
	"tokens":                  llm.ProviderRateLimited,
	"authentication_error":    llm.ProviderAuthFailed,
	"permission_error":        llm.ProviderAuthFailed,
	"permission_denied":       llm.ProviderAuthFailed,
	"unauthenticated":         llm.ProviderAuthFailed,
	"invalid_request_error":   llm.ProviderRejected,
	"invalid_argument":        llm.ProviderRejected,
	"badrequesterror":         llm.ProviderRejected, // vLLM
	"not_found_error":         llm.ProviderRejected,
	"model_not_found":         llm.ProviderRejected,
	"context_length_exceeded": llm.ProviderRejected,
	"overloaded_error":        llm.ProviderOverloaded,
	"engine_overloaded":       llm.ProviderOverloaded,
	"service_unavailable":     llm.ProviderOverloaded,
	"unavailable":             llm.ProviderOverloaded,
	"timeout":                 llm.ProviderTimeout,
	"timeout_error":           llm.ProviderTimeout,
	"deadline_exceeded":       llm.ProviderTimeout,
}

// DecodeError reads a provider's error answer, or the error event of a stream (status
// 0, no header). The kind comes from codes that leave no doubt, then from the status,
// then from other codes, and is ProviderError where nothing is known. RetryAfter comes
// from the header, reckoned from its Date, or from the clock where it has none. Message and
// Code are the provider's, in whatever shape it sent them (OpenAI's, problem details,
// other gateways', HTML, plain text), bounded, valid UTF-8 and without keys. Status is
// the provider's own, or the number that its body gives.
func DecodeError(status int, header http.Header, body []byte) *llm.Error {
	r := readReport(body)
	if status < 300 && r.status >= 400 && r.status < 600 {
		status = r.status
	}
	e := &llm.Error{
		Kind:   errorKind(status, r),
		Status: status,
		Code:   scrub(r.code, maxName),
		Param:  scrub(r.param, maxName),
	}
	if e.Code == "" {
		e.Code = scrub(r.kind, maxName)
	}
	if e.Message = scrub(r.message, maxMessage); e.Message == "" {
		e.Message = "the provider reported an error without saying which"
		if status > 0 {
			e.Message = "the provider answered " + strconv.Itoa(status) + " " + http.StatusText(status)
		}
	}
	e.RetryAfter = retryAfter(e.Kind, header)
	return e
}

// retryAfter reads how long to wait, reckoned from the answer's own Date where it has
// one, so that a clock that differs from the provider's does no harm. When a rate
// limit resets only matters where it was met: OpenAI says it with every answer, and a
// call that failed with 500 need not wait for it.
func retryAfter(kind llm.Kind, header http.Header) time.Duration {
	if len(header) == 0 {
		return 0
	}
	if kind != llm.ProviderRateLimited {
		header = http.Header{
			"Retry-After":    header["Retry-After"],
			"Retry-After-Ms": header["Retry-After-Ms"],
			"Date":           header["Date"],
		}
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return llm.RetryAfter(header, now)
}

func errorKind(status int, r report) llm.Kind {
	words := [...]string{strings.ToLower(r.code), strings.ToLower(r.kind), strings.ToLower(r.inner)}
	for _, word := range words {
		if kind, ok := strongWords[word]; ok {
			return kind
		}
	}
	if kind, ok := statusKinds[status]; ok {
		return kind
	}
	switch {
	case status >= 500:
		return llm.ProviderError
	case status >= 400:
		return llm.ProviderRejected
	case status >= 300:
		return llm.ProviderMalformed // a redirect that nobody follows: the base URL is wrong
	}
	for _, word := range words {
		if kind, ok := weakWords[word]; ok {
			return kind
		}
	}
	return llm.ProviderError
}

// report is what an error body says, whatever its shape.
type report struct {
	message, kind, code, param, inner string
	status                            int
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
	if r.kind == "" { // Gemini's word for the error
		r.kind = n.Get("status").String()
	}
	return r
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
var keyLike = regexp.MustCompile(`(?i:\bbearer\s+)[^\s"',;]+|\b(?:sk|pk|rk|gsk|xai|hf)[-_][A-Za-z0-9_*.\-]{4,}|\b(?:AIza|AKIA|ASIA)[A-Za-z0-9_\-]{12,}`)

// scrub makes a provider's text fit to be passed on: no keys, at most n bytes, valid UTF-8.
func scrub(text string, n int) string {
	if text == "" {
		return ""
	}
	text = scan.Cut(text, 4*maxMessage)
	return scan.Cut(keyLike.ReplaceAllString(text, "***"), n)
}
