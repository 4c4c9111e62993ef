package gateway_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// fragile gives a piece and panics: where it is read again, waited for or closed.
type fragile struct {
	llm.OneChunk
	reads, waits, closes bool
	given                bool
}

func (f *fragile) Next() (llm.Chunk, error) {
	if f.given && f.reads {
		panic("scripted panic")
	}
	f.given = true
	return f.OneChunk.Next()
}

func (f *fragile) Await() {
	if f.waits {
		panic("scripted panic")
	}
}

func (f *fragile) Close() error {
	if f.closes {
		panic("scripted panic")
	}
	return nil
}

// A panic in a stream that is passed on is recorded, and its text told to nobody.
func TestPanicOfAStream(t *testing.T) {
	for name, f := range map[string]fragile{"reading": {reads: true}, "waiting": {waits: true}, "closing": {closes: true}} {
		t.Run(name, func(t *testing.T) {
			f.Chunk = llm.Chunk{Raw: []byte("data: {}\n\n"), Events: 1, Useful: true}
			b := newBackend(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) { return &f, nil }), llmtest.OK("fine"))
			var log recorder
			addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Logger, c.LogRequests = log.logger(), true }))
			all, _ := io.ReadAll(dial(t, addr, post(chatPath, streamBody))) // cut or closed
			answer := string(all)
			if strings.Contains(answer, "scripted panic") || !strings.Contains(answer, "data: {}") {
				t.Errorf("%q", answer)
			}
			if lines := log.String(); !strings.Contains(lines, "scripted panic") || !strings.Contains(lines, "route="+chatPath) {
				t.Errorf("not recorded: %s", lines)
			}
			if r := send(t, addr, post(chatPath, chatBody)); r.status != 200 {
				t.Errorf("afterwards: %d", r.status)
			}
		})
	}
}
