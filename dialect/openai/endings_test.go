package openai_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// choice makes one choice of an event.
func choice(index int, delta, finish string) string {
	if finish != "null" {
		finish = strconv.Quote(finish)
	}
	return fmt.Sprintf(`{"index":%d,"delta":{%s},"finish_reason":%s}`, index, delta, finish)
}

const (
	says  = `"content":"a"`
	calls = `"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]`
)

// endings are the choices of a stream's events, and why the answer ends.
var endings = []struct {
	name   string
	events []string
	want   llm.FinishReason
}{
	{"stop", []string{choice(0, says, "null"), choice(0, "", "stop")}, llm.FinishStop},
	{"length", []string{choice(0, says, "null"), choice(0, "", "length")}, llm.FinishLength},
	{"never", []string{choice(0, says, "null")}, llm.FinishNone},
	{"empty reason", []string{choice(0, says, "null"), choice(0, "", "")}, llm.FinishNone},
	{"no choice at all", []string{""}, llm.FinishNone},
	{"something follows the reason", []string{choice(0, says, "stop"), choice(0, "", "null"), ""}, llm.FinishStop},
	{"forced tool call", []string{choice(0, calls, "null"), choice(0, "", "stop")}, llm.FinishToolCalls},
	{"tool call", []string{choice(0, calls, "null"), choice(0, "", "tool_calls")}, llm.FinishToolCalls},
	{"tool call without an end", []string{choice(0, calls, "null")}, llm.FinishNone},
	{"text and tool call", []string{choice(0, says, "null"), choice(0, calls, "null"), choice(0, says, "null"), choice(0, "", "stop")}, llm.FinishToolCalls},
	{"legacy call", []string{choice(0, `"content":null,"function_call":{"name":"f"}`, "null"), choice(0, `"function_call":{"arguments":"{}"}`, "null"), choice(0, "", "stop")}, llm.FinishToolCalls},
	{"legacy reason", []string{choice(0, "", "function_call")}, llm.FinishToolCalls},
	{"empty calls", []string{choice(0, `"content":"a","tool_calls":[],"function_call":null,"refusal":null`, "null"), choice(0, `"refusal":""`, "stop")}, llm.FinishStop},
	{"refusal", []string{choice(0, `"role":"assistant","refusal":"I"`, "null"), choice(0, `"refusal":" cannot"`, "null"), choice(0, "", "stop")}, llm.FinishRefusal},
	{"refusal cut short", []string{choice(0, `"refusal":"I"`, "null"), choice(0, "", "length")}, llm.FinishRefusal},
	{"refusal beside a call", []string{choice(0, calls, "null"), choice(0, `"refusal":"I"`, "null"), choice(0, "", "tool_calls")}, llm.FinishRefusal},
	{"filter", []string{choice(0, says, "null"), choice(0, "", "content_filter")}, llm.FinishFilter},
	{"filter in a refusal", []string{choice(0, `"refusal":"I"`, "null"), choice(0, "", "content_filter")}, llm.FinishFilter},
	{"unknown", []string{choice(0, says, "insufficient_system_resource")}, "insufficient_system_resource"},
	{"unknown beside stop", []string{choice(0, says, "stop") + "," + choice(1, says, "eos")}, "eos"},
	{"unknown beside a call", []string{choice(0, says, "eos") + "," + choice(1, calls, "stop")}, llm.FinishToolCalls},
	{"two choices stop", []string{choice(0, says, "stop"), choice(1, says, "stop")}, llm.FinishStop},
	{"length counts more", []string{choice(1, says, "length"), choice(0, says, "stop")}, llm.FinishLength},
	{"a call counts more", []string{choice(0, says, "length"), choice(1, calls, "stop")}, llm.FinishToolCalls},
	{"a refusal counts more", []string{choice(0, `"refusal":"I"`, "null"), choice(1, calls, "null"), choice(1, "", "stop"), choice(0, "", "stop")}, llm.FinishRefusal},
	{"a filter counts most", []string{choice(2, says, "content_filter"), choice(0, `"refusal":"I"`, "stop"), choice(1, says, "stop")}, llm.FinishFilter},
	{"the second never ends", []string{choice(0, says, "null") + "," + choice(1, says, "null"), choice(0, "", "stop")}, llm.FinishNone},
	{"the first never ends", []string{choice(0, says, "null"), choice(1, says, "content_filter")}, llm.FinishNone},
	{"the third of three never ends", []string{choice(0, says, "stop"), choice(1, says, "stop"), choice(2, says, "null")}, llm.FinishNone},
	{"without an index", []string{`{"delta":{"content":"a"}}`, `{"finish_reason":"stop","delta":{}}`}, llm.FinishStop},
	{"index of another type", []string{`{"index":null,"delta":{"content":"a"},"finish_reason":"stop"}`}, llm.FinishStop},
	{"as many as there may be", []string{many(128)}, llm.FinishStop},
	{"more than there may be", []string{many(129)}, llm.FinishNone},
}

// many makes a list of choices that all stop.
func many(n int) string {
	var all []string
	for i := range n {
		all = append(all, choice(i, says, "stop"))
	}
	return strings.Join(all, ",")
}

// The reason is the same however a stream arrives, and in the whole answer that the
// stream makes.
func TestFinish(t *testing.T) {
	for _, test := range endings {
		t.Run(test.name, func(t *testing.T) {
			var stream []byte
			for _, choices := range test.events {
				stream = fmt.Appendf(stream, "data: {\"choices\":[%s]}\n\n", choices)
			}
			stream = openai.AppendDone(stream)
			for _, parts := range [][][]byte{{stream}, bytes.SplitAfter(stream, []byte("\n\n")), bytes.SplitAfter(stream, []byte("}"))} {
				if got := read(openai.ReaderOptions{}, parts...); got.Finish != test.want || got.Raw != string(stream) {
					t.Errorf("a stream in %d reads: %q, want %q", len(parts), got.Finish, test.want)
				}
			}
			whole := reshape(t, chat(false, false), stream, true)
			if c, err := openai.ReadWhole(llm.Chat, whole); err != nil || c.Finish != test.want {
				t.Errorf("the whole answer: %q, %v, want %q", c.Finish, err, test.want)
			}
		})
	}
}

// Only the chunk that ends a stream says why it ends: another choice may follow.
func TestFinishComesWithTheEnd(t *testing.T) {
	parts := [][]byte{[]byte("data: " + hello + "\n\n"), []byte("data: " + bye + "\n\n"), []byte("data: [DONE]\n\n")}
	r := openai.NewReader(&pieces{parts: parts}, openai.ReaderOptions{})
	for i, want := range []llm.FinishReason{"", "", llm.FinishStop} {
		if c, err := r.Next(); err != nil || c.Finish != want {
			t.Errorf("chunk %d: %q, %v, want %q", i, c.Finish, err, want)
		}
	}
}

func TestFinishOfWholeAnswers(t *testing.T) {
	for _, test := range []struct {
		body string
		want llm.FinishReason
	}{
		{`{"choices":[]}`, ""},
		{`{"choices":[{"message":{"content":"a"},"finish_reason":null}]}`, ""},
		{`{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},null]}`, ""},
		{`{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":0,"message":{"content":"b"}}]}`, ""},
		{`{"choices":[{"index":7,"message":{"content":"a"},"finish_reason":"stop"}]}`, "stop"},
		{`{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{"message":{"tool_calls":[{}]},"finish_reason":"stop"}]}`, "tool_calls"},
		{`{"choices":[{"finish_reason":"stop","message":{"refusal":"no"}}]}`, "refusal"},
		{`{"choices":[{"text":"a","finish_reason":"length"}]}`, "length"},
	} {
		if c, err := openai.ReadWhole(llm.Chat, []byte(test.body)); err != nil || c.Finish != test.want {
			t.Errorf("%s: %q, %v, want %q", test.body, c.Finish, err, test.want)
		}
	}
}
