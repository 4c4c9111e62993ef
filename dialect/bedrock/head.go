package bedrock

import (
	"math"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Head is what the request path wants to know of a request's body.
type Head struct {
	// MaxTokens bounds the answer, in tokens. Zero where the caller sets no bound, or one
	// that is not positive.
	MaxTokens int
	// PromptBytes is the size of the messages (or prompt, or text to embed) as they stand
	// in the body, in bytes.
	PromptBytes int
	// HasTools says that the model may call tools.
	HasTools bool
	// Inputs is how many texts to embed; 0 for everything but embeddings.
	Inputs int
	// User is the end user whom Anthropic's metadata.user_id names; empty where there is none.
	User string
	// Dimensions is the length that vectors shall have. Zero means the model's own.
	Dimensions int
}

// ParseConverse reads the body of Converse or ConverseStream strictly. Errors are of kind
// CallerInvalidRequest and name byte, line and column, the JSON pointer where one is
// known, and the parameter at fault. It refuses what is malformed (package comment),
// members that it reads but that have another type, and absent or empty messages. Null
// stands for an absent member. Everything else passes.
func ParseConverse(body []byte) (Head, error) {
	r, err := newHeadReader(body)
	if err != nil {
		return Head{}, err
	}
	var h Head
	managed := false // the path names a prompt of Bedrock's prompt management, which has the messages
	for ok := r.Open('{'); ok; ok = r.More('}') {
		switch string(r.Name()) {
		case "messages":
			h.PromptBytes = r.List("messages")
		case "inferenceConfig":
			h.MaxTokens = max(r.nested("inferenceConfig", "maxTokens"), h.MaxTokens)
		case "toolConfig":
			h.HasTools = r.tools("toolConfig")
		case "promptVariables":
			managed = r.Filled()
		default:
			r.Skip()
		}
	}
	if managed && h.PromptBytes == 0 {
		h.PromptBytes = len(body)
	}
	return r.finish(h, "messages")
}

// ParseInvoke reads the body of InvokeModel strictly, as ParseConverse does. The model,
// which may be an inference profile or an ARN, says whether it is a prompt or a text to
// embed; of a prompt's forms the members tell. Members of forms that are not known are
// the model's affair: their whole body counts as the prompt. It is one switch on purpose:
// it is the list of what the forms call the same things.
func ParseInvoke(model string, body []byte) (Head, error) {
	r, err := newHeadReader(body)
	if err != nil {
		return Head{}, err
	}
	var h Head
	prompt := ""
	for ok := r.Open('{'); ok; ok = r.More('}') {
		switch name := string(r.Name()); name {
		case "messages":
			prompt, h.PromptBytes = name, r.List(name)
		case "inputText", "prompt":
			prompt = name
			h.PromptBytes, h.Inputs = r.texts()
		case "texts", "inputs", "images":
			var n int
			n, h.Inputs = r.texts()
			h.PromptBytes += n
		case "max_tokens", "max_tokens_to_sample", "max_gen_len", "maxTokens", "max_completion_tokens":
			h.MaxTokens = max(r.count(name), h.MaxTokens)
		case "inferenceConfig":
			h.MaxTokens = max(r.nested(name, "maxTokens", "max_new_tokens"), h.MaxTokens)
		case "textGenerationConfig":
			h.MaxTokens = max(r.nested(name, "maxTokenCount"), h.MaxTokens)
		case "dimensions", "output_dimension":
			h.Dimensions = r.count(name)
		case "metadata":
			h.User = r.user()
		case "tools":
			h.HasTools = r.List(name) > 0
		case "toolConfig":
			h.HasTools = r.tools(name)
		default:
			r.Skip()
		}
	}
	if !IsEmbeddings(model) {
		h.Inputs, h.Dimensions = 0, 0
	} else if h.Inputs == 0 {
		h.Inputs = 1 // an image, or a form of its own
	}
	if prompt == "" && h.PromptBytes == 0 {
		h.PromptBytes = len(body)
	}
	return r.finish(h, prompt)
}

// user reads metadata.user_id.
func (r *headReader) user() (id string) {
	if r.Peek() != '{' {
		r.Skip()
		return ""
	}
	for ok := r.Open('{'); ok; ok = r.More('}') {
		if string(r.Name()) == "user_id" && r.Peek() == '"' {
			inner, _ := r.Quoted()
			id = string(scan.Unescape(inner))
		} else {
			r.Skip()
		}
	}
	return id
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
	case h.PromptBytes == 0:
		return Head{}, &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: prompt, Message: "the member " + prompt + " is missing or empty",
			Fix: "Send at least one message or text in " + prompt + ".",
		}
	}
	return h, nil
}

// count reads a number of things: what is not positive counts as none.
func (r *headReader) count(param string) int {
	switch ch := r.Peek(); {
	case ch == '-' || '0' <= ch && ch <= '9':
		return tokens(scan.Integer(r.Number()))
	case !r.Null():
		r.Refuse(param, "a number")
	}
	return 0
}

// tokens is a count of tokens as an int: no model writes two thousand million of them.
func tokens(n int64) int { return int(min(max(n, 0), math.MaxInt32)) }

// texts returns the size of a text or of a list of them, and how many there are.
func (r *headReader) texts() (size, n int) {
	start := r.At
	switch r.Peek() {
	case '"':
		if inner, _ := r.Quoted(); len(inner) > 0 {
			return r.At - start, 1
		}
		return 0, 0
	case '[':
		for ok := r.Open('['); ok; ok = r.More(']') {
			r.Skip()
			n++
		}
		if n > 0 {
			return r.At - start, n
		}
		return 0, 0
	}
	r.Skip()
	return 0, 0
}

// nested reads a count in an object: the largest of the members that are named.
func (r *headReader) nested(param string, names ...string) (n int) {
	if r.Null() {
		return 0
	}
	if r.Peek() != '{' {
		r.Refuse(param, "an object")
		return 0
	}
	for ok := r.Open('{'); ok; ok = r.More('}') {
		name := string(r.Name())
		found := false
		for _, want := range names {
			if name == want {
				n, found = max(n, r.count(param+"."+name)), true
			}
		}
		if !found {
			r.Skip()
		}
	}
	return n
}

// tools reads a toolConfig and reports whether it has tools.
func (r *headReader) tools(param string) (has bool) {
	if r.Null() {
		return false
	}
	if r.Peek() != '{' {
		r.Refuse(param, "an object")
		return false
	}
	for ok := r.Open('{'); ok; ok = r.More('}') {
		if string(r.Name()) == "tools" {
			has = r.List(param+".tools") > 0
		} else {
			r.Skip()
		}
	}
	return has
}
