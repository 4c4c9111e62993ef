package openai

import "github.com/forebay-ai/forebay/dialect/internal/edge"

// MaxDepth is how deep objects and arrays of a request may be nested.
const MaxDepth = edge.MaxDepth
