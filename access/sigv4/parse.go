package sigv4

import (
	"encoding/hex"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"

	headerDate       = "X-Amz-Date"
	headerContent    = "X-Amz-Content-Sha256"
	headerInvocation = "Amz-Sdk-Invocation-Id"
	headerAttempt    = "Amz-Sdk-Request"
)

// The bounds of what is read. SDKs sign about ten headers; access key ids of AWS have
// 20 characters, and AWS's own bound is 128.
const (
	maxAuthorization = 8 << 10 // bytes
	maxSignedHeaders = 100
	maxPart          = 128 // bytes of an id, a region or a service
)

// Signature is what a request's Authorization header says, read and checked for its
// form. It does not say that the signature is right: that is for Verify.
type Signature struct {
	// AccessKeyID names the secret that the request is said to be signed with.
	AccessKeyID string
	// Date is when it was signed, to the second, as X-Amz-Date says.
	Date time.Time
	// Region and Service are the rest of the scope that the signature is for.
	Region, Service string
	// SignedHeaders are the names of the headers that it covers, in lower case and
	// sorted. Either host or :authority is among them, and x-amz-date.
	SignedHeaders []string

	value   [32]byte
	attempt attempt
}

// attempt is what an SDK says of the one try that a request is.
type attempt struct {
	ids    string // empty where the request has none
	signed bool   // they are covered by the signature
}

// Signed says whether a request brings a signature in its Authorization header or in
// its query, good or bad: anything that Parse has to judge.
func Signed(r *http.Request) bool {
	for _, a := range r.Header["Authorization"] {
		if len(a) >= 4 && strings.EqualFold(a[:4], "AWS4") {
			return true
		}
	}
	return presigned(r)
}

// presigned says that a request is signed in its query.
func presigned(r *http.Request) bool {
	query := strings.ToLower(r.URL.RawQuery)
	return strings.Contains(query, "x-amz-signature=") || strings.Contains(query, "x-amz-credential=")
}

// Parse reads the signature of a request. The error says what is wrong with its form:
// parts that are missing, twice or malformed, a header that has to be signed and is
// not, or a way of signing that is not taken.
func Parse(r *http.Request) (Signature, error) {
	var s Signature
	if presigned(r) {
		return s, incomplete("the request is signed in its query, which is not taken here", "Sign in the Authorization header, as the SDKs do.")
	}
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return s, incomplete("the request needs one Authorization header", "Send one.")
	}
	if err := s.authorization(values[0]); err != nil {
		return s, err
	}
	if err := s.date(r.Header); err != nil {
		return s, err
	}
	if err := s.covers(r.Header); err != nil {
		return s, err
	}
	if _, err := claimed(r.Header); err != nil {
		return s, err
	}
	s.attempt.ids = strings.Join(r.Header[headerInvocation], ",") + "\n" + strings.Join(r.Header[headerAttempt], ",")
	if s.attempt.ids == "\n" {
		s.attempt.ids = ""
	}
	s.attempt.signed = s.has("amz-sdk-invocation-id")
	return s, nil
}

// authorization reads the header's three parts.
func (s *Signature) authorization(value string) error {
	const fix = "Send Authorization: " + algorithm + " Credential=ID/DATE/REGION/SERVICE/" + terminator + ", SignedHeaders=..., Signature=..."
	if len(value) > maxAuthorization {
		return incomplete("the Authorization header is too long", fix)
	}
	scheme, rest, _ := strings.Cut(value, " ")
	if scheme != algorithm {
		return incomplete("the signing algorithm is not taken here", "Sign with "+algorithm+" (Signature Version 4; not 4A).")
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, v, ok := strings.Cut(strings.Trim(part, " "), "=")
		if _, twice := parts[name]; !ok || twice || name != "Credential" && name != "SignedHeaders" && name != "Signature" {
			return incomplete("the Authorization header has a part that is malformed, unknown or there twice", fix)
		}
		parts[name] = v
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if parts[name] == "" {
			return incomplete("the Authorization header has no "+name, fix)
		}
	}
	if err := s.credential(parts["Credential"]); err != nil {
		return err
	}
	raw, err := hex.DecodeString(parts["Signature"])
	if err != nil || len(raw) != len(s.value) || strings.ToLower(parts["Signature"]) != parts["Signature"] {
		return incomplete("the Signature is not 64 hexadecimal digits in lower case", fix)
	}
	copy(s.value[:], raw)
	return s.headers(parts["SignedHeaders"])
}

// credential reads ID/DATE/REGION/SERVICE/aws4_request; the date is compared later.
func (s *Signature) credential(value string) error {
	parts := strings.Split(value, "/")
	if len(parts) != 5 || parts[4] != terminator {
		return incomplete("the Credential is not ID/DATE/REGION/SERVICE/"+terminator, "Let an SDK sign, or write it so.")
	}
	for _, p := range parts {
		if !plain(p) {
			return incomplete("the Credential has an empty, long or unprintable part", "Let an SDK sign, or write ID/DATE/REGION/SERVICE/"+terminator+".")
		}
	}
	day, err := time.Parse("20060102", parts[1])
	if err != nil {
		return incomplete("the Credential's date is not YYYYMMDD", "Let an SDK sign, or write the day of X-Amz-Date.")
	}
	s.AccessKeyID, s.Date, s.Region, s.Service = parts[0], day, parts[2], parts[3]
	return nil
}

// plain says that a part of a credential is 1 to 128 visible ASCII characters.
func plain(p string) bool {
	return p != "" && len(p) <= maxPart && !strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c > '~' })
}

// headers reads the list of signed headers. It has to be sorted and without
// repetitions: then a set of headers has one spelling.
func (s *Signature) headers(list string) error {
	names := strings.Split(list, ";")
	for i, name := range names {
		if name == "" || name != strings.ToLower(name) || i > 0 && names[i-1] >= name || i >= maxSignedHeaders {
			return incomplete("SignedHeaders is not a sorted list of at most 100 names in lower case, each once", "Let an SDK sign, or list them so, with ; between them.")
		}
	}
	s.SignedHeaders = names
	if !s.has("host") && !s.has(":authority") {
		return incomplete("neither host nor :authority is among SignedHeaders", "Sign the host header.")
	}
	return nil
}

func (s *Signature) has(name string) bool {
	_, found := slices.BinarySearch(s.SignedHeaders, name)
	return found
}

// date reads X-Amz-Date, whose day has to be the scope's.
func (s *Signature) date(h http.Header) error {
	const fix = "Send and sign one X-Amz-Date in the form 20060102T150405Z."
	values := h[headerDate]
	if len(values) != 1 {
		return incomplete("the request needs one X-Amz-Date header", fix)
	}
	at, err := time.Parse(timeFormat, values[0])
	if err != nil {
		return incomplete("X-Amz-Date is not in its form", fix)
	}
	if y, m, d := at.Date(); !s.Date.Equal(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) {
		return invalid("the Credential's date is not the day of X-Amz-Date", fix)
	}
	s.Date = at
	return nil
}

// addedByProxies is what AWS's own proxies put into requests that others have signed.
const addedByProxies = "X-Amz-Cf-Id"

// covers refuses headers for AWS that are not signed.
func (s *Signature) covers(h http.Header) error {
	if name := s.Unsigned(h, "X-Amz-"); name != "" {
		return incomplete("the header "+strings.ToLower(name)+" is there and is not signed", "Sign every x-amz- header that the request has.")
	}
	return nil
}

// Unsigned returns a header of h whose name begins with prefix, in its canonical form,
// and that the signature does not cover; the empty string for none.
func (s *Signature) Unsigned(h http.Header, prefix string) string {
	first := ""
	for name := range h {
		if strings.HasPrefix(name, prefix) && name != addedByProxies && !s.has(strings.ToLower(name)) && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// claimed is what X-Amz-Content-Sha256 says of the body; empty where it is absent.
func claimed(h http.Header) (string, error) {
	values := h[headerContent]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", incomplete("the header x-amz-content-sha256 is there more than once", "Send it once.")
	case strings.HasPrefix(values[0], "STREAMING-"):
		return "", incomplete("bodies that are signed chunk by chunk are not taken here", "Sign the whole body.")
	case values[0] == "UNSIGNED-PAYLOAD":
		return "", incomplete("the body is not signed (UNSIGNED-PAYLOAD)", "Sign the body: anybody on the way could change it.")
	}
	raw, err := hex.DecodeString(values[0])
	if err != nil || len(raw) != 32 || strings.ToLower(values[0]) != values[0] {
		return "", incomplete("x-amz-content-sha256 is not 64 hexadecimal digits in lower case", "Send the SHA-256 of the body.")
	}
	return values[0], nil
}

// Claimed returns what the request says of its body's SHA-256, which the signature
// covers: 64 hexadecimal digits, or empty where it says nothing. Verify may be given it
// before the body is read, if the body is compared with it afterwards.
func (s *Signature) Claimed(r *http.Request) string {
	hash, _ := claimed(r.Header) // Parse has refused what is malformed
	return hash
}

// canonicalName is a header's key in http.Header.
func canonicalName(lower string) string { return textproto.CanonicalMIMEHeaderKey(lower) }

// The types that AWS has for refused signatures.
const (
	typeIncomplete = "IncompleteSignatureException"
	typeInvalid    = "InvalidSignatureException"
)

func incomplete(message, fix string) *llm.Error {
	return &llm.Error{Kind: llm.CallerUnauthenticated, Code: typeIncomplete, Message: message, Fix: fix, Param: "authorization"}
}

func invalid(message, fix string) *llm.Error {
	return &llm.Error{Kind: llm.CallerUnauthenticated, Code: typeInvalid, Message: message, Fix: fix, Param: "authorization"}
}
