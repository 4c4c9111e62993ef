package jsonbody

import (
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Task is one request on its way into another format. The first fault stays and ends
// the translation; whoever loops looks at it.
type Task struct {
	Body    []byte
	Table   map[string]Member
	Dropped []string
	Err     *llm.Error
}

// Root checks the body strictly and returns it.
func (t *Task) Root() Value {
	c, fault := scan.Strict(t.Body, MaxDepth)
	if fault == nil {
		start := c.At
		if text := c.Value(); !c.Bad {
			return Value{Text: text, At: start, Index: -1}
		}
		fault = scan.Explain(t.Body, MaxDepth)
	}
	t.Err = &llm.Error{
		Kind: llm.CallerInvalidRequest, Message: "the request body " + fault.Message,
		Param: fault.Param, Fix: fault.Fix,
	}
	if fault.Deep {
		t.Err.Limit, t.Err.Value = "json_depth", strconv.Itoa(MaxDepth)
	}
	return Value{}
}

// Refuse says why v cannot be translated, and what the caller can do.
func (t *Task) Refuse(v Value, why, fix string) {
	if t.Err == nil {
		path := v.path()
		t.Err = &llm.Error{Kind: llm.CallerInvalidRequest, Param: path, Message: path + " " + why, Fix: fix}
	}
}

// Mistyped refuses a value of the wrong type, with its position.
func (t *Task) Mistyped(v Value, want string) {
	if t.Err == nil {
		path := v.path()
		f := scan.FaultAt(t.Body, v.At, path+" must be "+want+" and is "+scan.KindName(v.Kind()))
		t.Err = &llm.Error{Kind: llm.CallerInvalidRequest, Param: path, Message: "the request body " + f.Message}
	}
}

// Want says that v is there and of the kind that begins with ch; a value of another kind
// is refused.
func (t *Task) Want(v Value, ch byte) bool {
	if !v.Given() {
		return false
	}
	if v.Kind() != ch {
		t.Mistyped(v, scan.KindName(ch))
		return false
	}
	return true
}

// Drop notes that v does not reach the model.
func (t *Task) Drop(v Value) { t.Dropped = append(t.Dropped, v.path()) }

// Other does with v what its row in the table says. A member without a row is dropped
// and named, unless it says nothing.
func (t *Task) Other(v Value) {
	row := t.Table[v.Pattern()]
	switch {
	case row.Fate == Used || row.silent(v):
	case row.Fate == Refused:
		t.Refuse(v, row.Reason(), row.Fix)
	default:
		t.Drop(v)
	}
}

// Reason is why the member is refused, as the rest of a sentence.
func (row Member) Reason() string {
	return "cannot be translated: " + strings.TrimSuffix(row.Why, ".")
}

// silent says that v asks for nothing, so that nothing is lost without it.
func (row Member) silent(v Value) bool {
	switch {
	case !v.Given():
		return true
	case row.Neutral != "":
		return v.compact() == row.Neutral
	case row.Fate == Refused && v.Kind() == '{':
		return false // {} asks for a search with the defaults
	}
	return v.Empty()
}

// Missing is the fault of a member that must be there.
func Missing(param string) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerInvalidRequest, Param: param,
		Message: "the member " + param + " is missing or empty", Fix: "Send at least one message.",
	}
}

// Number says that v is a number; everything else but an absent value is refused.
func (t *Task) Number(v Value) bool {
	if v.Given() && !v.IsNumber() {
		t.Mistyped(v, "a number")
	}
	return v.IsNumber()
}
