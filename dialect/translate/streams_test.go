package translate_test

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

// asChat makes the events of a chat stream of those of Converse, as golden files have them.
func asChat(t *testing.T, input, body string) string {
	t.Helper()
	var in []byte
	for line := range strings.Lines(input) {
		kind, payload, _ := strings.Cut(strings.TrimSpace(line), " ")
		in = bedrock.AppendEvent(in, kind, []byte(payload))
	}
	p := translate.Provider(&keeping{s: &scripted{chunks: []llm.Chunk{{Raw: in, Last: true}}, err: io.EOF}}, bedrock.Converse{})
	req := chatRequest(body)
	req.Stream = true
	s, err := p.Call(t.Context(), "m", req)
	if err != nil {
		t.Fatal(err)
	}
	out, err := readAll(s)
	text := strings.TrimSpace(strings.ReplaceAll(string(out), "\n\n", "\n"))
	head := `data: {"id":"chatcmpl-r1","object":"chat.completion.chunk","created":`
	var b strings.Builder
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, head); ok { // the time is not of interest
			_, rest, _ = strings.Cut(rest, `,"model":"m",`)
			line = "data: {" + rest
		}
		b.WriteString(line)
	}
	if err != io.EOF {
		fmt.Fprintf(&b, "\n%v", err)
	}
	return b.String()
}

func TestGoldenStreamToChat(t *testing.T) {
	golden(t, "stream-to-chat.txt", func(input string) string { return asChat(t, input, chatHi) })
}

// TestGoldenStreamToFunctions answers callers that speak of functions, and did not ask
// for usage.
func TestGoldenStreamToFunctions(t *testing.T) {
	golden(t, "stream-to-functions.txt", func(input string) string {
		return asChat(t, input, `{"messages":[{"role":"user","content":"Hi"}],"functions":[{"name":"a"}]}`)
	})
}

func TestGoldenStreamToConverse(t *testing.T) {
	golden(t, "stream-to-converse.txt", func(input string) string {
		var in []byte
		for line := range strings.Lines(input) {
			in = append(append(append(in, "data: "...), strings.TrimSpace(line)...), "\n\n"...)
		}
		p := translate.Provider(&keeping{s: &scripted{chunks: []llm.Chunk{{Raw: in, Last: true}}, err: io.EOF}}, openai.Dialect{})
		s, err := p.Call(t.Context(), "m", converseRequest(converseHi, true))
		if err != nil {
			t.Fatal(err)
		}
		out, err := readAll(s)
		var b strings.Builder
		for len(out) > 0 {
			e, n, nextErr := bedrock.NextEvent(out)
			if nextErr != nil || n == 0 {
				t.Fatal(n, nextErr)
			}
			fmt.Fprintf(&b, "%s %s\n", e.Type, timeless(e.Payload))
			out = out[n:]
		}
		if err != io.EOF {
			fmt.Fprintf(&b, "%v", err)
		}
		return strings.TrimSpace(b.String())
	})
}

// TestGoldenAnswers translates whole answers, of Converse to chat and the other way.
func TestGoldenAnswers(t *testing.T) {
	for name, side := range map[string]struct {
		speaks llm.Dialect
		req    *llm.Request
	}{
		"answer-to-chat.txt":     {bedrock.Converse{}, chatRequest(`{"messages":[{"role":"user","content":"Hi"}]}`)},
		"answer-to-converse.txt": {openai.Dialect{}, converseRequest(converseHi, false)},
	} {
		golden(t, name, func(input string) string {
			p := translate.Provider(&keeping{s: &scripted{chunks: []llm.Chunk{{Raw: []byte(input), Last: true}}, err: io.EOF}}, side.speaks)
			s, err := p.Call(t.Context(), "m", side.req)
			if err != nil {
				t.Fatal(err)
			}
			c, err := s.Next()
			if err != nil {
				return err.Error()
			}
			out := c.Raw
			if at := bytes.Index(out, []byte(`"created":`)); at >= 0 { // the time is not of interest
				end := at + bytes.IndexByte(out[at:], ',')
				out = append(append(bytes.Clone(out[:at]), `"created":0`...), out[end:]...)
			}
			return fmt.Sprintf("%s\nfinish %q, useful %v, usage %+v", timeless(out), c.Finish, c.Useful, c.Usage)
		})
	}
}

var latency = regexp.MustCompile(`"latencyMs":\d+`)

// timeless is an answer without the time that it took.
func timeless(b []byte) []byte { return latency.ReplaceAll(b, []byte(`"latencyMs":0`)) }
