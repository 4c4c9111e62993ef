package translate

import (
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/translate/internal/request"
	"github.com/forebay-ai/forebay/llm"
)

// ChatToConverse makes the body of Converse that asks what req asks, a chat completion
// in dialect openai. req.Model should be the id of Bedrock's model: of a few members it
// says how that model calls them. The model, and whether the answer is streamed, stand
// in Bedrock's path, not in the body.
//
// dropped has the paths of the members that did not get into the body, in the order in
// which they were met: see Members. The error is an *llm.Error of kind
// CallerInvalidRequest with the place of the fault, for a body that is no strict JSON,
// has members of the wrong type, or asks for what Converse cannot do.
func ChatToConverse(req *llm.Request) (body []byte, dropped []string, err error) {
	c := request.ChatToConverse(req.Body, isNova(req.Model))
	if c.Err != nil {
		return nil, nil, c.Err
	}
	return c.Out, c.Dropped, nil
}

// ConverseToChat makes the body of a chat completion that asks model what req asks, a
// call of Converse in dialect bedrock-converse; an empty model means req.Model. Where
// req.Stream is set the body asks for a stream that reports its usage.
//
// dropped and the error are those of ChatToConverse.
func ConverseToChat(req *llm.Request, model string) (body []byte, dropped []string, err error) {
	if model == "" {
		model = req.Model
	}
	c := request.ConverseToChat(req.Body, model, req.Stream)
	if c.Err != nil {
		return nil, nil, c.Err
	}
	return c.Out, c.Dropped, nil
}

func isNova(model string) bool { return bedrock.Family(model) == "amazon.nova" }
