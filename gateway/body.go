package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// firstPiece is how much room a body gets before any of it has come. More is
// given as it arrives, so that a header that announces 10 MiB costs nothing.
const firstPiece = 64 << 10

// readJSON checks that the request brings JSON, or what is of a type in also, and reads
// it. The bytes are the caller's to keep: they are not used again.
func (x *visit) readJSON(also ...string) ([]byte, error) {
	if err := jsonMedia(x.r.Header, also); err != nil {
		return nil, err
	}
	body, err := x.readBody()
	if err == nil && len(body) == 0 {
		return nil, &llm.Error{Kind: llm.CallerInvalidRequest, Message: "the request has no body", Fix: "Send a JSON object."}
	}
	return body, err
}

// jsonMedia refuses bodies that are declared as anything but plain JSON. A body
// without a type is taken for JSON, as curl users expect of an API that has but one.
func jsonMedia(h http.Header, also []string) error {
	for _, encoding := range h["Content-Encoding"] {
		if !strings.EqualFold(encoding, "identity") && encoding != "" {
			return unsupported("content-encoding", encoding, "Send the body uncompressed.")
		}
	}
	types := h["Content-Type"]
	if len(types) == 0 || len(types) == 1 && (types[0] == jsonType || slices.Contains(also, types[0])) {
		return nil
	}
	media, params, _ := strings.Cut(types[0], ";")
	charset, given := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "charset=")
	if len(types) > 1 || !strings.EqualFold(strings.TrimSpace(media), jsonType) ||
		given && strings.Trim(charset, `"`) != "utf-8" {
		return unsupported("content-type", types[0], "Send application/json in UTF-8.")
	}
	return nil
}

func unsupported(name, value, fix string) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerUnsupportedMedia, Param: name, Fix: fix,
		Message: fmt.Sprintf("%s %.64q is not accepted", name, value),
	}
}

// readBody reads the body within the bounds of size and of time.
func (x *visit) readBody() ([]byte, error) {
	if x.bodyRead {
		return x.body, nil
	}
	limit := x.gateway.cfg.MaxBody
	length := x.r.ContentLength
	switch {
	case length == 0:
		return nil, nil
	case length > limit:
		return nil, x.tooLarge(strconv.FormatInt(length, 10) + " bytes")
	case length < 0 || length > firstPiece:
		return x.readGrowing(limit)
	}
	body := make([]byte, length)
	for n := 0; n < len(body); {
		m, err := x.readPiece(body[n:], int64(n))
		n += m
		if n < len(body) && err != nil {
			return nil, err
		}
	}
	return body, nil
}

// readGrowing reads a body that is large or whose length is not known.
func (x *visit) readGrowing(limit int64) ([]byte, error) {
	body := make([]byte, 0, firstPiece)
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := x.readPiece(body[len(body):cap(body)], int64(len(body)))
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return nil, x.tooLarge("more")
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		}
	}
}

// readPiece is one read of the body, of which so much has come already. Once
// BodyTimeout is over, the deadline moves with what has come.
func (x *visit) readPiece(p []byte, came int64) (int, error) {
	if came > 0 {
		earned := time.Duration(float64(came) / float64(x.gateway.cfg.BodyRate) * float64(time.Second))
		x.readUntil(x.start.Add(x.gateway.cfg.BodyTimeout + earned))
	}
	n, err := x.r.Body.Read(p)
	switch {
	case err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, &llm.Error{
			Kind: llm.CallerTooSlow, Message: "the body did not arrive in time",
			Limit: "gateway.body_timeout", Value: fmt.Sprintf("%s, then %d bytes/s", x.gateway.cfg.BodyTimeout, x.gateway.cfg.BodyRate),
			Fix: "Send the body faster, or have the limit raised.",
		}
	case x.r.Context().Err() != nil:
		return n, llm.AsError(x.r.Context().Err())
	}
	return n, &llm.Error{
		Kind: llm.CallerInvalidRequest, Message: "the body could not be read: it is cut short or badly framed",
		Fix: "Send the body whole, with its length in content-length or in well-formed chunks.", Err: err,
	}
}

// readUntil bounds reading of the body. net/http lifts the bound itself at the
// body's end. Writers without deadlines, as in tests, have none.
func (x *visit) readUntil(deadline time.Time) {
	if d, ok := x.w.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = d.SetReadDeadline(deadline)
	}
}

// lingerFor is how long the rest of a refused body is waited for.
const lingerFor = 2 * time.Second

// linger reads what is left of the body of a request that was refused over HTTP/2, within
// bounds. net/http ends such a stream with RST_STREAM right behind the answer, as RFC 9113
// allows, but curl (7.88) drops the answer with it: callers would not see why they were
// refused. Who waits for 100 Continue has the end of his answer 2 s later for it: net/http
// does not tell who does.
func (x *visit) linger() {
	if x.r.ProtoMajor < 2 || x.cut || x.r.ContentLength == 0 {
		return
	}
	x.flush()
	x.readUntil(time.Now().Add(lingerFor))
	_, _ = io.CopyN(io.Discard, x.r.Body, 2*x.gateway.cfg.MaxBody) // what fails is over
}

func (x *visit) tooLarge(came string) *llm.Error {
	limit := strconv.FormatInt(x.gateway.cfg.MaxBody, 10) + " bytes"
	return &llm.Error{
		Kind: llm.CallerTooLarge, Message: "the body has " + came + ", over the limit",
		Limit: "gateway.max_body", Value: limit, Fix: "Send a smaller body, or have the limit raised.",
	}
}
