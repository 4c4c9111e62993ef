package openai

import (
	"bytes"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// ReadWhole reads a whole answer that came with a status of success. The chunk's
// Raw is body itself, which must not change afterwards.
//
// It fails with ProviderMalformed where body is not an answer to endpoint (a page
// of HTML, or an object without choices or data), and with the kind that
// DecodeError finds where body reports an error in spite of its status.
func ReadWhole(endpoint llm.Endpoint, body []byte) (llm.Chunk, error) {
	var f findings
	ends := endings{whole: true}
	if !skim(body, &f, &ends) {
		e := llm.Errorf(llm.ProviderMalformed, "the provider's answer is not a JSON object")
		if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 {
			e.Message = "the provider's answer is empty"
		} else if trimmed[0] == '<' {
			e.Message = "the provider answered with a page, not with JSON"
			e.Fix = "Check the provider's base_url."
		}
		return llm.Chunk{}, e
	}
	if f.failed {
		return llm.Chunk{}, DecodeError(0, nil, body)
	}
	if endpoint == llm.Chat && f.choices < 0 {
		return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer has no choices")
	}
	if endpoint == llm.Embeddings && !f.vectors {
		return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer has no data")
	}
	chunk := llm.Chunk{
		Raw: body, Events: 1, Last: true, Useful: f.useful,
		Usage: f.usage, Finish: ends.reason(), Model: string(f.model),
	}
	if bytes.IndexByte(f.model, '\\') >= 0 {
		chunk.Model = string(scan.Unescape(f.model))
	}
	if endpoint == llm.Chat {
		chunk.Text = func() string { return wholeText(body) }
	}
	return chunk, nil
}
