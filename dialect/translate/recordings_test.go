package translate_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/translate"
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

type exchange struct {
	ID, URI  string
	Status   int
	Stream   string
	Request  json.RawMessage `json:"request_body"`
	Response json.RawMessage `json:"response_body"`
	Binary   string          `json:"response_body_b64"`
}

func (x *exchange) request() []byte { return textOf(x.Request) }
func (x *exchange) response() []byte {
	if x.Binary != "" {
		b, _ := base64.StdEncoding.DecodeString(x.Binary)
		return b
	}
	return textOf(x.Response)
}

// textOf is a body that is recorded as a string, or as JSON.
func textOf(raw json.RawMessage) []byte {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return []byte(s)
	}
	return raw
}

// exchanges yields the recorded exchanges of all sets whose path ends with one of endings.
func exchanges(t *testing.T, endings ...string) []exchange {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordings(t), "*", "exchanges.jsonl.gz"))
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings:", err)
	}
	var found []exchange
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(z)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			if !slices.ContainsFunc(endings, func(e string) bool { return bytes.Contains(lines.Bytes(), []byte(e+`"`)) }) {
				continue
			}
			var x exchange
			if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(x.URI)
			if err == nil && slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(u.Path, e) }) {
				found = append(found, x)
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("the recordings have none of", endings)
	}
	return found
}

// accounted checks that each member of a body is in the table, or was named.
func accounted(t *testing.T, d translate.Direction, body []byte, dropped []string) {
	t.Helper()
	rows := map[string]translate.Fate{}
	for _, m := range translate.Members(d) {
		rows[m.Path] = m.Fate
	}
	var walk func(v any, pattern, path string)
	walk = func(v any, pattern, path string) {
		fate, known := rows[pattern]
		switch v := v.(type) {
		case nil:
			return
		case object:
			if len(v) == 0 || slices.Contains(dropped, path) {
				return
			}
			deeper := false // a row further down says more
			for row := range rows {
				deeper = deeper || strings.HasPrefix(row, pattern+".") || pattern == ""
			}
			if known && !deeper {
				break
			}
			for name, m := range v {
				p, q := name, name
				if pattern != "" {
					p, q = pattern+"."+name, path+"."+name
				}
				walk(m, p, q)
			}
			return
		case []any:
			for i, m := range v {
				walk(m, pattern+"[]", fmt.Sprintf("%s[%d]", path, i))
			}
			return
		}
		if !known && !slices.Contains(dropped, path) {
			// A scalar within something that is translated as a whole.
			for p := pattern; p != ""; p = p[:max(strings.LastIndexAny(p, ".["), 0)] {
				if rows[p] == translate.Translated || rows[p] == translate.Used {
					return
				}
			}
			t.Errorf("%s (%s) is in no row and was not named", path, pattern)
		}
		if fate == translate.Refused && js(v) != "1" { // n
			t.Errorf("%s is refused by the table, and was not", path)
		}
	}
	walk(map[string]any(parsed(body)), "", "")
}

// TestRecordedChatRequests translates every recorded chat completion to Converse and back.
func TestRecordedChatRequests(t *testing.T) {
	counts := map[string]int{}
	for _, x := range exchanges(t, "/chat/completions") {
		body := x.request()
		if !bytes.HasPrefix(body, []byte("{")) {
			continue
		}
		counts["requests"]++
		there, dropped, err := translate.ChatToConverse(chatRequest(string(body)))
		if err != nil {
			e := llm.AsError(err)
			counts["refused: "+e.Text()]++
			if e.Kind != llm.CallerInvalidRequest {
				t.Errorf("%s: %v", x.ID, err)
			}
			continue
		}
		for _, d := range dropped {
			counts["dropped: "+d]++
		}
		accounted(t, translate.ChatRequest, body, dropped)
		want := chatMeaning(body)
		for _, d := range dropped {
			delete(want.Params, map[string]string{"service_tier": "tier", "temperature": "temperature"}[d])
		}
		if want.Params["tier"] == `"auto"` {
			delete(want.Params, "tier")
		}
		if want.Turns == nil { // Bedrock wants a turn of the user
			want.add("user", want.System...)
			want.System = nil
		}
		if len(want.Turns) > 0 && want.Turns[0].Role == "assistant" { // Bedrock wants the user to begin
			want.Turns = append([]turnMeaning{{"user", []string{"text:."}}}, want.Turns...)
		}
		if want.Tools == nil { // Bedrock wants to be told of the tools that were called
			want.Tools = want.called()
		}
		if diff := cmp.Diff(want, converseMeaning(there)); diff != "" {
			t.Errorf("%s (-chat +converse):\n%s", x.ID, diff)
		}
		back, _, err := translate.ConverseToChat(converseRequest(string(there), false), "m")
		if err != nil {
			t.Errorf("%s: back: %v", x.ID, err)
			continue
		}
		if diff := cmp.Diff(want, chatMeaning(back)); diff != "" {
			t.Errorf("%s (-chat +chat):\n%s", x.ID, diff)
		}
		counts["translated and back"]++
	}
	report(t, counts)
}

// TestRecordedConverseRequests translates every recorded call of Converse to chat and back.
func TestRecordedConverseRequests(t *testing.T) {
	counts := map[string]int{}
	for _, x := range exchanges(t, "/converse", "/converse-stream") {
		body := x.request()
		counts["requests"]++
		there, dropped, err := translate.ConverseToChat(converseRequest(string(body), false), "m")
		if err != nil {
			e := llm.AsError(err)
			counts["refused: "+e.Param]++
			if e.Kind != llm.CallerInvalidRequest {
				t.Errorf("%s: %v", x.ID, err)
			}
			continue
		}
		for _, d := range dropped {
			counts["dropped: "+d]++
		}
		accounted(t, translate.ConverseRequest, body, dropped)
		want := converseMeaning(body)
		if diff := cmp.Diff(want, chatMeaning(there)); diff != "" {
			t.Errorf("%s (-converse +chat):\n%s\n%s\n%s", x.ID, diff, body, there)
		}
		back, _, err := translate.ChatToConverse(chatRequest(string(there)))
		if err != nil {
			t.Errorf("%s: back: %v", x.ID, err)
			continue
		}
		if diff := cmp.Diff(want, converseMeaning(back)); diff != "" {
			t.Errorf("%s (-converse +converse):\n%s", x.ID, diff)
		}
		counts["translated and back"]++
	}
	report(t, counts)
}

func report(t *testing.T, counts map[string]int) {
	t.Helper()
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Logf("%4d %s", counts[name], name)
	}
	if counts["translated and back"] == 0 {
		t.Error("nothing was translated")
	}
}
