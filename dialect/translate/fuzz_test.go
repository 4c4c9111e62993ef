package translate_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

// seeds adds the inputs of a golden file.
func seeds(f *testing.F, name string) {
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range strings.Split(string(text), "\n# ")[1:] {
		_, rest, _ := strings.Cut(c, "\n")
		input, _, _ := strings.Cut(rest, "\n--->\n")
		f.Add([]byte(input))
	}
}

// checkTranslation checks what holds for every body: a strict result, or a fault of the caller's.
func checkTranslation(t *testing.T, input, before, body []byte, err error) {
	t.Helper()
	if !bytes.Equal(input, before) {
		t.Fatal("the request was changed")
	}
	if err != nil {
		e := llm.AsError(err)
		if e.Kind != llm.CallerInvalidRequest || e.Message == "" || body != nil {
			t.Fatalf("%v", err)
		}
		return
	}
	if !jsontext.Value(body).IsValid() {
		t.Fatalf("no strict JSON: %s", body)
	}
}

func FuzzChatToConverse(f *testing.F) {
	seeds(f, "chat-to-converse.txt")
	f.Fuzz(func(t *testing.T, input []byte) {
		before := bytes.Clone(input)
		body, _, err := translate.ChatToConverse(&llm.Request{Model: "amazon.nova-lite-v1:0", Body: input})
		if checkTranslation(t, input, before, body, err); err != nil {
			return
		}
		if _, _, err := translate.ConverseToChat(converseRequest(string(body), false), "m"); err != nil {
			if e := llm.AsError(err); e.Limit != "json_depth" && e.Param != "guardrailConfig" && !strings.HasPrefix(e.Param, "messages") && !strings.HasPrefix(e.Param, "outputConfig") {
				t.Fatalf("the way back: %v: %s", err, body)
			}
		}
	})
}

func FuzzConverseToChat(f *testing.F) {
	seeds(f, "converse-to-chat.txt")
	f.Fuzz(func(t *testing.T, input []byte) {
		before := bytes.Clone(input)
		body, _, err := translate.ConverseToChat(&llm.Request{Model: "m", Body: input, Stream: true}, "")
		if checkTranslation(t, input, before, body, err); err != nil {
			return
		}
		if h, err := openai.ParseChat(body); err != nil || !h.Stream || !h.IncludeUsage || h.Model != "m" {
			t.Fatalf("the dialect reads %+v, %v: %s", h, err, body)
		}
	})
}

// FuzzAnswers feeds what providers send, well-formed or not, to both sides: nothing may
// panic, and a stream that ends as complete is one for the caller's own reader too.
func FuzzAnswers(f *testing.F) {
	f.Add(bytes.Join(converseEvents(), nil), true)
	f.Add(bytes.Join(chatEvents(), nil), true)
	f.Add([]byte(`{"output":{"message":{"role":"assistant","content":[{"text":"a"},{"toolUse":{"toolUseId":"t","name":"n","input":{}}}]}},"stopReason":"tool_use","usage":{}}`), false)
	f.Add([]byte(`{"choices":[{"message":{"content":[{"text":"a"}],"tool_calls":[{"function":{"name":"n","arguments":"{"}}]},"finish_reason":"stop"}]}`), false)
	f.Fuzz(func(t *testing.T, answer []byte, stream bool) {
		for _, side := range []struct {
			speaks llm.Dialect
			req    *llm.Request
		}{
			{bedrock.Converse{}, chatRequest(`{"messages":[{"role":"user","content":"a"}]}`)},
			{openai.Dialect{}, converseRequest(converseHi, stream)},
		} {
			side.req.Stream = stream
			inner := &scripted{chunks: []llm.Chunk{{Raw: answer, Last: true}}, err: io.EOF}
			s, err := translate.Provider(&keeping{s: inner}, side.speaks).Call(t.Context(), "m", side.req)
			if err != nil {
				t.Fatal(err)
			}
			body, end := readAll(s)
			switch {
			case end != io.EOF:
				if k := llm.KindOf(end); k.Domain() != llm.ProviderFault {
					t.Fatalf("%v", end)
				}
			case stream && !isComplete(side.req, body):
				t.Fatalf("%s ended as complete: %q", side.speaks.Name(), body)
			case !stream && !jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)):
				t.Fatalf("no JSON: %s", body)
			}
		}
	})
}
