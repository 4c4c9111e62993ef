package bedrock_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

// TestJoin turns streams into whole bodies.
func TestJoin(t *testing.T) {
	for _, c := range []struct {
		name   string
		req    *llm.Request
		stream []byte
		want   string
	}{
		{"converse", conversing(asked), spoken, `{"output":{"message":{"role":"assistant","content":[
			{"reasoningContent":{"reasoningText":{"text":"hm","signature":"c2ln"}}},{"text":"Guten Tag 😀"},
			{"toolUse":{"toolUseId":"t1","name":"weather","input":{"city":"Bonn"}}}]}},
			"stopReason":"tool_use","additionalModelResponseFields":{"x":1},
			"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":15,"cacheReadInputTokens":4,"cacheWriteInputTokens":3},"metrics":{"latencyMs":7}}`},
		{"every kind of block", conversing(asked), stream(
			"messageStart", `{"role":"assistant"}`,
			"contentBlockDelta", `{"contentBlockIndex":4,"delta":{"text":"last"}}`,
			"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"cmU="}}}`,
			"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"ZA=="}}}`,
			"contentBlockStart", `{"contentBlockIndex":1,"start":{"image":{"format":"png"}}}`,
			"contentBlockDelta", `{"contentBlockIndex":1,"delta":{"image":{"source":{"bytes":"aW1hZw=="}}}}`,
			"contentBlockDelta", `{"contentBlockIndex":1,"delta":{"image":{"source":{"bytes":"ZQ=="}}}}`,
			"contentBlockStart", `{"contentBlockIndex":2,"start":{"toolResult":{"toolUseId":"t","status":"success","type":"x"}}}`,
			"contentBlockDelta", `{"contentBlockIndex":2,"delta":{"toolResult":[{"text":"a"}]}}`,
			"contentBlockDelta", `{"contentBlockIndex":2,"delta":{"toolResult":[{"json":{"b":1}}]}}`,
			"contentBlockDelta", `{"contentBlockIndex":3,"delta":{"text":"said"}}`,
			"contentBlockDelta", `{"contentBlockIndex":3,"delta":{"citation":{"title":"t","location":{"web":{"url":"u"}}}}}`,
			"contentBlockStart", `{"contentBlockIndex":5,"start":{"toolUse":{"toolUseId":"t","name":"n"}}}`,
			"contentBlockStop", `{"contentBlockIndex":5}`,
			"contentBlockStop", `{"contentBlockIndex":6}`,
			"newEvent", `{"what":"ever"}`,
			"messageStop", `{"stopReason":"end_turn"}`,
			"metadata", `{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"trace":{"guardrail":{}},"serviceTier":{"type":"flex"},"new":1}`,
		), `{"output":{"message":{"role":"assistant","content":[
			{"reasoningContent":{"redactedContent":"cmVk"}},{"image":{"format":"png","source":{"bytes":"aW1hZ2U="}}},
			{"toolResult":{"toolUseId":"t","status":"success","type":"x","content":[{"text":"a"},{"json":{"b":1}}]}},
			{"citationsContent":{"content":[{"text":"said"}],"citations":[{"title":"t","location":{"web":{"url":"u"}}}]}},
			{"text":"last"},{"toolUse":{"toolUseId":"t","name":"n","input":{}}}]}},
			"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"trace":{"guardrail":{}},"serviceTier":{"type":"flex"},"new":1}`},
		{"halves of a pair", conversing(asked), stream(
			"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"\ud83d"}}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"\ude00"}}`,
			"messageStop", `{"stopReason":"end_turn"}`, "metadata", `{}`,
		), `{"output":{"message":{"role":"assistant","content":[{"text":"😀"}]}},"stopReason":"end_turn"}`},
		{"anthropic", invoking("anthropic.x", asked), claude, `{"id":"m","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hi"}],
			"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":2,"output_tokens":9}}`},
		{"anthropic's blocks", invoking("arn:aws:bedrock:eu-central-1:1:application-inference-profile/x", asked), chunks(
			`{"type":"message_start","message":{"id":"m","type":"message","content":[],"usage":{"input_tokens":1}}}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}`,
			`{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"x"}}`,
			`{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","citations":[]}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"a"}}`,
			`{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"cited_text":"c"}}}`,
			`{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}`,
			`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}`,
			`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`,
			`{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"1}"}}`,
			`{"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}`,
			`{"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":""}}`,
			`{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":5,"input_tokens":null}}`,
			`{"type":"message_stop","amazon-bedrock-guardrailAction":"NONE","amazon-bedrock-invocationMetrics":{}}`,
		), `{"id":"m","type":"message","content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"x"},
			{"type":"text","text":"a","citations":[{"cited_text":"c"}]},{"type":"tool_use","id":"t","name":"n","input":{"a":1}},{"type":"tool_use","id":"t","name":"n","input":{}}],
			"usage":{"input_tokens":1,"output_tokens":5},"stop_reason":"tool_use","stop_sequence":null,"amazon-bedrock-guardrailAction":"NONE"}`},
		{"nova", invoking("amazon.nova-x", asked), chunks(
			`{"messageStart":{"role":"assistant"}}`, `{"contentBlockDelta":{"delta":{"text":"a"},"contentBlockIndex":0}}`, `{"contentBlockStop":{"contentBlockIndex":0}}`,
			`{"contentBlockDelta":{"delta":{"text":"b"},"contentBlockIndex":1}}`,
			`{"contentBlockStart":{"start":{"toolUse":{"toolUseId":"t","name":"n"}},"contentBlockIndex":2}}`,
			`{"contentBlockDelta":{"delta":{"toolUse":{"input":"{}"}},"contentBlockIndex":2}}`,
			`{"contentBlockDelta":{"delta":{"text":"c"},"contentBlockIndex":3}}`,
			`{"messageStop":{"stopReason":"tool_use"}}`,
			`{"metadata":{"usage":{"inputTokens":1,"outputTokens":2},"metrics":{},"trace":{}},"amazon-bedrock-trace":{"t":1},"amazon-bedrock-invocationMetrics":{}}`,
		), `{"output":{"message":{"role":"assistant","content":[{"text":"ab"},{"toolUse":{"toolUseId":"t","name":"n","input":{}}},{"text":"c"}]}},
			"stopReason":"tool_use","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{},"trace":{},"amazon-bedrock-trace":{"t":1}}`},
		{"titan", invoking("amazon.titan-text-x", `{"inputText":"a"}`), chunks(
			`{"outputText":"a","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":4}`,
			`{"outputText":"b","index":0,"totalOutputTextTokenCount":2,"completionReason":"FINISH","inputTextTokenCount":null,"amazon-bedrock-invocationMetrics":{}}`,
		), `{"inputTextTokenCount":4,"results":[{"tokenCount":2,"outputText":"ab","completionReason":"FINISH"}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.req.Dialect.Reshape(c.req, c.stream, true)
			if err != nil || !c.req.Dialect.Covers(c.req, c.stream, true) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(jsonOf([]byte(c.want)), jsonOf(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			streamed := *c.req
			streamed.Stream = true
			if err := checkReshape(c.req, &streamed, got); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoCounterpart has what only one of the forms can say, and what cannot be read.
func TestNoCounterpart(t *testing.T) {
	whole := func(content string) []byte {
		return []byte(`{"output":{"message":{"role":"assistant","content":[` + content + `]}},"stopReason":"end_turn","usage":{}}`)
	}
	end := []string{"messageStop", `{"stopReason":"max_tokens"}`, "metadata", `{}`}
	for name, c := range map[string]struct {
		req    *llm.Request // its form is the other one
		answer []byte
	}{
		"guarded content":                  {conversing(asked), whole(`{"guardContent":{}}`)},
		"two kinds in a block":             {conversing(asked), whole(`{"text":"a","image":{}}`)},
		"audio":                            {conversing(asked), whole(`{"audio":{}}`)},
		"text of another type":             {conversing(asked), whole(`{"text":3}`)},
		"thought of more":                  {conversing(asked), whole(`{"reasoningContent":{"reasoningText":{"text":"a","new":"b"}}}`)},
		"no sources":                       {conversing(asked), whole(`{"citationsContent":{"content":[{"text":"a"}],"citations":[]}}`)},
		"no output":                        {conversing(asked), []byte(`{}`)},
		"no JSON":                          {conversing(asked), []byte(`{`)},
		"llama":                            {invoking("meta.x", `{}`), []byte(`{"generation":"a","stop_reason":"stop"}`)},
		"two results":                      {invoking("amazon.titan-text-x", `{}`), []byte(`{"results":[{},{}]}`)},
		"cut input":                        {conversing(asked), stream(append([]string{"contentBlockStart", `{"contentBlockIndex":0,"start":{"toolUse":{"name":"n"}}}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"a\":"}}}`}, end...)...)},
		"new delta":                        {conversing(asked), stream(append([]string{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"smell":"x"}}`}, end...)...)},
		"new beginning":                    {conversing(asked), stream(append([]string{"contentBlockStart", `{"contentBlockIndex":0,"start":{"smell":{}}}`}, end...)...)},
		"text and thought":                 {conversing(asked), stream(append([]string{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"x"}}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"x"}}}`}, end...)...)},
		"image whose pieces are no base64": {conversing(asked), stream(append([]string{"contentBlockStart", `{"contentBlockIndex":0,"start":{"image":{}}}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"image":{"source":{"bytes":"aW1hZ2U="}}}}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"image":{"source":{"bytes":"?"}}}}`}, end...)...)},
		"image without source":             {conversing(asked), stream(append([]string{"contentBlockStart", `{"contentBlockIndex":0,"start":{"image":{}}}`, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"image":{"error":{}}}}`}, end...)...)},
		"no end":                           {conversing(asked), spoken[:100]},
		"an exception":                     {conversing(asked), bedrock.AppendException(nil, "throttlingException", "x")},
		"anthropic's new one":              {invoking("anthropic.x", asked), chunks(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"smell_delta"}}`, `{"type":"message_stop"}`)},
		"anthropic's cut call":             {invoking("anthropic.x", asked), chunks(`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":{}}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}`, `{"type":"message_stop"}`)},
		"llama's stream":                   {invoking("meta.x", `{}`), chunks(`{"generation":"a","amazon-bedrock-invocationMetrics":{}}`)},
	} {
		streamed := c.answer[0] != 0
		req := *c.req
		req.Stream = streamed
		if req.Dialect.Covers(&req, c.answer, !streamed) {
			t.Errorf("%s is covered", name)
		}
		if out, err := req.Dialect.Reshape(&req, c.answer, !streamed); llm.KindOf(err) != llm.ForebayInternal || out != nil {
			t.Errorf("%s: %s, %v", name, out, err)
		}
		if out, err := req.Dialect.Reshape(&req, c.answer, streamed); err != nil || !bytes.Equal(out, c.answer) || !req.Dialect.Covers(&req, c.answer, streamed) {
			t.Errorf("%s in its own form: %v", name, err)
		}
	}
}

// TestReshapeDrawn draws whole answers of Converse and of Anthropic: as events and back
// they are the same.
func TestReshapeDrawn(t *testing.T) {
	said := rapid.String()
	input := rapid.SampledFrom([]string{`{}`, `{"a":1.50,"b":[null,true,"\u00e9\ud83d\ude00"]}`, `{"a":{"b":{"c":"\"}"}}}`})
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	converse := rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return `{"toolUse":{"toolUseId":"t","name":` + quoted(said.Draw(t, "name")) + `,"input":` + input.Draw(t, "input") + `}}`
		case 1:
			return `{"reasoningContent":{"reasoningText":{"text":` + quoted(said.Draw(t, "thought")) + `,"signature":"c2ln"}}}`
		case 2:
			return `{"reasoningContent":{"redactedContent":"cmVk"}}`
		case 3:
			return `{"citationsContent":{"content":[{"text":` + quoted(said.Draw(t, "text")) + `}],"citations":[{"title":"a"},{"title":"b"}]}}`
		}
		return `{"text":` + quoted(said.Draw(t, "text")) + `}`
	})
	anthropic := rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return `{"type":"tool_use","id":"t","name":` + quoted(said.Draw(t, "name")) + `,"input":` + input.Draw(t, "input") + `}`
		case 1:
			return `{"type":"thinking","thinking":` + quoted(said.Draw(t, "thought")) + `,"signature":"c2ln"}`
		case 2:
			return `{"type":"web_search_tool_result","tool_use_id":"t","content":[{"url":"u"}]}`
		}
		return `{"type":"text","text":` + quoted(said.Draw(t, "text")) + `}`
	})
	rapid.Check(t, func(t *rapid.T) {
		req := conversing(asked)
		body := `{"output":{"message":{"role":"assistant","content":[` + strings.Join(rapid.SliceOfN(converse, 0, 5).Draw(t, "content"), ",") +
			`]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7},"metrics":{"latencyMs":5}}`
		if rapid.Bool().Draw(t, "invoke") {
			req = invoking("anthropic.x", asked)
			body = `{"id":"m","type":"message","role":"assistant","content":[` + strings.Join(rapid.SliceOfN(anthropic, 0, 5).Draw(t, "content"), ",") +
				`],"stop_reason":"stop_sequence","stop_sequence":"END","usage":{"input_tokens":3,"output_tokens":4}}`
		}
		streamed := *req
		streamed.Stream = true
		if err := checkReshape(req, &streamed, []byte(body)); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	})
}

func TestCompose(t *testing.T) {
	for _, c := range []struct {
		req  *llm.Request
		none bool
	}{
		{conversing(asked), false},
		{invoking("eu.anthropic.claude-haiku-4-5", asked), false},
		{invoking("amazon.nova-micro-v1:0", asked), false},
		{invoking("amazon.titan-text-lite-v1", `{"inputText":"a"}`), false},
		{invoking("arn:aws:bedrock:eu-central-1:1:application-inference-profile/x", `{"anthropic_version":"bedrock-2023-05-31","messages":[]}`), false},
		{invoking("arn:aws:bedrock:eu-central-1:1:application-inference-profile/x", `{"schemaVersion":"messages-v1","messages":[]}`), false},
		{invoking("arn:aws:bedrock:eu-central-1:1:application-inference-profile/x", `{"inputText":"a"}`), false},
		{invoking("arn:aws:bedrock:eu-central-1:1:application-inference-profile/x", `{}`), true},
		{invoking("meta.llama3", asked), true},
		{&llm.Request{Endpoint: llm.Embeddings, Dialect: bedrock.Converse{}}, true},
		{&llm.Request{Endpoint: llm.Embeddings, Dialect: bedrock.Invoke{}}, true},
	} {
		for _, streamed := range []bool{false, true} {
			c.req.ID, c.req.Stream = "1", streamed
			body := c.req.Dialect.Compose(c.req, "we are \"closed\"\n")
			if c.none {
				if body != nil {
					t.Errorf("%s: %s", c.req.Model, body)
				}
				continue
			}
			a, err := read(c.req, body)
			if err != nil || a.text != "we are \"closed\"\n" || a.Finish != llm.FinishStop || !a.Usage.IsZero() || !a.useful {
				t.Errorf("%s, %v: %q, %v, %v", c.req.Model, streamed, a.text, a.Usage, err)
			}
		}
	}
}
