package openai_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// recordings is the folder with recorded vendor traffic, which is not part of the
// repository. Tests over it are skipped where it is absent.
func recordings(t *testing.T) string {
	t.Helper()
	root := os.Getenv("FOREBAY_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(root, "data", "wire")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded vendor traffic is not here; FOREBAY_SHARED names its folder")
	}
	return dir
}

func gunzip(t *testing.T, name string) io.Reader {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

type exchange struct {
	ID, Method, URI string
	Status          int
	RequestBody     string         `json:"request_body"`
	ResponseBody    *string        `json:"response_body"` // absent for bytes that are no text
	ResponseHeaders map[string]any `json:"response_headers"`
}

// TestRecordedExchanges reads every recorded chat completion and embeddings exchange.
func TestRecordedExchanges(t *testing.T) {
	dir := recordings(t)
	for _, set := range []string{"pydantic-ai-openai", "otel-py-openai"} {
		t.Run(set, func(t *testing.T) {
			counts, skipped := map[string]int{}, map[string]int{}
			lines := bufio.NewScanner(gunzip(t, filepath.Join(dir, set, "exchanges.jsonl.gz")))
			lines.Buffer(nil, 64<<20)
			for lines.Scan() {
				var x exchange
				if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
					t.Fatal(err)
				}
				what, err := checkExchange(x)
				if what == "" {
					skipped[shortURI(x)]++
					continue
				}
				if counts[what]++; err != nil {
					t.Errorf("%s: %v", x.ID, err)
				}
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
			t.Logf("read: %v", counts)
			t.Logf("other endpoints: %v", skipped)
			if counts["chat, whole"] == 0 || counts["chat, stream"] == 0 || counts["chat, error"] == 0 {
				t.Error("the set has exchanges of each kind, but not all were found")
			}
		})
	}
}

func shortURI(x exchange) string {
	u, _ := url.Parse(x.URI)
	parts := strings.Split(u.Path, "/")
	return x.Method + " " + u.Host + strings.Join(parts[:min(len(parts), 3)], "/")
}

// checkExchange says what an exchange is, or nothing where it is not of the dialect,
// and what is wrong with how it was read.
func checkExchange(x exchange) (what string, err error) {
	endpoint := llm.Chat
	switch {
	case x.Method != "POST" || x.ResponseBody == nil:
		return "", nil
	case strings.HasSuffix(x.URI, "/embeddings"):
		endpoint = llm.Embeddings
	case !strings.HasSuffix(x.URI, "/chat/completions") || strings.Contains(x.URI, "demo-endpoints"):
		return "", nil
	}
	head, err := openai.ParseChat([]byte(x.RequestBody))
	if endpoint == llm.Embeddings {
		head, err = openai.ParseEmbeddings([]byte(x.RequestBody))
	}
	if err != nil {
		return string(endpoint) + ", request", err
	}
	if err := checkRequest(endpoint, head, []byte(x.RequestBody)); err != nil {
		return string(endpoint) + ", request", err
	}
	body := []byte(*x.ResponseBody)
	switch {
	case x.Status >= 400:
		e := openai.DecodeError(x.Status, nil, body)
		if e.Kind != llm.ProviderRejected || e.Message == "" || e.Code == "" {
			err = fmt.Errorf("error read as %+v", e)
		}
		return string(endpoint) + ", error", err
	case head.Stream:
		return string(endpoint) + ", stream", checkStream(body)
	}
	return string(endpoint) + ", whole", checkWhole(endpoint, body)
}

func checkRequest(endpoint llm.Endpoint, head openai.Head, body []byte) error {
	var v1 struct {
		Model  string
		Stream bool
		Tools  []any
	}
	if err := json.Unmarshal(body, &v1); err != nil {
		return err
	}
	if v1.Model != head.Model || v1.Stream != head.Stream || len(v1.Tools) > 0 != head.HasTools {
		return fmt.Errorf("head %+v", head)
	}
	_, err := openai.Dialect{}.Canonical(nil, &llm.Request{Endpoint: endpoint, Body: body}, false)
	return err
}

// wireAnswer is what encoding/json reads of an answer, for comparison.
type wireAnswer struct {
	Model string
	Usage *struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
		Details    struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
	Choices []struct {
		Index          int
		Message, Delta struct {
			Content      any
			ToolCalls    []any          `json:"tool_calls"`
			FunctionCall map[string]any `json:"function_call"`
			Refusal      string
		}
		Finish *string `json:"finish_reason"`
	}
}

// finish is why an answer of one choice ends.
func (a wireAnswer) finish() llm.FinishReason {
	c := a.Choices[0]
	switch {
	case c.Finish == nil:
		return llm.FinishNone
	case *c.Finish == "content_filter":
		return llm.FinishFilter
	case c.Message.Refusal != "":
		return llm.FinishRefusal
	case len(c.Message.ToolCalls) > 0 || len(c.Message.FunctionCall) > 0:
		return llm.FinishToolCalls
	}
	return llm.FinishReason(*c.Finish)
}

func (a wireAnswer) usage() (u llm.Usage) {
	if a.Usage != nil {
		u = llm.Usage{Input: a.Usage.Prompt - a.Usage.Details.Cached, CacheRead: a.Usage.Details.Cached, Output: a.Usage.Completion}
	}
	return u
}

func checkWhole(endpoint llm.Endpoint, body []byte) error {
	c, err := openai.ReadWhole(endpoint, body)
	if err != nil {
		return err
	}
	var want wireAnswer
	if err := json.Unmarshal(body, &want); err != nil {
		return err
	}
	if c.Usage != want.usage() || c.Model != want.Model || !c.Useful {
		return fmt.Errorf("read as %+v, want usage %+v, model %s", c, want.usage(), want.Model)
	}
	if endpoint != llm.Chat {
		return nil
	}
	text, _ := want.Choices[0].Message.Content.(string)
	if c.Text() != text && want.Choices[0].Message.Content != nil && text != "" || len(want.Choices) == 1 && c.Finish != want.finish() {
		return fmt.Errorf("text %q, finish %s", c.Text(), c.Finish)
	}
	events, err := openai.Dialect{}.Reshape(chat(true, true), body, false)
	if err != nil {
		return err
	}
	back, err := openai.Dialect{}.Reshape(chat(false, false), events, true)
	if err != nil {
		return err
	}
	var a, b any
	if err := errors.Join(json.Unmarshal(body, &a), json.Unmarshal(back, &b)); err != nil {
		return err
	}
	if diff := cmp.Diff(asOpenAI(a), b); diff != "" {
		return fmt.Errorf("round trip (-want +got):\n%s", diff)
	}
	return nil
}

// asOpenAI makes good what some providers do otherwise in a whole answer, and what a
// joined answer has as OpenAI has it: content is there, if only as null, and tool
// calls have no index.
func asOpenAI(answer any) any {
	for _, choice := range answer.(map[string]any)["choices"].([]any) {
		message := choice.(map[string]any)["message"].(map[string]any)
		if _, ok := message["content"]; !ok {
			message["content"] = nil
		}
		calls, _ := message["tool_calls"].([]any)
		for _, call := range calls {
			delete(call.(map[string]any), "index")
		}
	}
	return answer
}

// checkStream reads a stream whole, cut at a sample of places, and joined.
func checkStream(body []byte) error {
	whole := read(openai.ReaderOptions{}, body)
	if whole.Kind != "" || whole.Raw != string(body) {
		return fmt.Errorf("%s after %d of %d bytes", whole.Kind, len(whole.Raw), len(body))
	}
	text, usage, err := wireStream(body)
	if err != nil {
		return err
	}
	if whole.Usage != usage || text != "" && whole.Text != text {
		return fmt.Errorf("text %q, usage %+v; want %q, %+v", whole.Text, whole.Usage, text, usage)
	}
	for at := 0; at < len(body); at += 1 + len(body)/60 {
		if diff := cmp.Diff(whole, read(openai.ReaderOptions{}, body[:at], body[at:])); diff != "" {
			return fmt.Errorf("cut at %d:\n%s", at, diff)
		}
	}
	joined, err := openai.Dialect{}.Reshape(chat(false, false), body, true)
	if err != nil {
		return err
	}
	c, err := openai.ReadWhole(llm.Chat, joined)
	if err != nil {
		return err
	}
	if c.Text() != whole.Text || c.Usage != whole.Usage || c.Finish != whole.Finish || c.Model != whole.Model {
		return fmt.Errorf("joined to %s", joined)
	}
	return nil
}

// wireStream reads a stream with encoding/json: the first choice's text where it comes
// as strings, and the last usage.
func wireStream(body []byte) (text string, usage llm.Usage, err error) {
	for line := range strings.Lines(string(body)) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var event wireAnswer
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return "", usage, err
		}
		for _, choice := range event.Choices {
			if content, ok := choice.Delta.Content.(string); ok && choice.Index == 0 {
				text += content
			}
		}
		if event.Usage != nil {
			usage = event.usage()
		}
	}
	return text, usage, nil
}

// TestRecordedFixtures reads the recorded answers of providers that speak the dialect.
// The fixtures with chunks hold the data of one event a line.
func TestRecordedFixtures(t *testing.T) {
	files := tar.NewReader(gunzip(t, filepath.Join(recordings(t), "vercel-ai", "fixtures.tar.gz")))
	counts, skipped := map[string]int{}, map[string]int{}
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		provider := strings.Split(h.Name, "/")[1]
		what, err := checkFixture(h.Name, body)
		if what == "" {
			skipped[provider]++
			continue
		}
		if counts[provider+" "+what]++; err != nil {
			t.Errorf("%s: %v", h.Name, err)
		}
	}
	t.Logf("read: %v", counts)
	t.Logf("other formats: %v", skipped)
	if counts["openai chat, stream"] == 0 || counts["openai embeddings, whole"] == 0 || counts["openai error"] == 0 {
		t.Error("the set has fixtures of each kind, but not all were found")
	}
}

func checkFixture(name string, body []byte) (what string, err error) {
	const event = `"chat.completion.chunk"`
	switch {
	case strings.HasSuffix(name, ".sse"):
		return "chat, stream", checkStream(body)
	case strings.HasSuffix(name, ".chunks.txt") && bytes.Contains(body, []byte(event)):
		var stream []byte
		for line := range bytes.Lines(body) {
			stream = fmt.Appendf(stream, "data: %s\n\n", bytes.TrimSpace(line))
		}
		return "chat, stream", checkStream(openai.AppendDone(stream))
	case path.Ext(name) != ".json" || slices.Contains(strings.Split(name, "/"), "responses"):
		return "", nil
	}
	var object struct {
		Object  string
		Error   any
		Choices []any
		Data    []struct{ Object string }
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return "", nil
	}
	switch {
	case object.Error != nil && strings.Contains(name, "error"):
		if e := openai.DecodeError(400, nil, body); e.Kind != llm.ProviderRejected || e.Param == "" || e.Code == "" {
			err = fmt.Errorf("read as %+v", e)
		}
		return "error", err
	case object.Object == "chat.completion" && len(object.Choices) > 0:
		return "chat, whole", checkWhole(llm.Chat, body)
	case len(object.Data) > 0 && object.Data[0].Object == "embedding":
		return "embeddings, whole", checkWhole(llm.Embeddings, body)
	}
	return "", nil
}
