package bedrock_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/aws/aws-sdk-go-v2/credentials"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// A call of Converse. Against AWS itself, Region alone is enough: the endpoint follows from
// it, and the credentials are found as AWS's tools find them.
func Example() {
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.RequestURI)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"output":{"message":{"role":"assistant","content":[{"text":"Hello!"}]}},"stopReason":"end_turn","usage":{"inputTokens":8,"outputTokens":3,"totalTokens":11}}`)
	}))
	defer aws.Close()

	provider, err := bedrock.New(bedrock.Config{
		Region: "eu-central-1", Endpoint: aws.URL,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "an-invented-secret", ""),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer provider.Close()

	const model = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
	stream, err := provider.Call(context.Background(), model, &llm.Request{
		Endpoint: llm.Chat, Dialect: dialect.Converse{}, Model: model,
		Body: []byte(`{"messages":[{"role":"user","content":[{"text":"Say hello."}]}]}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := llm.Collect(stream)
	fmt.Println(res.Finish, res.Usage.Input, res.Usage.Output, err)
	// Output:
	// POST /model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse
	// stop 8 3 <nil>
}
