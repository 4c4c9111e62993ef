// Package form reads what callers write into headers, queries and bodies, strictly:
// what is not known is refused with the name that was probably meant, what is there
// twice is refused, and every refusal names the place, its bound and what to do.
//
// It holds what several routes of the gateway share, and the forms of jobs. It reads
// text and knows no connection, no key and no client; nothing in it waits or is kept.
package form

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// Refuse makes the refusal of what stands under a name: Member, Header or Param.
type Refuse func(name, fault, fix string) *llm.Error

// Member refuses a member of a body. An empty name stands for the body: then fault is
// the whole message.
func Member(name, fault, fix string) *llm.Error {
	if name != "" {
		fault = "the member " + name + " " + fault
	}
	return &llm.Error{Kind: llm.CallerInvalidRequest, Message: fault, Param: name, Fix: fix}
}

// Header refuses a header.
func Header(name, fault, fix string) *llm.Error {
	name = strings.ToLower(name)
	return &llm.Error{Kind: llm.CallerInvalidRequest, Message: fmt.Sprintf("the header %.64s %s", name, fault), Param: name, Fix: fix}
}

// Param refuses a parameter of a query.
func Param(name, fault, fix string) *llm.Error {
	return &llm.Error{Kind: llm.CallerInvalidRequest, Message: "the parameter " + name + " " + fault, Param: name, Fix: fix}
}

// Bound adds to e the bound that was met, under the name of what met it.
func Bound(e *llm.Error, value string) *llm.Error {
	e.Limit, e.Value = e.Param, value
	return e
}

// OneOf is what to do where only these words are understood.
func OneOf(names ...string) string { return "Send one of " + strings.Join(names, ", ") + "." }

// Printable is s for an error message: at most limit bytes, and ASCII that prints.
func Printable(s string, limit int) string {
	b := []byte(s[:min(len(s), limit)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	if len(s) > limit {
		return string(b) + "..."
	}
	return string(b)
}

// Unmarshal reads a body into a struct: one object of known members, each at most once.
func Unmarshal(body []byte, into any) error {
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	e := &llm.Error{
		Kind: llm.CallerInvalidRequest, Message: "the body is not JSON of the right form",
		Fix: "Send one JSON object; GET / lists the routes, and the reference their members.",
	}
	var fault *json.SemanticError
	var text *jsontext.SyntacticError
	switch {
	case errors.As(err, &fault) && errors.Is(err, json.ErrUnknownName):
		e.Param = Printable(string(fault.JSONPointer), 100)
		e.Message = "the member " + e.Param + " is not known" + near.DidYouMean(strings.TrimPrefix(e.Param, "/"), members(into))
	case errors.As(err, &fault):
		e.Param = Printable(string(fault.JSONPointer), 100)
		e.Message = "the member " + e.Param + " has the wrong type"
	case errors.As(err, &text):
		e.Message = fmt.Sprintf("the body is not JSON at byte %d", text.ByteOffset)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			e.Param = Printable(string(text.JSONPointer), 100)
			e.Message = "the member " + e.Param + " is there more than once"
		}
	}
	return e
}

// members lists the members that a struct has in JSON.
func members(pointer any) []string {
	var names []string
	t := reflect.TypeOf(pointer).Elem()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
