package llmtest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/llm"
)

// Dialect is a wire format for tests: plain text, one event a line.
//
// A request body is the prompt and nothing else. A whole answer and a streamed
// one are the same but for their first word:
//
//	whole "Hello world"      text "Hello "
//	usage 2 2                text "world"
//	END                      usage 2 2
//	                         END
//
// Texts are quoted as Go strings; usage gives input and output tokens and may be
// absent; END is the end mark. The zero value is ready and safe for concurrent use.
type Dialect struct{}

var _ llm.Dialect = Dialect{}

// The first words of the lines.
const (
	wholePrefix = "whole "
	textPrefix  = "text "
	usagePrefix = "usage "
	endLine     = "END"
)

// Name is "llmtest".
func (Dialect) Name() string { return "llmtest" }

// Canonical is the endpoint and the words of the body with one space between
// them; verbatim, it is the endpoint and the body as it stands. A body without a word
// is refused with CallerInvalidRequest.
func (Dialect) Canonical(dst []byte, req *llm.Request, verbatim bool) ([]byte, error) {
	words := bytes.Fields(req.Body)
	if len(words) == 0 {
		return dst, llm.Errorf(llm.CallerInvalidRequest, "the body has no word")
	}
	dst = append(dst, req.Endpoint...)
	if verbatim {
		return append(append(dst, ' '), req.Body...), nil
	}
	for _, w := range words {
		dst = append(append(dst, ' '), w...)
	}
	return dst, nil
}

// Covers is always true: both forms report usage or neither does.
func (Dialect) Covers(*llm.Request, []byte, bool) bool { return true }

// Reshape turns a complete answer, whose form stream tells, into the form that req
// asks for. One that is incomplete, foreign or of the other form is refused with
// ForebayInternal: it was complete when it was stored.
func (Dialect) Reshape(req *llm.Request, answer []byte, stream bool) ([]byte, error) {
	a, err := parse(answer)
	switch {
	case err != nil:
		return nil, &llm.Error{Kind: llm.ForebayInternal, Message: "not an answer of the test dialect", Err: err}
	case !a.ended:
		return nil, llm.Errorf(llm.ForebayInternal, "the answer has no end mark")
	case a.streamed != stream:
		return nil, llm.Errorf(llm.ForebayInternal, "the answer has not the form that was said")
	case a.streamed == req.Stream:
		return answer, nil
	case req.Stream:
		return Events(a.text, a.usage), nil
	}
	return Whole(a.text, a.usage), nil
}

// Compose says text without a report of usage, in the form that req asks for.
func (Dialect) Compose(req *llm.Request, text string) []byte {
	if req.Stream {
		return Events(text, llm.Usage{})
	}
	return Whole(text, llm.Usage{})
}

// Whole writes a whole answer. Usage that is zero is left out.
func Whole(text string, usage llm.Usage) []byte {
	return ending(appendLine(nil, wholePrefix, text), usage)
}

// Events writes a streamed answer: an event for each word, with the space behind it.
func Events(text string, usage llm.Usage) []byte {
	var b []byte
	for _, word := range strings.SplitAfter(text, " ") {
		b = appendLine(b, textPrefix, word)
	}
	return ending(b, usage)
}

// Text reads the text of an answer in either form, complete or not. What is not
// of the test dialect has no text.
func Text(answer []byte) string {
	a, err := parse(answer)
	if err != nil {
		return ""
	}
	return a.text
}

func appendLine(dst []byte, prefix, text string) []byte {
	return append(strconv.AppendQuote(append(dst, prefix...), text), '\n')
}

func ending(dst []byte, usage llm.Usage) []byte {
	if !usage.IsZero() {
		dst = fmt.Appendf(dst, "%s%d %d\n", usagePrefix, usage.Input, usage.Output)
	}
	return append(dst, endLine+"\n"...)
}

// parsed is what some lines of an answer say.
type parsed struct {
	text     string
	usage    llm.Usage
	events   int
	streamed bool
	ended    bool
}

// parse reads whole lines of an answer; all of it or any part.
func parse(lines []byte) (parsed, error) {
	var a parsed
	for line := range bytes.Lines(lines) {
		text, ok := bytes.CutSuffix(line, []byte("\n"))
		if !ok {
			return a, errors.New("the last line does not end")
		}
		if err := a.add(string(text)); err != nil {
			return a, err
		}
		a.events++
	}
	return a, nil
}

func (a *parsed) add(line string) error {
	switch {
	case line == endLine:
		a.ended = true
	case strings.HasPrefix(line, usagePrefix):
		if _, err := fmt.Sscanf(line[len(usagePrefix):], "%d %d", &a.usage.Input, &a.usage.Output); err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
	case strings.HasPrefix(line, textPrefix), strings.HasPrefix(line, wholePrefix):
		word, quoted, _ := strings.Cut(line, " ")
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		a.streamed = word == strings.TrimSpace(textPrefix)
		a.text += text
	default:
		return fmt.Errorf("line %q is none of whole, text, usage, END", line)
	}
	return nil
}

// chunk describes raw lines as a provider of the dialect would.
func (a parsed) chunk(raw []byte) llm.Chunk {
	c := llm.Chunk{Raw: raw, Events: a.events, Useful: a.text != "", Usage: a.usage, Text: func() string { return a.text }}
	if a.ended {
		c.Finish = llm.FinishStop
	}
	return c
}

// MaxOutput is 0: bodies say nothing of it.
func (Dialect) MaxOutput(*llm.Request) int { return 0 }

// Simplify returns the body as it is: it names no model and no bound.
func (Dialect) Simplify(req *llm.Request, _ string, _ int) ([]byte, error) {
	return append([]byte(nil), req.Body...), nil
}
