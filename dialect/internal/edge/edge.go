// Package edge is what all dialects say of the bodies that they read: how strict they are
// with those of callers, and what it means that a provider's, or a stored one, ends or
// cannot be read. The reading itself is package scan's.
package edge

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// MaxDepth is how deep objects and arrays of a request may be nested. Requests of
// the recorded SDKs are at most 12 deep (JSON schemas of tools are the deepest part).
const MaxDepth = 64

// Strict checks that text is one well-formed JSON object: no duplicate names, valid
// UTF-8, paired surrogates, nothing behind it. The cursor that it returns stands at the
// object's start; it is Bad after a walk over more than MaxDepth levels, and Explain says
// so. The error is an *llm.Error.
func Strict(text []byte) (scan.Cursor, error) {
	c, fault := scan.Strict(text, MaxDepth)
	if fault != nil {
		return c, Refusal(fault)
	}
	return c, nil
}

// Explain says what is wrong with a text that is no strict JSON object.
func Explain(text []byte) *llm.Error { return Refusal(scan.Explain(text, MaxDepth)) }

// Refusal is a fault of a request's body as the caller is told of it.
func Refusal(f *scan.Fault) *llm.Error {
	e := &llm.Error{
		Kind: llm.CallerInvalidRequest, Message: "the request body " + f.Message,
		Param: f.Param, Fix: f.Fix,
	}
	if f.Deep {
		e.Limit, e.Value = "json_depth", strconv.Itoa(MaxDepth)
	}
	return e
}

// Unreadable is the error of a stored answer that is not what was stored.
func Unreadable(form string) *llm.Error {
	return llm.Errorf(llm.ForebayInternal, "the stored %s of an answer cannot be read", form)
}

// EndError says what the end of a provider's stream means whose own end mark was not seen.
func EndError(ended error) error {
	var e *llm.Error
	switch {
	case errors.As(ended, &e), errors.Is(ended, context.Canceled), errors.Is(ended, context.DeadlineExceeded):
		return llm.AsError(ended)
	case errors.Is(ended, io.EOF):
		return llm.Errorf(llm.ProviderTruncated, "the provider's stream ended before its end mark")
	}
	e = llm.Errorf(llm.ProviderTruncated, "the provider's stream broke before its end mark")
	e.Err = ended
	return e
}

// Reader reads members of the expected types. The first fault stays in Err and ends the
// walk. It is for one goroutine.
type Reader struct {
	scan.Cursor
	Err *llm.Error
}

// NewReader reads a request's body, which has to be strict.
func NewReader(text []byte) (Reader, error) {
	c, err := Strict(text)
	return Reader{Cursor: c}, err
}

// Refuse keeps the fault of the value that begins here.
func (r *Reader) Refuse(param, want string) {
	got := r.Peek()
	if r.Err == nil && !r.Bad {
		e := Refusal(scan.FaultAt(r.Text, r.At, param+" must be "+want+" and is "+scan.KindName(got)))
		e.Param = param
		r.Err = e
	}
	r.Fail()
}

// List returns the size of an array in bytes, 0 for an empty one.
func (r *Reader) List(param string) int {
	switch r.Peek() {
	case '[':
		start := r.At
		if r.Filled() {
			return r.At - start
		}
	case 'n':
		r.Null()
	default:
		r.Refuse(param, "an array")
	}
	return 0
}
