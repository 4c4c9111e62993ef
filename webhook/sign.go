package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

const (
	secretPrefix = "whsec_"
	version      = "v1,"

	// The specification's bounds of a secret's length in bytes.
	minSecret, maxSecret = 24, 64

	// DefaultTolerance is how far the clocks of sender and receiver may be apart,
	// together with the way between them, where Verify is told nothing else. It is that
	// of the specification's own libraries.
	DefaultTolerance = 5 * time.Minute
)

var (
	// ErrSignature says that a delivery is not signed with the secret: it comes from
	// somebody else, or it was changed on its way.
	ErrSignature = errors.New("webhook: no signature of this secret")
	// ErrTimestamp says that a delivery is too old or from the future: somebody may be
	// repeating one that he has seen, or a clock is wrong.
	ErrTimestamp = errors.New("webhook: the timestamp is outside the tolerance")
)

// Secret returns the text form of a signing secret, whsec_ and base64, as libraries
// for Standard Webhooks take it.
func Secret(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// ParseSecret reads what Secret returns, with or without whsec_. A secret has 24 to
// 64 bytes. The error does not repeat the text.
func ParseSecret(text string) ([]byte, error) {
	secret, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(text, secretPrefix))
	if err != nil {
		return nil, errors.New("webhook: the secret is not base64")
	}
	if n := len(secret); n < minSecret || n > maxSecret {
		return nil, fmt.Errorf("webhook: the secret has %d bytes, not %d to %d", n, minSecret, maxSecret)
	}
	return secret, nil
}

// Verify checks that a request with this header and body was signed with secret, at
// most tolerance before or after now. A tolerance of zero or less means
// DefaultTolerance. The body has to be the bytes that came, not what was decoded from
// them. A delivery may come more than once; all of them have the same webhook-id.
//
// The error is ErrSignature or ErrTimestamp, or one that names the header that is
// missing or malformed. How long it takes does not depend on the signature.
func Verify(secret []byte, header http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	if len(secret) == 0 {
		return errors.New("webhook: the secret is empty")
	}
	id, stamp, signatures := header.Get(headerID), header.Get(headerTimestamp), header.Get(headerSignature)
	for _, name := range []string{headerID, headerTimestamp, headerSignature} {
		if header.Get(name) == "" {
			return fmt.Errorf("webhook: the header %s is missing", strings.ToLower(name))
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 {
		return errors.New("webhook: the header webhook-timestamp is not a number of seconds")
	}
	if tolerance <= 0 {
		tolerance = DefaultTolerance
	}
	if apart := now.Sub(time.Unix(seconds, 0)).Abs(); apart > tolerance {
		return ErrTimestamp
	}
	want := sum(secret, id, stamp, body)
	for signature := range strings.SplitSeq(signatures, " ") {
		text, ours := strings.CutPrefix(signature, version)
		if !ours {
			continue // of another scheme, such as the asymmetric v1a
		}
		if got, err := base64.StdEncoding.DecodeString(text); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return ErrSignature
}

// sign returns the signature of a delivery as its header has it.
func sign(secret []byte, id, stamp string, body []byte) string {
	return version + base64.StdEncoding.EncodeToString(sum(secret, id, stamp, body))
}

func sum(secret []byte, id, stamp string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(id + "." + stamp + "."))
	h.Write(body)
	return h.Sum(nil)
}
