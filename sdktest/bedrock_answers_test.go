package sdktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// bedrockAnswer is what the server says: one body, or events of a type and a payload.
type bedrockAnswer struct {
	whole  []byte
	header map[string]string
	events [][2]string
}

// converseBody is what the server reads of a request.
type converseBody struct {
	Messages []struct {
		Role    string
		Content []struct {
			Text  *string
			Image *struct {
				Format string
				Source struct{ Bytes []byte }
			}
			ToolResult *struct {
				ToolUseID string `json:"toolUseId"`
				Content   []struct {
					Text string
					JSON json.RawMessage
				}
			}
		}
	}
	ToolConfig *struct {
		Tools []struct{ ToolSpec struct{ Name string } }
	}
}

// claudeBody is a body of InvokeModel for a model of Anthropic's.
type claudeBody struct {
	Version   string `json:"anthropic_version"`
	MaxTokens int    `json:"max_tokens"`
	Messages  []struct {
		Role    string
		Content json.RawMessage
	}
}

// answerTo is the answer to a call; it depends on nothing else.
func answerTo(model, action string, body []byte) (*bedrockAnswer, error) {
	switch action {
	case "converse", "converse-stream":
		var b converseBody
		if err := json.Unmarshal(body, &b); err != nil || len(b.Messages) == 0 {
			return nil, fmt.Errorf("no messages: %w", err)
		}
		text, tool := b.answer()
		if action == "converse" {
			return conversed(text, tool), nil
		}
		return conversedInPieces(text, tool), nil
	case "invoke", "invoke-with-response-stream":
		return invoked(model, action, body)
	case "count-tokens":
		return &bedrockAnswer{whole: []byte(`{"inputTokens":` + strconv.Itoa(len(body)) + `}`)}, nil
	}
	return nil, errors.New("no such call")
}

// answer makes words of the last message, or the call of a tool.
func (b *converseBody) answer() (text, tool string) {
	last := b.Messages[len(b.Messages)-1]
	for _, c := range last.Content {
		switch {
		case c.ToolResult != nil:
			for _, r := range c.ToolResult.Content {
				text += "It is " + r.Text + string(r.JSON) + " by " + c.ToolResult.ToolUseID + ". "
			}
		case c.Image != nil:
			text += fmt.Sprintf("I see a %s of %d bytes. ", c.Image.Format, len(c.Image.Source.Bytes))
		case c.Text != nil:
			text += "You said: " + *c.Text + " "
		}
	}
	if b.ToolConfig != nil && !strings.HasPrefix(text, "It is ") {
		return "", b.ToolConfig.Tools[0].ToolSpec.Name
	}
	return strings.TrimSpace(text), ""
}

const (
	toolUseID = "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q"
	// converseUsage is small enough for a price of it to be seen, and has the cache's counts.
	converseUsage = `"usage":{"inputTokens":30,"outputTokens":12,"totalTokens":49,"cacheReadInputTokens":5,"cacheWriteInputTokens":2},"metrics":{"latencyMs":7}`
)

func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string encodes
	return strings.TrimSpace(b.String())
}

func conversed(text, tool string) *bedrockAnswer {
	content, reason := `{"text":`+quoted(text)+`}`, "end_turn"
	if tool != "" {
		content, reason = `{"toolUse":{"toolUseId":"`+toolUseID+`","name":`+quoted(tool)+`,"input":{"city":"Berlin"}}}`, "tool_use"
	}
	return &bedrockAnswer{whole: []byte(`{"output":{"message":{"role":"assistant","content":[` + content + `]}},"stopReason":"` + reason + `",` + converseUsage + `}`)}
}

func conversedInPieces(text, tool string) *bedrockAnswer {
	a := &bedrockAnswer{events: [][2]string{{"messageStart", `{"role":"assistant"}`}}}
	add := func(name, payload string) { a.events = append(a.events, [2]string{name, payload}) }
	delta := func(payload string) { add("contentBlockDelta", `{"contentBlockIndex":0,"delta":`+payload+`}`) }
	reason := "end_turn"
	if tool != "" {
		reason = "tool_use"
		add("contentBlockStart", `{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"`+toolUseID+`","name":`+quoted(tool)+`}}}`)
		delta(`{"toolUse":{"input":"{\"city\":"}}`)
		delta(`{"toolUse":{"input":"\"Berlin\"}"}}`)
	} else {
		for piece := range strings.SplitAfterSeq(text, " ") {
			delta(`{"text":` + quoted(piece) + `}`)
		}
	}
	add("contentBlockStop", `{"contentBlockIndex":0}`)
	add("messageStop", `{"stopReason":"`+reason+`"}`)
	add("metadata", `{`+converseUsage+`}`)
	return a
}

// invoked answers in the model's own form: Anthropic's, or that of Titan's embeddings.
func invoked(model, action string, body []byte) (*bedrockAnswer, error) {
	if strings.HasPrefix(model, "amazon.titan-embed") {
		var b struct{ InputText string }
		if err := json.Unmarshal(body, &b); err != nil || b.InputText == "" {
			return nil, errors.New("no inputText")
		}
		n := len(strings.Fields(b.InputText))
		return &bedrockAnswer{
			whole:  fmt.Appendf(nil, `{"embedding":[0.5,-0.25,%d],"inputTextTokenCount":%d}`, len(b.InputText), n),
			header: map[string]string{"X-Amzn-Bedrock-Input-Token-Count": strconv.Itoa(n)},
		}, nil
	}
	var b claudeBody
	if err := json.Unmarshal(body, &b); err != nil || b.Version != "bedrock-2023-05-31" || b.MaxTokens == 0 || len(b.Messages) == 0 {
		return nil, errors.New("not a body of Anthropic's")
	}
	text := "You said: " + strings.Trim(string(b.Messages[len(b.Messages)-1].Content), `"`)
	if action == "invoke" {
		return &bedrockAnswer{
			whole: []byte(`{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":` + quoted(text) +
				`}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":30,"output_tokens":12}}`),
			header: map[string]string{"X-Amzn-Bedrock-Input-Token-Count": "30", "X-Amzn-Bedrock-Output-Token-Count": "12"},
		}, nil
	}
	a := &bedrockAnswer{}
	add := func(event string) {
		payload, _ := json.Marshal(struct {
			Bytes []byte `json:"bytes"`
		}{[]byte(event)})
		a.events = append(a.events, [2]string{"chunk", string(payload)})
	}
	add(`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":30,"output_tokens":1}}}`)
	add(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for piece := range strings.SplitAfterSeq(text, " ") {
		add(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":` + quoted(piece) + `}}`)
	}
	add(`{"type":"content_block_stop","index":0}`)
	add(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":12}}`)
	add(`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":30,"outputTokenCount":12,"invocationLatency":7,"firstByteLatency":3}}`)
	return a, nil
}
