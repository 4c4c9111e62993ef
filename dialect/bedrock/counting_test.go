package bedrock_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

func TestCountTokens(t *testing.T) {
	for _, c := range []struct {
		req  *llm.Request
		want string
	}{
		{
			conversing(`{"inferenceConfig":{"maxTokens":3},"messages": [1 ],"system":[2],"toolConfig":{"a":1},"additionalModelRequestFields":{"b":2},"x":1}`),
			`{"input":{"converse":{"messages":[1 ],"system":[2],"toolConfig":{"a":1},"additionalModelRequestFields":{"b":2}}}}`,
		},
		{conversing(`{}`), `{"input":{"converse":{}}}`},
		{invoking("m", `{"a":1}`), `{"input":{"invokeModel":{"body":"eyJhIjoxfQ=="}}}`},
	} {
		if got, err := bedrock.CountTokensBody(c.req); err != nil || string(got) != c.want {
			t.Errorf("%s, %v", got, err)
		}
	}
	if _, err := bedrock.CountTokensBody(&llm.Request{Body: []byte(`{}`)}); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Error(err)
	}
	if n, err := bedrock.DecodeTokenCount(bedrock.AppendTokenCount(nil, 42)); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{``, `{}`, `{"inputTokens":"3"}`, `{"inputTokens":-1}`} {
		if _, err := bedrock.DecodeTokenCount([]byte(bad)); llm.KindOf(err) != llm.ProviderMalformed {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTitanVectors(t *testing.T) {
	body := bedrock.AppendTitanText(nil, bedrock.TitanText{Text: "a \"b\"", Dimensions: 256})
	if head, err := bedrock.ParseInvoke("amazon.titan-embed-text-v2:0", body); err != nil || head.Inputs != 1 || head.Dimensions != 256 {
		t.Errorf("%s: %+v, %v", body, head, err)
	}
	if body := bedrock.AppendTitanText(nil, bedrock.TitanText{Text: "a"}); string(body) != `{"inputText":"a"}` {
		t.Errorf("%s", body)
	}
	vector := []float32{0.1, -3e-9, 0, float32(math.Inf(1))}
	got, tokens, err := bedrock.DecodeTitanVector(bedrock.AppendTitanVector(nil, vector, 7))
	if diff := cmp.Diff([]float32{0.1, -3e-9, 0, 0}, got); diff != "" || tokens != 7 || err != nil {
		t.Errorf("%d, %v (-want +got):\n%s", tokens, err, diff)
	}
	for _, bad := range []string{``, `{}`, `{"embedding":[]}`, `{"embedding":["x"]}`, `{"embedding":[1e99]}`, `{"embedding":3}`, `{"embedding":[1]`} {
		if _, _, err := bedrock.DecodeTitanVector([]byte(bad)); llm.KindOf(err) != llm.ProviderMalformed {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
