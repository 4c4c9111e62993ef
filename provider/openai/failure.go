package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// shortestKey is the length from which a configured value counts as a secret in
// texts. The shortest keys in use have 16 characters.
const shortestKey = 8

// fault is the error for what befell a connection or an answer; the table of package
// failure says what it is.
func fault(t failure.Transport, message string) *llm.Error {
	v := failure.Classify(failure.Signal{Dialect: dialect.Name, Transport: t})
	return &llm.Error{Kind: v.Kind, NoRetry: v.NoRetry, Message: message}
}

func timeoutError(t failure.Transport, message, limit string, value time.Duration) *llm.Error {
	e := fault(t, message)
	e.Limit, e.Value = limit, value.String()
	return e
}

func tooLarge(most int64) *llm.Error {
	e := fault(failure.TooLarge, "the provider's answer is too large")
	e.Limit, e.Value = "max_body_bytes", strconv.FormatInt(most, 10)
	return e
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

// broken explains why the body of an answer could not be read to its end.
func (x *exchange) broken(err error) *llm.Error {
	if e := x.ended(); e != nil {
		return e
	}
	e := fault(failure.Truncated, "the connection to the provider broke within its answer")
	e.Err = err
	return x.provider.about(x.model, e)
}

// accepted checks the head of the answer. An error leaves the exchange to be released.
func (x *exchange) accepted() *llm.Error {
	status, header := x.response.StatusCode, x.response.Header
	switch {
	case status >= 200 && status < 300:
		if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
			return x.wrong(failure.Encoded, fmt.Sprintf("the provider's answer is encoded as %.40q, which was not asked for", encoding))
		}
		return nil
	case status < 400:
		e := x.wrong(failure.Redirect, fmt.Sprintf("the provider answered with status %d, which is not followed", status))
		e.Fix = "Check the provider's base_url."
		return e
	}
	// The status says the most: what explains it is waited for a moment, not as an answer is.
	x.timer.Reset(x.provider.errorPatience())
	x.timed = true
	body, err := x.readAll(maxErrorBody)
	x.timer.Stop()
	if e := x.ended(); err != nil && e != nil && e.Limit != x.provider.idle.Limit {
		return e // the status does not matter to a caller who is gone
	}
	return x.provider.about(x.model, errorOf(status, header, body))
}

// errorPatience bounds the wait for the body of an error answer.
func (p *Provider) errorPatience() time.Duration {
	return min(bound(p.cfg.IdleTimeout), longestError)
}

// errorOf reads an error answer. A body that is cut or missing still has its status.
func errorOf(status int, header http.Header, body []byte) *llm.Error {
	e := dialect.DecodeError(status, header, body)
	e.Status = status
	return e
}

// wrong is the error for an answer that is of no use, whatever stands in it.
func (x *exchange) wrong(t failure.Transport, message string) *llm.Error {
	e := fault(t, message)
	e.Status = x.response.StatusCode
	return x.provider.about(x.model, e)
}
