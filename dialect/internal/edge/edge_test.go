package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/llm"
)

// nested is a body that is deep levels deep.
func nested(deep int) []byte {
	return []byte(`{"a":` + strings.Repeat("[", deep-1) + strings.Repeat("]", deep-1) + `}`)
}

func TestStrict(t *testing.T) {
	if c, err := edge.Strict(nested(edge.MaxDepth)); err != nil || !c.Open('{') || string(c.Name()) != "a" {
		t.Errorf("a body of the greatest depth: %v", err)
	} else if c.Value(); c.Bad {
		t.Error("a body of the greatest depth is too deep")
	}
	deep := nested(edge.MaxDepth + 1)
	c, err := edge.Strict(deep)
	if c.Value(); err != nil || !c.Bad {
		t.Errorf("a body that is too deep is walked over: %v", err)
	}
	if e := edge.Explain(deep); e.Kind != llm.CallerInvalidRequest || e.Limit != "json_depth" || e.Value != "64" || e.Fix == "" {
		t.Errorf("a body that is too deep: %+v", e)
	}
	for _, test := range []struct {
		name string
		body []byte
	}{
		{"nothing", nil},
		{"cut", []byte(`{"a":`)},
		{"no object", []byte(`[]`)},
		{"something behind it", []byte(`{} {}`)},
		{"two of one name", []byte(`{"a":1,"\u0061":2}`)},
		{"bad UTF-8", []byte("{\"a\":\"\xff\"}")},
		{"half a pair", []byte(`{"a":"\ud800"}`)},
	} {
		_, err := edge.Strict(test.body)
		e := llm.AsError(err)
		if err == nil || e.Kind != llm.CallerInvalidRequest || e.Limit != "" || !strings.HasPrefix(e.Message, "the request body ") {
			t.Errorf("%s: %+v", test.name, e)
		}
		if again := edge.Explain(test.body); again.Message != e.Message || again.Kind != e.Kind || again.Limit != e.Limit {
			t.Errorf("%s: Explain says %q, Strict %q", test.name, again.Message, e.Message)
		}
	}
}

func TestEndError(t *testing.T) {
	own := llm.Errorf(llm.ProviderTimeout, "too slow")
	for _, test := range []struct {
		ended error
		want  llm.Kind
	}{
		{io.EOF, llm.ProviderTruncated},
		{io.ErrUnexpectedEOF, llm.ProviderTruncated},
		{errors.New("reset"), llm.ProviderTruncated},
		{fmt.Errorf("read: %w", context.Canceled), llm.CallerCancelled},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), llm.CallerDeadline},
		{fmt.Errorf("read: %w", own), llm.ProviderTimeout},
	} {
		err := edge.EndError(test.ended)
		if got := llm.KindOf(err); got != test.want {
			t.Errorf("%v: %s, want %s", test.ended, got, test.want)
		}
		if test.ended != io.EOF && !errors.Is(err, test.ended) && !errors.Is(test.ended, err) {
			t.Errorf("%v does not tell of %v", err, test.ended)
		}
	}
}

func TestReader(t *testing.T) {
	for _, test := range []struct {
		list  string
		size  int
		param string // of the fault; empty for none
	}{
		{`[1,2]`, 5, ""}, {`[ ]`, 0, ""}, {`null`, 0, ""}, {`"a"`, 0, "messages"}, {`{}`, 0, "messages"}, {`7`, 0, "messages"},
	} {
		r, err := edge.NewReader([]byte(`{"x":1,"messages":` + test.list + `}`))
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for ok := r.Open('{'); ok; ok = r.More('}') {
			if string(r.Name()) == "messages" {
				size = r.List("messages")
			} else {
				r.Skip()
			}
		}
		fault := ""
		if r.Err != nil {
			fault = r.Err.Param
			if r.Err.Kind != llm.CallerInvalidRequest || !strings.Contains(r.Err.Message, "messages must be an array and is ") {
				t.Errorf("%s: %v", test.list, r.Err)
			}
		}
		if size != test.size || fault != test.param || r.Bad != (test.param != "") {
			t.Errorf("%s: %d bytes, fault %q", test.list, size, fault)
		}
	}
	if _, err := edge.NewReader([]byte(`{`)); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Errorf("half a body: %v", err)
	}
}

// The first fault is the one that is told.
func TestReaderKeepsTheFirstFault(t *testing.T) {
	r, err := edge.NewReader([]byte(`{"a":1,"b":2}`))
	if err != nil {
		t.Fatal(err)
	}
	for ok := r.Open('{'); ok; ok = r.More('}') {
		r.List(string(r.Name()))
	}
	r.Refuse("c", "a string")
	if r.Err == nil || r.Err.Param != "a" {
		t.Errorf("%v", r.Err)
	}
}

func TestUnreadable(t *testing.T) {
	if e := edge.Unreadable("stream"); e.Kind != llm.ForebayInternal || !strings.Contains(e.Message, "stored stream") {
		t.Errorf("%v", e)
	}
}
