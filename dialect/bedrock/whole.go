package bedrock

import (
	"bytes"
	"net/http"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// ReadWhole reads a whole answer to req that came with a status of success. The chunk's
// Raw is body itself, which must not change afterwards. Its Usage is what body says;
// bodies of InvokeModel that say nothing have it in the answer's header (HeaderUsage).
//
// It fails with ProviderMalformed where body is not an answer (a page of HTML, an object
// without output, a request for vectors that has none), and with the kind that
// DecodeError finds where body reports an error in spite of its status.
func ReadWhole(req *llm.Request, body []byte) (llm.Chunk, error) {
	var f findings
	if !f.object(body) {
		e := llm.Errorf(llm.ProviderMalformed, "the provider's answer is not a JSON object")
		if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 {
			e.Message = "the provider's answer is empty"
		} else if trimmed[0] == '<' {
			e.Message = "the provider answered with a page, not with JSON"
			e.Fix = "Check the provider's endpoint."
		}
		return llm.Chunk{}, e
	}
	if f.failed {
		return llm.Chunk{}, DecodeError(0, nil, body)
	}
	_, invoke := req.Dialect.(Invoke)
	if !f.answer {
		if !invoke {
			return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer has no output")
		}
		if req.Endpoint == llm.Embeddings {
			return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer has no embedding")
		}
	}
	chunk := llm.Chunk{
		Raw: body, Events: 1, Last: true, Useful: f.useful || !f.answer,
		Usage: f.used(), Finish: f.finish(), Model: string(scan.Unescape(f.model)),
	}
	if chunk.Model == "" {
		chunk.Model = req.Model
	}
	if req.Endpoint == llm.Chat {
		chunk.Text = func() string { return wholeText(body) }
	}
	return chunk, nil
}

// wholeText is the text of a whole answer.
func wholeText(body []byte) string {
	f := findings{texts: true}
	f.object(body)
	return string(f.text)
}

// HeaderUsage reads the counts that Bedrock puts into the header of InvokeModel's
// answers, whoever's model it is. It is zero where there are none.
func HeaderUsage(h http.Header) llm.Usage {
	count := func(name string) int64 {
		c := scan.Cursor{Text: []byte(h.Get(name))}
		if n := c.Count(); c.Whole() {
			return n
		}
		return 0
	}
	return llm.Usage{
		Input:      count("X-Amzn-Bedrock-Input-Token-Count"),
		Output:     count("X-Amzn-Bedrock-Output-Token-Count"),
		CacheRead:  count("X-Amzn-Bedrock-Cache-Read-Input-Token-Count"),
		CacheWrite: count("X-Amzn-Bedrock-Cache-Write-Input-Token-Count"),
	}
}
