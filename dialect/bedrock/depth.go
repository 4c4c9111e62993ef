package bedrock

import "github.com/forebay-ai/forebay/dialect/internal/edge"

const (
	// MaxDepth is how deep objects and arrays of a request may be nested: the schemas of
	// tools are the deepest part.
	MaxDepth = edge.MaxDepth
	// maxAnswerDepth bounds the nesting of what providers send; documents of tools and
	// traces of guardrails are about 20 deep.
	maxAnswerDepth = 256
)
