package translate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

// TestFates does to each member that the table drops or refuses what the table says: a
// request is made that has the member, and nothing else that is out of the ordinary.
func TestFates(t *testing.T) {
	run := func(d translate.Direction, base string, call func(string) ([]byte, []string, error)) {
		for _, m := range translate.Members(d) {
			if m.Fate != translate.Dropped && m.Fate != translate.Refused {
				continue
			}
			body, path := withMember(base, m.Path)
			_, dropped, err := call(body)
			e := llm.AsError(err)
			switch {
			case m.Fate == translate.Refused && (err == nil || e.Kind != llm.CallerInvalidRequest || e.Param != path || e.Fix == ""):
				t.Errorf("%s: %s: want it refused, got %v (%s)", d, path, err, body)
			case m.Fate == translate.Dropped && (err != nil || !slices.ContainsFunc(dropped, func(s string) bool { return strings.HasPrefix(s, path) })):
				t.Errorf("%s: %s: want it dropped, got %v, %v (%s)", d, path, dropped, err, body)
			}
		}
	}
	run(translate.ChatRequest, "chat", func(body string) ([]byte, []string, error) {
		return translate.ChatToConverse(chatRequest(body))
	})
	run(translate.ConverseRequest, "converse", func(body string) ([]byte, []string, error) {
		return translate.ConverseToChat(converseRequest(body, false), "m")
	})
}

// withMember makes a request with the member at pattern, and says where it is.
func withMember(format, pattern string) (body, path string) {
	values := map[string]string{
		"logprobs": "true", "store": "true", "parallel_tool_calls": "false", "n": "2", "modalities": `["audio"]`,
		"messages[].tool_calls[].custom":                  `{"name":"a","input":"b"}`,
		"performanceConfig":                               `{"latency":"optimized"}`,
		"additionalModelRequestFields":                    `{"a":1}`,
		"messages[].content[].citationsContent.citations": `[{"title":"a"}]`,
	}
	value, ok := values[pattern]
	if !ok {
		value = `{"odd":"value"}`
	}
	chat := format == "chat"
	user, assistant := `{"text":"Hi"}`, `{"text":"Hi"}`
	if chat {
		user = `{"type":"text","text":"Hi"}`
	}
	member := func(rest string) string { return `"` + rest + `":` + value }
	put := func(prefix, context string) (string, bool) {
		rest, ok := strings.CutPrefix(pattern, prefix)
		return strings.Replace(context, "MEMBER", member(rest), 1), ok
	}
	for _, c := range []struct{ prefix, path, block string }{
		{"messages[].content[].image_url.", "image_url.", `{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA",MEMBER}}`},
		{"messages[].content[].file.", "file.", `{"type":"file","file":{MEMBER}}`},
		{"messages[].content[].image.source.", "image.source.", `{"image":{"format":"png","source":{MEMBER}}}`},
		{"messages[].content[].image.", "image.", `{"image":{"format":"png","source":{"bytes":"AAAA"},MEMBER}}`},
		{"messages[].content[].document.source.", "document.source.", `{"document":{"format":"pdf","name":"a","source":{MEMBER}}}`},
		{"messages[].content[].document.", "document.", `{"document":{"format":"pdf","name":"a","source":{"bytes":"AAAA"},MEMBER}}`},
		{"messages[].content[].toolResult.content[].", "toolResult.content[0].", `{"toolResult":{"toolUseId":"a","content":[{MEMBER}]}}`},
		{"messages[].content[].toolResult.", "toolResult.", `{"toolResult":{"toolUseId":"a","content":[],MEMBER}}`},
		{"messages[].content[].citationsContent.", "citationsContent.", `{"citationsContent":{"content":[{"text":"a"}],MEMBER}}`},
		{"messages[].content[].searchResult.", "searchResult.", `{"searchResult":{"content":[{"text":"a"}],MEMBER}}`},
		{"messages[].content[].toolUse.", "toolUse.", `{"toolUse":{"toolUseId":"a","name":"b","input":{},MEMBER}}`},
		{"messages[].content[].", "", `{MEMBER}`},
	} {
		if block, ok := put(c.prefix, c.block); ok {
			if c.path == "toolUse." {
				return `{"messages":[{"role":"assistant","content":[` + block + `]}]}`, "messages[0].content[0]." + c.path + strings.TrimPrefix(pattern, c.prefix)
			}
			return `{"model":"m","messages":[{"role":"user","content":[` + user + `,` + block + `]}]}`, "messages[0].content[1]." + c.path + strings.TrimPrefix(pattern, c.prefix)
		}
	}
	if call, ok := put("messages[].tool_calls[].", `{"id":"a","type":"custom",MEMBER}`); ok {
		return `{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[` + call + `]}]}`, "messages[1].tool_calls[0].custom"
	}
	if m, ok := put("messages[].", `{"role":"assistant","content":"a",MEMBER}`); ok {
		return `{"model":"m","messages":[{"role":"user","content":"Hi"},` + m + `]}`, "messages[1]." + strings.TrimPrefix(pattern, "messages[].")
	}
	if tool, ok := put("tools[].", `{"type":"custom",MEMBER}`); ok {
		return `{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[` + tool + `]}`, "tools[0]." + strings.TrimPrefix(pattern, "tools[].")
	}
	if tool, ok := put("toolConfig.tools[].", `{MEMBER}`); ok {
		return `{"messages":[{"role":"user","content":[` + user + `]}],"toolConfig":{"tools":[` + tool + `]}}`, "toolConfig.tools[0]." + strings.TrimPrefix(pattern, "toolConfig.tools[].")
	}
	if s, ok := put("system[].", `{MEMBER}`); ok {
		return `{"messages":[{"role":"user","content":[` + user + `]}],"system":[` + s + `]}`, "system[0]." + strings.TrimPrefix(pattern, "system[].")
	}
	if o, ok := put("stream_options.", `{MEMBER}`); ok {
		return `{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream_options":` + o + `}`, pattern
	}
	return `{"model":"m","messages":[{"role":"user","content":[` + user + `]},{"role":"assistant","content":[` + strings.Replace(assistant, `{"text"`, map[bool]string{true: `{"type":"text","text"`, false: `{"text"`}[chat], 1) + `]}],` + member(pattern) + `}`, pattern
}
