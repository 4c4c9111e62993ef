package openai

import (
	"math"
	"time"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Head is what the request path wants to know of a request's body.
type Head struct {
	// Model is what the caller asks for; never empty.
	Model string
	// Stream says that the answer shall come in pieces, and IncludeUsage that these
	// shall end with a report of the tokens (stream_options.include_usage).
	Stream, IncludeUsage bool
	// User is the caller's name for its own user; may be empty.
	User string
	// MaxTokens bounds the answer, in tokens (max_completion_tokens, else
	// max_tokens). Zero where the caller sets no bound, or one that is not positive.
	MaxTokens int64
	// N is how many answers are asked for; at least 1.
	N int64
	// Cache is the body member cache, as LiteLLM has it: no-cache, no-store, ttl and
	// s-maxage in seconds, namespace.
	Cache llm.CacheDirectives
	// PromptBytes is the size of messages or input as it stands in the body, in bytes.
	PromptBytes int
	// HasTools says that the model may call tools or functions.
	HasTools bool

	// Inputs is how many texts (or arrays of tokens) to embed; 0 for chat.
	Inputs int
	// Dimensions is the length that vectors shall have. Zero means the model's own.
	Dimensions int64
	// Base64 says that vectors shall come as base64 (encoding_format), not as numbers.
	Base64 bool
}

// ParseChat reads the body of a chat completion strictly. Errors are of kind
// CallerInvalidRequest and name byte, line and column, the JSON pointer where one is
// known, and the parameter at fault. It refuses what is malformed (package comment),
// members that it reads but that have another type, and an absent or empty model or
// messages. Null stands for an absent member. Everything else passes.
func ParseChat(body []byte) (Head, error) {
	r, err := newHeadReader(body)
	if err != nil {
		return Head{}, err
	}
	h := Head{N: 1}
	var limit, oldLimit int64
	for ok := r.Open('{'); ok; ok = r.More('}') {
		switch string(r.Name()) {
		case "model":
			h.Model = r.text("model")
		case "messages":
			h.PromptBytes = r.List("messages")
		case "stream":
			h.Stream = r.flag("stream")
		case "stream_options":
			h.IncludeUsage = r.streamOptions()
		case "user":
			h.User = r.text("user")
		case "max_completion_tokens":
			limit = r.count("max_completion_tokens")
		case "max_tokens":
			oldLimit = r.count("max_tokens")
		case "n":
			h.N = max(r.count("n"), 1)
		case "cache":
			h.Cache = r.cache()
		case "tools", "functions":
			h.HasTools = r.List("tools") > 0 || h.HasTools
		default:
			r.Skip()
		}
	}
	if h.MaxTokens = limit; limit == 0 {
		h.MaxTokens = oldLimit
	}
	return r.finish(h, "messages")
}

// ParseEmbeddings reads the body of an embeddings request strictly, as ParseChat does.
// The input is a string, or an array of strings, tokens or arrays of tokens.
func ParseEmbeddings(body []byte) (Head, error) {
	r, err := newHeadReader(body)
	if err != nil {
		return Head{}, err
	}
	h := Head{N: 1}
	for ok := r.Open('{'); ok; ok = r.More('}') {
		switch string(r.Name()) {
		case "model":
			h.Model = r.text("model")
		case "input":
			h.PromptBytes, h.Inputs = r.input()
		case "user":
			h.User = r.text("user")
		case "dimensions":
			h.Dimensions = r.count("dimensions")
		case "encoding_format":
			h.Base64 = r.text("encoding_format") == "base64"
		case "cache":
			h.Cache = r.cache()
		default:
			r.Skip()
		}
	}
	return r.finish(h, "input")
}

// headReader reads what a head has.
type headReader struct{ edge.Reader }

func newHeadReader(text []byte) (headReader, error) {
	r, err := edge.NewReader(text)
	return headReader{r}, err
}

// finish returns h, or what is wrong with the body as a whole. prompt is the member
// that PromptBytes measures.
func (r *headReader) finish(h Head, prompt string) (Head, error) {
	switch {
	case r.Err != nil:
		return Head{}, r.Err
	case r.Bad:
		// The grammar was checked by jsontext: it can only be the depth.
		return Head{}, edge.Explain(r.Text)
	case h.Model == "":
		return Head{}, missing("model", "Name the model that shall answer.")
	case h.PromptBytes == 0:
		return Head{}, missing(prompt, "Send at least one message or text in "+prompt+".")
	}
	return h, nil
}

func missing(param, fix string) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerInvalidRequest, Param: param, Fix: fix,
		Message: "the member " + param + " is missing or empty",
	}
}

func (r *headReader) text(param string) string {
	if r.Peek() == '"' {
		inner, escaped := r.Quoted()
		if escaped {
			inner = scan.Unescape(inner)
		}
		return string(inner)
	}
	if !r.Null() {
		r.Refuse(param, "a string")
	}
	return ""
}

func (r *headReader) flag(param string) bool {
	switch r.Peek() {
	case 't':
		r.Literal("true")
		return true
	case 'f':
		r.Literal("false")
	case 'n':
		r.Literal("null")
	default:
		r.Refuse(param, "a boolean")
	}
	return false
}

// count reads a number of things: what is not positive counts as none.
func (r *headReader) count(param string) int64 {
	switch ch := r.Peek(); {
	case ch == '-' || '0' <= ch && ch <= '9':
		return max(scan.Integer(r.Number()), 0)
	case !r.Null():
		r.Refuse(param, "a number")
	}
	return 0
}

// input returns the size of what is to be embedded, and of how many texts it is made.
func (r *headReader) input() (size, texts int) {
	start := r.At
	switch r.Peek() {
	case '"':
		r.Quoted()
		return r.At - start, 1
	case '[':
		for ok := r.Open('['); ok; ok = r.More(']') {
			if ch := r.Peek(); ch == '"' || ch == '[' || texts == 0 {
				texts++ // numbers are the tokens of one text
			}
			r.Skip()
		}
		if texts > 0 {
			return r.At - start, texts
		}
	case 'n':
		r.Null()
	default:
		r.Refuse("input", "a string or an array")
	}
	return 0, 0
}

func (r *headReader) streamOptions() (includeUsage bool) {
	if r.Null() {
		return false
	}
	if r.Peek() != '{' {
		r.Refuse("stream_options", "an object")
	}
	for ok := r.Open('{'); ok; ok = r.More('}') {
		if string(r.Name()) == "include_usage" {
			includeUsage = r.flag("stream_options.include_usage")
		} else {
			r.Skip()
		}
	}
	return includeUsage
}

// cache reads LiteLLM's member. What it says is about this call alone, and never
// reaches a provider or the cache key as it stands.
func (r *headReader) cache() (d llm.CacheDirectives) {
	if r.Null() {
		return d
	}
	if r.Peek() != '{' {
		r.Refuse("cache", "an object")
	}
	for ok := r.Open('{'); ok; ok = r.More('}') {
		switch string(r.Name()) {
		case "no-cache":
			d.NoRead = r.flag("cache.no-cache") || d.NoRead
		case "no-store":
			d.NoWrite = r.flag("cache.no-store")
		case "ttl":
			d.TTL, _ = r.seconds("cache.ttl")
		case "s-maxage":
			age, given := r.seconds("cache.s-maxage")
			if d.MaxAge = age; given && age == 0 {
				d.NoRead = true // nothing that is stored is that young
			}
		case "namespace":
			d.Namespace = r.text("cache.namespace")
		default:
			r.Skip()
		}
	}
	return d
}

// seconds reads a duration; null is none. A negative one is refused, because every
// guess at what it means would serve answers that the caller did not want.
func (r *headReader) seconds(param string) (d time.Duration, given bool) {
	ch := r.Peek()
	if r.Null() {
		return 0, false
	}
	if ch < '0' || ch > '9' {
		r.Refuse(param, "a number of seconds, not negative,")
		return 0, false
	}
	const most = int64(math.MaxInt64 / time.Second)
	return time.Duration(min(scan.Integer(r.Number()), most)) * time.Second, true
}
