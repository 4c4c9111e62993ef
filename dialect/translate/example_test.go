package translate_test

import (
	"context"
	"fmt"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

func ExampleChatToConverse() {
	req := &llm.Request{
		Dialect: openai.Dialect{}, Endpoint: llm.Chat, Model: "eu.amazon.nova-lite-v1:0",
		Body: []byte(`{"model":"nova","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}],"max_tokens":100,"seed":7}`),
	}
	body, dropped, err := translate.ChatToConverse(req)
	fmt.Printf("%s\ndropped %v, error %v\n", body, dropped, err)
	// Output:
	// {"messages":[{"role":"user","content":[{"text":"Hello"}]}],"system":[{"text":"Be brief."}],"inferenceConfig":{"maxTokens":100}}
	// dropped [seed], error <nil>
}

func ExampleConverseToChat() {
	req := &llm.Request{
		Dialect: bedrock.Converse{}, Endpoint: llm.Chat, Stream: true,
		Body: []byte(`{"messages":[{"role":"user","content":[{"text":"Hello"}]}],"inferenceConfig":{"maxTokens":100}}`),
	}
	body, _, _ := translate.ConverseToChat(req, "gpt-5-mini")
	fmt.Printf("%s\n", body)
	// Output:
	// {"model":"gpt-5-mini","stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":100,"messages":[{"role":"user","content":"Hello"}]}
}

func ExampleProvider() {
	// A provider that speaks Converse; provider/bedrock is a real one.
	inner := &answering{body: []byte(`{"output":{"message":{"role":"assistant","content":[{"text":"Hello!"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}`)}
	p := translate.Provider(inner, bedrock.Converse{})
	s, err := p.Call(context.Background(), "eu.amazon.nova-lite-v1:0", &llm.Request{
		Dialect: openai.Dialect{}, Endpoint: llm.Chat,
		Body: []byte(`{"model":"nova","messages":[{"role":"user","content":"Hello"}]}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := llm.Collect(s)
	fmt.Println(res.Finish, res.Usage.Input, res.Usage.Output, err)
	// Output:
	// stop 3 2 <nil>
}
