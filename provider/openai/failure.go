package openai

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// shortestKey is the length from which a configured value counts as a secret in
// texts. The shortest keys in use have 16 characters.
const shortestKey = 8

func timeoutError(message, limit string, value time.Duration) *llm.Error {
	return &llm.Error{Kind: llm.ProviderTimeout, Message: message, Limit: limit, Value: value.String()}
}

func tooLarge(most int64) *llm.Error {
	return &llm.Error{
		Kind: llm.ProviderMalformed, Message: "the provider's answer is too large",
		Limit: "max_body_bytes", Value: strconv.FormatInt(most, 10),
	}
}

// about returns a copy of e that names the target and holds no secret of ours.
// It is a copy because e may be shared, and because callers add to their errors.
func (p *Provider) about(model string, e *llm.Error) *llm.Error {
	c := *e
	c.Provider, c.Model = p.cfg.Name, model
	for _, secret := range p.secrets {
		for _, text := range []*string{&c.Message, &c.Code, &c.Param, &c.Fix} {
			*text = strings.ReplaceAll(*text, secret, "***")
		}
		if c.Err != nil && strings.Contains(c.Err.Error(), secret) {
			c.Err = errors.New(strings.ReplaceAll(c.Err.Error(), secret, "***"))
		}
	}
	return &c
}

// failed finishes an error about the answer: an end of the call comes before
// whatever it caused.
func (x *exchange) failed(err error) *llm.Error {
	if e := x.ended(); e != nil {
		return e
	}
	return x.provider.about(x.model, llm.AsError(err))
}

// ended says why the call's context has ended: the caller's doing, or ours. Nil
// while it has not.
func (x *exchange) ended() *llm.Error {
	ctx := x.request.Context()
	err := ctx.Err()
	if err == nil {
		return nil
	}
	p := x.provider
	cause := context.Cause(ctx)
	for _, own := range []*llm.Error{p.noFirstByte, p.idle, p.closed} {
		if cause == error(own) { // by identity: a cause of the caller's is not ours
			return p.about(x.model, own)
		}
	}
	e := *llm.AsError(err)
	e.Err = cause
	return p.about(x.model, &e)
}

// unanswered explains why there is no head.
func (x *exchange) unanswered(err error) *llm.Error {
	if e := x.ended(); e != nil {
		return e
	}
	e := connectionError(err)
	if e.Limit == "connect_timeout" {
		e.Value = x.provider.cfg.ConnectTimeout.String()
	}
	e.Err = err
	return x.provider.about(x.model, e)
}

// connectionError names the usual reasons. All are one kind: nothing has come
// back, so that another attempt is safe and the target is at fault.
func connectionError(err error) *llm.Error {
	e := &llm.Error{Kind: llm.ProviderConnectionFailed}
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &dns):
		e.Message = "the provider's host name could not be resolved"
	case errors.As(err, &certificate):
		e.Message = "the provider's certificate is not trusted"
	case errors.As(err, &record):
		e.Message, e.Fix = "the provider does not speak TLS", "Check the scheme of its base_url."
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Message = "the provider refused the connection"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		e.Message, e.Limit = "the provider could not be connected to in time", "connect_timeout"
	case errors.As(err, &op) && op.Op == "dial":
		e.Message = "the provider could not be connected to"
	default:
		e.Message = "the connection to the provider broke before its answer began"
	}
	return e
}

// broken explains why the body of an answer could not be read to its end.
func (x *exchange) broken(err error) *llm.Error {
	if e := x.ended(); e != nil {
		return e
	}
	return x.provider.about(x.model, &llm.Error{
		Kind: llm.ProviderTruncated, Message: "the connection to the provider broke within its answer", Err: err,
	})
}

// accepted checks the head of the answer. An error leaves the exchange to be released.
func (x *exchange) accepted() *llm.Error {
	status, header := x.response.StatusCode, x.response.Header
	switch {
	case status >= 200 && status < 300:
		if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
			return x.malformed(fmt.Sprintf("the provider's answer is encoded as %.40q, which was not asked for", encoding))
		}
		return nil
	case status < 400:
		e := x.malformed(fmt.Sprintf("the provider answered with status %d, which is not followed", status))
		e.Fix = "Check the provider's base_url."
		return e
	}
	body, err := x.readAll(maxErrorBody)
	if e := x.ended(); err != nil && e != nil {
		return e // the status does not matter to a caller who is gone
	}
	return x.provider.about(x.model, errorOf(status, header, body))
}

// errorOf reads an error answer. A body that is cut or missing still has its status.
func errorOf(status int, header http.Header, body []byte) *llm.Error {
	e := dialect.DecodeError(status, header, body)
	e.Status = status
	return e
}

func (x *exchange) malformed(message string) *llm.Error {
	return x.provider.about(x.model, &llm.Error{
		Kind: llm.ProviderMalformed, Message: message, Status: x.response.StatusCode,
	})
}
