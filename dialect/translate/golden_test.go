package translate_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

var update = flag.Bool("update", false, "write the golden files and the generated documentation anew")

// chatRequest is a chat completion that asks for body.
func chatRequest(body string) *llm.Request {
	var head struct {
		Model  string
		Stream bool
	}
	_ = json.Unmarshal([]byte(body), &head)
	return &llm.Request{
		ID: "r1", Endpoint: llm.Chat, Dialect: openai.Dialect{}, Model: head.Model, Stream: head.Stream, Body: []byte(body), Notes: &llm.Notes{},
	}
}

// converseRequest is a call of Converse with body.
func converseRequest(body string, stream bool) *llm.Request {
	return &llm.Request{
		ID: "r1", Endpoint: llm.Chat, Dialect: bedrock.Converse{}, Model: "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", Stream: stream, Body: []byte(body), Notes: &llm.Notes{},
	}
}

// golden runs the cases of a file: what stands below a title is the input, what stands
// behind an arrow is what run makes of it.
func golden(t *testing.T, name string, run func(input string) string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var anew strings.Builder
	for _, c := range strings.Split(string(text), "\n# ")[1:] {
		title, rest, _ := strings.Cut(c, "\n")
		input, want, _ := strings.Cut(rest, "\n--->\n")
		input = strings.TrimSpace(input)
		got := run(input)
		fmt.Fprintf(&anew, "\n# %s\n%s\n--->\n%s\n", title, input, got)
		t.Run(title, func(t *testing.T) {
			if want = strings.TrimSpace(want); !*update && got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	if *update {
		head, _, _ := strings.Cut(string(text), "\n# ")
		if err := os.WriteFile(file, []byte(head+anew.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// outcome writes the result of a translation for people.
func outcome(body []byte, dropped []string, err error) string {
	if err != nil {
		e := llm.AsError(err)
		return fmt.Sprintf("%s [%s]: %s", e.Kind, e.Param, e.Text())
	}
	var b bytes.Buffer
	if err := json.Compact(&b, body); err != nil {
		return "not JSON: " + string(body)
	}
	if len(dropped) > 0 {
		fmt.Fprintf(&b, "\ndropped: %s", strings.Join(dropped, ", "))
	}
	return b.String()
}

func TestGoldenChatToConverse(t *testing.T) {
	golden(t, "chat-to-converse.txt", func(input string) string {
		return outcome(translate.ChatToConverse(chatRequest(input)))
	})
}

func TestGoldenConverseToChat(t *testing.T) {
	golden(t, "converse-to-chat.txt", func(input string) string {
		return outcome(translate.ConverseToChat(converseRequest(input, false), "gpt-5-mini"))
	})
}
