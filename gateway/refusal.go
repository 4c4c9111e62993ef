package gateway

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/gateway/head"
	"github.com/forebay-ai/forebay/gateway/wire"
	"github.com/forebay-ai/forebay/llm"
)

// WrapListener returns l with connections that cut clients which stop reading, and
// that answer in JSON where net/http would write plain text by itself. A TLS
// listener belongs around the result, not inside it.
func (g *Gateway) WrapListener(l net.Listener) *wire.Listener {
	return wire.Listen(l, wire.Config{WriteTimeout: g.cfg.WriteTimeout, Refusal: g.translate})
}

// translate makes our answer to what net/http refused.
func (g *Gateway) translate(status int, reason string) []byte {
	out := &plainWriter{header: http.Header{}}
	x := &visit{gateway: g, w: out, r: new(http.Request), start: time.Now(), style: openAI}
	x.id, x.trace = head.NewID(), head.TraceParent("")
	x.fail(g.refusalError(status, reason))
	x.status = status // net/http's is finer than that of the kind
	x.record()

	out.header.Set("Connection", "close")
	out.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	_ = out.header.Write(&b) // a buffer does not fail
	b.WriteString("\r\n")
	b.Write(out.body)
	return b.Bytes()
}

// plainWriter keeps an answer for translate.
type plainWriter struct {
	header http.Header
	body   []byte
}

func (w *plainWriter) Header() http.Header { return w.header }
func (w *plainWriter) WriteHeader(int)     {}
func (w *plainWriter) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

// refusalError is the error behind a refusal of net/http's.
func (g *Gateway) refusalError(status int, reason string) *llm.Error {
	e := &llm.Error{Kind: llm.CallerInvalidRequest, Fix: "Send well-formed HTTP/1.1."}
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		e.Kind, e.Message = llm.CallerTooLarge, "request line and headers are over the limit"
		e.Limit, e.Value = "gateway.max_header", strconv.Itoa(g.cfg.MaxHeader)+" bytes"
		e.Fix = "Send fewer or shorter headers; prompts belong into the body."
	case http.StatusNotImplemented:
		e.Message, e.Fix = "the transfer coding is not supported", "Send the body with content-length, or chunked."
	case http.StatusExpectationFailed:
		e.Message, e.Fix = "the expectation is not supported", "Send expect: 100-continue, or no expect header."
	case http.StatusHTTPVersionNotSupported:
		e.Message = "the protocol version is not supported"
	default:
		e.Message = "the request is malformed"
		if _, detail, found := strings.Cut(reason, ": "); found {
			e.Message += ": " + form.Printable(detail, 100)
		}
	}
	return e
}
