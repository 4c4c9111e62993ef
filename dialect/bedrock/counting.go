package bedrock

import (
	"encoding/base64"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// counted are the members of a request that CountTokens takes of Converse's.
var counted = [...]string{"messages", "system", "toolConfig", "additionalModelRequestFields"}

// CountTokensBody makes the body of CountTokens that asks how many tokens req has: what
// of Converse's body counts, or the model's own body. It needs no more than the model's
// path with count-tokens at its end. A body that is no JSON object is an *llm.Error of
// kind CallerInvalidRequest, and so is a request in another dialect.
func CountTokensBody(req *llm.Request) ([]byte, error) {
	switch req.Dialect.(type) {
	case Invoke:
		if _, err := edge.Strict(req.Body); err != nil {
			return nil, err
		}
		body := base64.StdEncoding.AppendEncode([]byte(`{"input":{"invokeModel":{"body":"`), req.Body)
		return append(body, `"}}}`...), nil
	case Converse:
		if _, err := edge.Strict(req.Body); err != nil {
			return nil, err
		}
		dst := []byte(`{"input":{"converse":{`)
		for _, name := range counted {
			m, ok := member(req.Body, 0, name)
			if !ok {
				continue
			}
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = append(append(append(append(dst, '"'), name...), `":`...), req.Body[m.value:m.end]...)
		}
		return append(dst, "}}}"...), nil
	}
	return nil, llm.Errorf(llm.CallerInvalidRequest, "only requests of Bedrock's can be counted by Bedrock")
}

// DecodeTokenCount reads the answer of CountTokens. One without a count is an *llm.Error
// of kind ProviderMalformed.
func DecodeTokenCount(body []byte) (tokens int64, err error) {
	n, ok := scan.Parse(body, maxAnswerDepth).Get("inputTokens").Number()
	if !ok || n < 0 {
		return 0, llm.Errorf(llm.ProviderMalformed, "the provider's answer has no inputTokens")
	}
	return n, nil
}

// AppendTokenCount appends the answer of CountTokens.
func AppendTokenCount(dst []byte, tokens int64) []byte {
	return append(strconv.AppendInt(append(dst, `{"inputTokens":`...), tokens, 10), '}')
}
