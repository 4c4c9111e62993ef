package translate_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

const (
	chatHi     = `{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}`
	converseHi = `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`
)

// throughConverse translates an answer of Converse for a chat client, and returns the
// client's answer, whole.
func throughConverse(t *testing.T, body []byte, stream, byteWise bool, text string) (llm.Response, []byte) {
	t.Helper()
	req := chatRequest(chatHi)
	if req.Stream = stream; !stream {
		req.Body = []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}]}`)
	}
	s, err := translate.Provider(&answering{body: body, byteWise: byteWise}, bedrock.Converse{}).Call(t.Context(), "m", req)
	if err != nil {
		t.Fatal(err)
	}
	res := collect(t, s, text)
	return res, readBack(t, req, res.Body)
}

// throughChat translates a chat answer for a client of Converse.
func throughChat(t *testing.T, body []byte, stream, byteWise bool, text string) (llm.Response, []byte) {
	t.Helper()
	req := converseRequest(converseHi, stream)
	s, err := translate.Provider(&answering{body: body, byteWise: byteWise}, openai.Dialect{}).Call(t.Context(), "m", req)
	if err != nil {
		t.Fatal(err)
	}
	res := collect(t, s, text)
	return res, readBack(t, req, res.Body)
}

// wholeOf makes a recorded answer whole.
func wholeOf(t *testing.T, d llm.Dialect, body []byte, stream bool) []byte {
	t.Helper()
	whole, err := d.Reshape(&llm.Request{Endpoint: llm.Chat, Dialect: d, Body: []byte(`{}`)}, body, stream)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// checkConverseAnswer translates a recorded answer of Converse to chat, and that back.
func checkConverseAnswer(t *testing.T, body []byte, stream bool) {
	t.Helper()
	want := converseSays(wholeOf(t, bedrock.Converse{}, body, stream))
	for _, byteWise := range []bool{false, true} {
		res, whole := throughConverse(t, body, stream, byteWise, want.Text)
		if diff := cmp.Diff(want, chatSays(whole)); diff != "" {
			t.Errorf("(-converse +chat):\n%s", diff)
		}
		if res.Finish != want.Finish || res.Usage != want.Usage || res.Model != "m" {
			t.Errorf("finish %q, usage %+v, model %q, want %q, %+v", res.Finish, res.Usage, res.Model, want.Finish, want.Usage)
		}
		_, back := throughChat(t, res.Body, stream, byteWise, want.Text)
		got := converseSays(back)
		got.Signature = want.Signature // chat answers keep it; Converse's clients of chat models need none
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-converse +converse):\n%s", diff)
		}
	}
}

// checkChatAnswer translates a recorded chat answer to Converse, and that back.
func checkChatAnswer(t *testing.T, body []byte, stream bool) {
	t.Helper()
	want := chatSays(wholeOf(t, openai.Dialect{}, body, stream))
	for i, c := range want.Calls { // ids are made where there are none
		if strings.HasPrefix(c, " ") {
			want.Calls[i] = "call_" + string(rune('1'+i)) + c
		}
	}
	for _, byteWise := range []bool{false, true} {
		res, whole := throughChat(t, body, stream, byteWise, want.Text)
		if diff := cmp.Diff(want, converseSays(whole)); diff != "" {
			t.Errorf("(-chat +converse):\n%s", diff)
		}
		if res.Finish != want.Finish || res.Usage != want.Usage {
			t.Errorf("finish %q, usage %+v, want %q, %+v", res.Finish, res.Usage, want.Finish, want.Usage)
		}
		_, back := throughConverse(t, res.Body, stream, byteWise, want.Text)
		if diff := cmp.Diff(want, chatSays(back)); diff != "" {
			t.Errorf("(-chat +chat):\n%s", diff)
		}
	}
}

func TestRecordedConverseAnswers(t *testing.T) {
	counts := map[string]int{}
	for _, x := range exchanges(t, "/converse", "/converse-stream") {
		if x.Status != 200 {
			counts["errors"]++
			continue
		}
		stream := strings.HasSuffix(x.URI, "-stream")
		t.Run(path.Base(x.ID), func(t *testing.T) { checkConverseAnswer(t, x.response(), stream) })
		counts["translated and back"]++
		if stream {
			counts["streams"]++
		}
	}
	report(t, counts)
}

func TestRecordedChatAnswers(t *testing.T) {
	counts := map[string]int{}
	for _, x := range exchanges(t, "/chat/completions") {
		body := x.response()
		if x.Status != 200 || len(body) == 0 || strings.Contains(x.URI, "demo-endpoints") {
			counts["errors"]++
			continue
		}
		stream := x.Stream == "sse"
		if !stream {
			if choices := list(parsed(body)["choices"]); len(choices) > 1 {
				counts["several choices"]++
				continue
			}
		}
		t.Run(path.Base(x.ID), func(t *testing.T) { checkChatAnswer(t, body, stream) })
		counts["translated and back"]++
		if stream {
			counts["streams"]++
		}
	}
	report(t, counts)
}

// TestVercelFixtures reads the answers that the AI SDK's tests keep: of Bedrock the
// events as lines of JSON, of chat the data of the events.
func TestVercelFixtures(t *testing.T) {
	f, err := os.Open(filepath.Join(recordings(t), "vercel-ai", "fixtures.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := path.Base(h.Name)
		switch dir := path.Dir(h.Name); {
		case dir == "packages/amazon-bedrock/src/__fixtures__" && strings.HasSuffix(name, ".json"):
			t.Run(name, func(t *testing.T) { checkConverseAnswer(t, body, false) })
		case dir == "packages/amazon-bedrock/src/__fixtures__":
			t.Run(name, func(t *testing.T) { checkConverseAnswer(t, frames(t, body), true) })
		case strings.HasSuffix(dir, "/chat/__fixtures__") && strings.HasSuffix(name, ".chunks.txt"):
			var events []byte
			for line := range bytes.Lines(bytes.TrimSpace(body)) {
				events = append(append(append(events, "data: "...), bytes.TrimSpace(line)...), "\n\n"...)
			}
			t.Run(name, func(t *testing.T) { checkChatAnswer(t, append(events, "data: [DONE]\n\n"...), true) })
		case strings.HasSuffix(dir, "/chat/__fixtures__") && strings.HasSuffix(name, ".json") && !strings.Contains(name, "error"):
			t.Run(name, func(t *testing.T) { checkChatAnswer(t, body, false) })
		default:
			continue
		}
		counts["translated and back"]++
	}
	report(t, counts)
}

// frames makes an event stream of lines of the form {"messageStart":{…}}. The metadata
// come last, as Bedrock sends them.
func frames(t *testing.T, lines []byte) []byte {
	t.Helper()
	var stream, last []byte
	for line := range bytes.Lines(bytes.TrimSpace(lines)) {
		var event map[string]json.RawMessage
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatal(err)
		}
		for kind, payload := range event {
			if kind == "metadata" {
				last = bedrock.AppendEvent(last, kind, payload)
			} else {
				stream = bedrock.AppendEvent(stream, kind, payload)
			}
		}
	}
	if last == nil { // some fixtures stop before them
		last = bedrock.AppendEvent(nil, "metadata", []byte(`{"metrics":{"latencyMs":1},"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}`))
	}
	return append(stream, last...)
}
