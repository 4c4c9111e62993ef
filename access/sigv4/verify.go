package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// MaxSkew is how far a request's time of signing may be from the verifier's clock,
// before and after: AWS's own bound.
const MaxSkew = 5 * time.Minute

// Verify says whether r was signed with secret. payloadHash is the SHA-256 of the body
// in hexadecimal digits (PayloadHash), now the verifier's clock. The error is an
// *llm.Error whose Code is InvalidSignatureException: the time of signing is too far
// from now (Limit and Value name the bound), a signed header is missing, or the
// signature is not that of this request and this secret; which of the last it is cannot
// be known. Comparison takes the same time for every wrong signature.
//
// The path is taken as it came, and signed in either way that signers have: encoded
// once more, as the SDKs do for all services but S3, or as it is. That both are taken
// is safe for those who refuse a path with a percent sign left after decoding.
func (s *Signature) Verify(secret llm.Secret, r *http.Request, payloadHash string, now time.Time) error {
	if err := s.Current(now); err != nil {
		return err
	}
	if hash := s.Claimed(r); hash != "" && hash != payloadHash {
		return invalid("the body is not the one that x-amz-content-sha256 tells of", "Send the body that was signed.")
	}
	headers, err := s.canonicalHeaders(r)
	if err != nil {
		return err
	}
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	sent := r.URL.EscapedPath()
	if sent == "" {
		sent = "/"
	}
	key := s.signingKey(secret)
	right := false
	for _, path := range [...]string{encode(sent, true), sent} {
		request := strings.Join([]string{r.Method, path, query, headers, strings.Join(s.SignedHeaders, ";"), payloadHash}, "\n")
		if hmac.Equal(mac(key, s.stringToSign(request)), s.value[:]) {
			right = true
		}
	}
	if !right {
		return invalid("the signature is not that of this request and of the key's secret",
			"Check the secret access key, and that nothing on the way changes method, path, signed headers or body.")
	}
	return nil
}

// Current refuses a signature that is too old or too far in the future, as Verify does.
// The words are AWS's, because clients look for them.
func (s *Signature) Current(now time.Time) error {
	now = now.UTC()
	signed, here := s.Date.Format(timeFormat), now.Format(timeFormat)
	e := invalid("", "Set the client's clock by a time server; the Date header of this answer says what time it is here.")
	e.Limit, e.Value = "clock_skew", MaxSkew.String()
	switch {
	case s.Date.Before(now.Add(-MaxSkew)):
		e.Message = "Signature expired: " + signed + " is now earlier than " + now.Add(-MaxSkew).Format(timeFormat) + " (" + here + " - 5 min.)"
	case s.Date.After(now.Add(MaxSkew)):
		e.Message = "Signature not yet current: " + signed + " is still later than " + now.Add(MaxSkew).Format(timeFormat) + " (" + here + " + 5 min.)"
	default:
		return nil
	}
	return e
}

// PayloadHash is the SHA-256 of a body in hexadecimal digits.
func PayloadHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// stringToSign is what the signature is computed from.
func (s *Signature) stringToSign(canonicalRequest string) string {
	return strings.Join([]string{algorithm, s.Date.Format(timeFormat), s.scope(), PayloadHash([]byte(canonicalRequest))}, "\n")
}

func (s *Signature) scope() string {
	return strings.Join([]string{s.Date.Format("20060102"), s.Region, s.Service, terminator}, "/")
}

// signingKey derives the key for the scope.
func (s *Signature) signingKey(secret llm.Secret) []byte {
	key := mac([]byte("AWS4"+secret.Reveal()), s.Date.Format("20060102"))
	for _, part := range [...]string{s.Region, s.Service, terminator} {
		key = mac(key, part)
	}
	return key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalHeaders is the signed headers, a line each, with an empty line behind them.
func (s *Signature) canonicalHeaders(r *http.Request) (string, error) {
	var b strings.Builder
	for _, name := range s.SignedHeaders {
		values := headerValues(r, name)
		if len(values) == 0 {
			return "", invalid("the header "+strconv.Quote(name)+" was signed and is not in the request", "Keep signed headers as they are on the way.")
		}
		b.WriteString(name)
		b.WriteByte(':')
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(squeeze(v))
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// headerValues are a header's values. The host is not among the headers of net/http; it
// is the same thing as HTTP/2's :authority.
func headerValues(r *http.Request, name string) []string {
	switch name {
	case "host", ":authority":
		return []string{r.Host}
	case "content-length":
		if r.ContentLength < 0 {
			return nil
		}
		return []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	return r.Header[canonicalName(name)]
}

// squeeze removes outer white space, and of inner spaces that follow one another all
// but one.
func squeeze(v string) string {
	v = strings.TrimSpace(v)
	for strings.Contains(v, "  ") {
		v = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
	}
	return v
}

// canonicalQuery is the query with its parameters encoded in one way, and sorted by
// that.
func canonicalQuery(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	var all [][2]string
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return "", invalid("the query is malformed", "Encode it by RFC 3986.")
		}
		all = append(all, [2]string{encode(name, false), encode(value, false)})
	}
	slices.SortFunc(all, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	var b strings.Builder
	for i, p := range all {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + p[1])
	}
	return b.String(), nil
}

// encode is s with all but RFC 3986's unreserved characters percent-encoded, and but
// slashes where those are kept.
func encode(s string, slashes bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' || slashes && c == '/' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[c>>4])
		b.WriteByte("0123456789ABCDEF"[c&15])
	}
	return b.String()
}
