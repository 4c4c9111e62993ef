package llmtest

import (
	"context"
	"net/http"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// EightWords is what steps answer that are not given a text.
const EightWords = "one two three four five six seven eight"

// Step is what a scripted provider does with one call. The zero value answers
// with an empty text. Steps are values: After and Saying return changed copies.
type Step struct {
	text  string
	echo  bool
	after time.Duration
	gap   time.Duration
	err   *llm.Error
	hang  bool
	tail  tail
	n     int
	do    func(ctx context.Context, model string, req *llm.Request) (llm.Stream, error)
}

// tail says what comes instead of the rest of an answer.
type tail int

const (
	tailNone    tail = iota
	tailStall        // silence
	tailCut          // ProviderTruncated
	tailGarbage      // ProviderMalformed
)

// OK answers with text: whole, or one chunk for each word.
func OK(text string) Step { return Step{text: text} }

// Echo answers with the request's body as text.
func Echo() Step { return Step{echo: true} }

// Fail refuses the call before its head, with an HTTP status that a provider
// would give (429, 503, …) or with a kind.
func Fail[T int | llm.Kind](reason T) Step {
	switch r := any(reason).(type) {
	case llm.Kind:
		return Err(llm.Errorf(r, "scripted %s", r))
	case int:
		e := llm.Errorf(kindOfStatus(r), "scripted status %d", r)
		e.Status = r
		return Err(e)
	}
	return Step{} // not reached: T is one of the two
}

// Err refuses the call before its head with a copy of e.
func Err(e *llm.Error) Step { return Step{err: e} }

// Hang never gives a head: Call blocks until its context ends.
func Hang() Step { return Step{hang: true} }

// StallAfter delivers n chunks and is silent from then on, until the context
// ends or the stream is closed. The end mark is never delivered, however large n
// is. A whole answer is silence after the head.
func StallAfter(n int) Step { return Step{text: EightWords, tail: tailStall, n: n} }

// CutAfter delivers n chunks and then fails with ProviderTruncated. The end mark
// is never delivered, however large n is. Of a whole answer nothing is delivered.
func CutAfter(n int) Step { return Step{text: EightWords, tail: tailCut, n: n} }

// Garbage accepts the call and fails with ProviderMalformed: after one chunk of a
// stream, before the only chunk of a whole answer.
func Garbage() Step { return Step{text: EightWords, tail: tailGarbage, n: 1} }

// Trickle waits interval before each chunk; before a whole answer it waits once.
func Trickle(interval time.Duration) Step { return Step{text: EightWords, gap: interval} }

// Delay gives the head of its answer after d.
func Delay(d time.Duration) Step { return Step{text: EightWords, after: d} }

// Do leaves the call to f, for whatever no other step does. Its record ends when f
// returns.
func Do(f func(ctx context.Context, model string, req *llm.Request) (llm.Stream, error)) Step {
	return Step{do: f}
}

// After makes the step begin d after the call: Fail(503).After(time.Second).
func (s Step) After(d time.Duration) Step {
	s.after = d
	return s
}

// Saying gives the step's answer another text: StallAfter(2).Saying("a b c d").
func (s Step) Saying(text string) Step {
	s.text = text
	return s
}

// kindOfStatus maps a provider's status to the kind that providers of every
// dialect give it when the body says nothing more.
func kindOfStatus(status int) llm.Kind {
	switch status {
	case http.StatusTooManyRequests:
		return llm.ProviderRateLimited
	case http.StatusServiceUnavailable, 529: // 529: Anthropic's "overloaded"
		return llm.ProviderOverloaded
	case http.StatusUnauthorized, http.StatusForbidden:
		return llm.ProviderAuthFailed
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return llm.ProviderTimeout
	}
	if status >= 400 && status < 500 {
		return llm.ProviderRejected
	}
	return llm.ProviderError
}
