package exchange

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// Fault is the error for what befell a connection or an answer; the table of package
// failure says what it is.
func Fault(t failure.Transport, message string) *llm.Error {
	v := failure.Classify(failure.Signal{Transport: t})
	return &llm.Error{Kind: v.Kind, NoRetry: v.NoRetry, Message: message}
}

func timeoutError(t failure.Transport, message, limit string, value time.Duration) *llm.Error {
	e := Fault(t, message)
	e.Limit, e.Value = limit, value.String()
	return e
}

func tooLarge(most int64) *llm.Error {
	e := Fault(failure.TooLarge, "the provider's answer is too large")
	e.Limit, e.Value = "max_body_bytes", strconv.FormatInt(most, 10)
	return e
}

// about returns a copy of e that names the target and holds no secret of the call's.
func (x *Exchange) about(e *llm.Error) *llm.Error { return x.line.about(x.model, e, x.secrets) }

// Failed finishes an error about the answer: an end of the call comes before
// whatever it caused.
func (x *Exchange) Failed(err error) *llm.Error {
	if e := x.Ended(); e != nil {
		return e
	}
	return x.about(x.identified(llm.AsError(err)))
}

// Ended says why the call's context has ended: the caller's doing, or ours. Nil
// while it has not.
func (x *Exchange) Ended() *llm.Error {
	ctx := x.request.Context()
	err := ctx.Err()
	if err == nil {
		return nil
	}
	l := x.line
	cause := context.Cause(ctx)
	for _, own := range []*llm.Error{l.noFirstByte, l.idle, l.closed} {
		if cause == error(own) { // by identity: a cause of the caller's is not ours
			return x.about(own)
		}
	}
	e := *llm.AsError(err)
	e.Err = cause
	return x.about(&e)
}

// broken explains why the body of an answer could not be read to its end.
func (x *Exchange) broken(err error) *llm.Error {
	if e := x.Ended(); e != nil {
		return e
	}
	e := Fault(failure.Truncated, "the connection to the provider broke within its answer")
	e.Err = err
	return x.about(e)
}

// Accepted checks the head of the answer, and reads an error answer. An error leaves the
// exchange to be released.
func (x *Exchange) Accepted() *llm.Error {
	status, header := x.response.StatusCode, x.response.Header
	switch {
	case status >= 200 && status < 300:
		if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
			return x.Wrong(failure.Encoded, fmt.Sprintf("the provider's answer is encoded as %.40q, which was not asked for", encoding))
		}
		return nil
	case status < 400:
		e := x.Wrong(failure.Redirect, fmt.Sprintf("the provider answered with status %d, which is not followed", status))
		e.Fix = "Check the provider's " + x.line.cfg.Where + "."
		return e
	}
	// The status says the most: what explains it is waited for a moment, not as an answer is.
	x.timer.Reset(x.line.errorPatience())
	x.timed = true
	body, err := x.ReadAll(maxErrorBody)
	x.timer.Stop()
	if e := x.Ended(); err != nil && e != nil && e.Limit != x.line.idle.Limit {
		return e // the status does not matter to a caller who is gone
	}
	e := x.line.cfg.Decode(status, header, body) // a body that is cut or missing still has its status
	e.Status = status
	return x.about(x.identified(e))
}

// errorPatience bounds the wait for the body of an error answer.
func (l *Line) errorPatience() time.Duration {
	return min(bound(l.cfg.Bounds.Idle), longestError)
}

// identified adds the back end's id of the call to the cause of an error about its
// answer, which goes to the log.
func (x *Exchange) identified(e *llm.Error) *llm.Error {
	name := x.line.cfg.IDHeader
	if name == "" || x.response == nil {
		return e
	}
	id := x.response.Header.Get(name)
	if id == "" || len(id) > longestID || !ValidValue(id) {
		return e
	}
	c := *e
	if name = strings.ToLower(name); c.Err == nil {
		c.Err = fmt.Errorf("%s %s", name, id)
	} else {
		c.Err = fmt.Errorf("%s %s: %w", name, id, c.Err)
	}
	return &c
}

// longestID bounds what is logged of an id: those of AWS have 36 characters.
const longestID = 128

// ValidValue says whether value is printable ASCII, which is all that keys and ids in
// headers need.
func ValidValue(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}

// Wrong is the error for an answer that is of no use, whatever stands in it.
func (x *Exchange) Wrong(t failure.Transport, message string) *llm.Error {
	e := Fault(t, message)
	e.Status = x.response.StatusCode
	return x.about(x.identified(e))
}
