package bedrock

import (
	"context"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

// CountTokens returns how many input tokens Bedrock counts in req for model. It costs
// nothing and is one call over the network within the bounds of any other. Not every
// model can be asked, and inference profiles of some cannot: Bedrock then says so with an
// error of kind ProviderRejected. Other errors are those of Call.
func (p *Provider) CountTokens(ctx context.Context, model string, req *llm.Request) (int64, error) {
	req = forModel(req, model)
	if req.Stream { // tokens are counted in one piece
		c := *req
		c.Stream, req = false, &c
	}
	if _, err := p.action(req); err != nil {
		return 0, p.line.About(req.Model, err)
	}
	body, err := dialect.CountTokensBody(req)
	if err != nil {
		return 0, p.line.About(req.Model, llm.AsError(err))
	}
	x, err := p.open(ctx, "count-tokens", req, body)
	if err != nil {
		return 0, err
	}
	defer x.Release()
	answer, err := x.ReadAll(x.Bounds().MaxBody)
	if err != nil {
		return 0, x.Failed(err)
	}
	n, err := dialect.DecodeTokenCount(answer)
	if err != nil {
		return 0, x.Failed(err)
	}
	return n, nil
}

// count is the Call of llm.CountTokens: its answer is that of Bedrock's CountTokens.
func (p *Provider) count(ctx context.Context, req *llm.Request) (llm.Stream, error) {
	n, err := p.CountTokens(ctx, req.Model, req)
	if err != nil {
		return nil, err
	}
	return &llm.OneChunk{Chunk: llm.Chunk{
		Raw: dialect.AppendTokenCount(nil, n), Events: 1, Last: true, Useful: true, Model: req.Model,
	}}, nil
}
