package bedrock_test

import (
	"bytes"
	"fmt"
	"io"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

func ExampleParseConverse() {
	head, err := bedrock.ParseConverse([]byte(`{"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {"maxTokens": 100}}`))
	fmt.Println(head.MaxTokens, head.HasTools, err)

	_, err = bedrock.ParseConverse([]byte("{\"messages\": [],\n \"messages\": []}"))
	fmt.Println(err)
	// Output:
	// 100 false <nil>
	// caller_invalid_request: the request body is not valid: duplicate member "messages" at byte 18 (line 2, column 2), in /messages. Send each member once.
}

// A connection that ends between two messages is not the end of an answer, though the
// SDKs take it for one.
func ExampleReader() {
	b := bedrock.AppendEvent(nil, "messageStart", []byte(`{"role":"assistant"}`))
	b = bedrock.AppendEvent(b, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":"Hello"}}`))
	r := bedrock.NewReader(bytes.NewReader(b), bedrock.ReaderOptions{})
	for {
		chunk, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(chunk.Events, chunk.Text())
	}
	// Output:
	// 2 Hello
	// provider_truncated: the provider's stream ended before its end mark
}

func ExampleConverse_Reshape() {
	stored := bedrock.Converse{}.Compose(&llm.Request{Endpoint: llm.Chat, Stream: true}, "Hello")
	whole, err := bedrock.Converse{}.Reshape(&llm.Request{Endpoint: llm.Chat, Stream: false}, stored, true)
	fmt.Println(string(whole), err)
	// Output:
	// {"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":0,"outputTokens":0,"totalTokens":0},"metrics":{"latencyMs":0}} <nil>
}

func ExampleAdapt() {
	req := &llm.Request{
		Endpoint: llm.Chat, Dialect: bedrock.Converse{}, Model: "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
		Body: []byte(`{"messages":[],"inferenceConfig":{"temperature":0.2,"topP":0.9}}`),
	}
	body, dropped, _ := bedrock.Adapt(req, bedrock.CapabilitiesOf(req.Model), false)
	fmt.Println(string(body), dropped)
	_, _, err := bedrock.Adapt(req, bedrock.CapabilitiesOf(req.Model), true)
	fmt.Println(err)
	// Output:
	// {"messages":[],"inferenceConfig":{"temperature":0.2}} [inferenceConfig.topP]
	// caller_invalid_request: model "eu.anthropic.claude-haiku-4-5-20251001-v1:0" does not take inferenceConfig.topP. Leave it out, or have Forebay drop what models do not take (on_unsupported: drop).
}

func ExampleEncodeError() {
	name, body := bedrock.EncodeError(&llm.Error{Kind: llm.PolicyBudgetExceeded, Message: "the month's budget is used up", SupportID: "req-1"})
	fmt.Println(name)
	fmt.Println(string(body))
	// Output:
	// ServiceQuotaExceededException
	// {"__type":"ServiceQuotaExceededException","message":"the month's budget is used up","error_type":"policy_budget_exceeded","support_id":"req-1"}
}
