package openai_test

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

func ExampleParseChat() {
	head, err := openai.ParseChat([]byte(`{"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "hi"}]}`))
	fmt.Println(head.Model, head.Stream, err)

	_, err = openai.ParseChat([]byte("{\"model\": \"a\",\n \"messages\": [{\"role\": \"user\", \"role\": \"system\"}]}"))
	fmt.Println(err)
	// Output:
	// gpt-4o-mini true <nil>
	// caller_invalid_request: the request body is not valid: duplicate member "role" at byte 46 (line 2, column 32), in /messages/0/role. Send each member once.
}

func ExampleReader() {
	body := `data: {"model":"m","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}

data: {"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

`
	r := openai.NewReader(strings.NewReader(body), openai.ReaderOptions{})
	for {
		chunk, err := r.Next()
		if errors.Is(err, io.EOF) {
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

func ExampleDialect_Canonical() {
	a, _ := openai.Dialect{}.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: []byte(`{"model":"m","temperature":0.10,"user":"ann","stream":true}`)}, false)
	b, _ := openai.Dialect{}.Canonical(nil, &llm.Request{Endpoint: llm.Chat, Body: []byte(`{ "temperature": 1e-1, "model": "m", "user": "bob" }`)}, false)
	fmt.Println(string(a))
	fmt.Println(string(a) == string(b))
	// Output:
	// {"model":"m","temperature":0.1}
	// true
}

func ExampleDialect_Reshape() {
	stored := openai.AppendStream(nil, &openai.Answer{ID: "chatcmpl-1", Model: "m", Text: "Hello"}, false)
	whole, err := openai.Dialect{}.Reshape(&llm.Request{Endpoint: llm.Chat, Stream: false}, stored, true)
	fmt.Println(string(whole), err)
	// Output:
	// {"object":"chat.completion","id":"chatcmpl-1","created":0,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}]} <nil>
}

func ExampleDecodeError() {
	e := openai.DecodeError(429, nil, []byte(`{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`))
	fmt.Println(e)
	// Output:
	// provider_quota_exceeded: You exceeded your current quota
}
