package sdktest

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
)

// question asks model something; the same words are the same question.
func question(model, words string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(words)},
	}
}

// choice is an answer's first choice, or an empty one where there is none.
func choice(c *openai.ChatCompletion) openai.ChatCompletionChoice {
	if c == nil || len(c.Choices) == 0 {
		return openai.ChatCompletionChoice{}
	}
	return c.Choices[0]
}

// told is what a stream brought.
type told struct {
	text, finish string
	chunks       int
	usage        []openai.CompletionUsage
	whole        openai.ChatCompletion
	err          error
}

// listen reads a stream to its end, as the SDK's documentation shows it.
func listen(stream *ssestream.Stream[openai.ChatCompletionChunk]) told {
	defer stream.Close()
	var got told
	var sum openai.ChatCompletionAccumulator
	for stream.Next() {
		chunk := stream.Current()
		sum.AddChunk(chunk)
		got.chunks++
		if chunk.JSON.Usage.Valid() {
			got.usage = append(got.usage, chunk.Usage)
		}
		for _, choice := range chunk.Choices {
			got.text += choice.Delta.Content
			got.finish += choice.FinishReason
		}
	}
	got.whole, got.err = sum.ChatCompletion, stream.Err()
	return got
}

// apiError takes err for the SDK's own error.
func apiError(t *testing.T, err error) *openai.Error {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is a %T, not an *openai.Error: %v", err, err)
	}
	return e
}

// says checks that text has all of parts.
func says(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: %q does not say %q", what, text, part)
		}
	}
}

// tries counts what an SDK sends: each attempt, with the number that it gives it.
type tries struct {
	mu     sync.Mutex // guards counts
	counts []string
}

// option is the middleware that counts.
func (c *tries) option() option.RequestOption {
	return option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		c.mu.Lock()
		c.counts = append(c.counts, r.Header.Get("X-Stainless-Retry-Count"))
		c.mu.Unlock()
		return next(r)
	})
}

// want checks the attempts since the last check.
func (c *tries) want(t *testing.T, counts ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got, want := strings.Join(c.counts, " "), strings.Join(counts, " "); got != want {
		t.Errorf("the SDK's attempts: %q, want %q", got, want)
	}
	c.counts = nil
}
