// Package bedrock is the wire format of Amazon Bedrock's runtime as pure functions,
// both directions. Converse is the format that all models share (Converse and
// ConverseStream), Invoke that of the models' own bodies (InvokeModel and
// InvokeModelWithResponseStream): Anthropic's messages, Amazon's Nova and Titan. Both
// are an llm.Dialect. Parse…, EncodeError and ErrorEvent serve doors, Reader, ReadWhole,
// DecodeError and Adapt serve providers.
//
// The model stands in the call's path, not in its body: llm.Request.Model is its id,
// unescaped. A streamed answer is a sequence of event-stream messages
// (application/vnd.amazon.eventstream), each with a JSON payload; AppendEvent and
// NextEvent are the only places that know their framing: the AWS SDK's codec does it, but
// for messages with the headers that Bedrock always sends, which it has written once. A
// stream that the SDKs take for whole may have been cut: a connection that ends between
// two messages looks like an end to them. Reader says io.EOF only after the answer's own
// end.
//
// What callers send is read strictly, as package openai does it: duplicate members,
// invalid UTF-8, lone surrogates and nesting deeper than MaxDepth are refused with their
// position, unknown members and odd values pass. What providers send is scanned, and
// passed on byte for byte. Only Reshape builds new bytes.
//
// Models differ in what they take; CapabilitiesOf has the table, and Adapt leaves out
// of a request what its model would refuse.
//
// The package is long on purpose: requests, answers, errors and the table of models are
// one format, and share its forms and names; what of them stands alone is package scan.
//
// The package does no I/O but Reader's reading, keeps no state, signs nothing, opens no
// connection and retries nothing.
package bedrock

import "github.com/forebay-ai/forebay/llm"

const (
	// NameConverse is the name of dialect Converse in configuration, metrics and stored entries.
	NameConverse = "bedrock-converse"
	// NameInvoke is that of dialect Invoke.
	NameInvoke = "bedrock-invoke"
)

// Converse is the format of Converse and ConverseStream as an llm.Dialect. It has no
// state; the zero value is ready and may be used concurrently.
type Converse struct{}

// Invoke is the format of InvokeModel and InvokeModelWithResponseStream as an
// llm.Dialect: the body is the model's own, and the request's Model says whose. It has
// no state; the zero value is ready and may be used concurrently.
type Invoke struct{}

var (
	_ llm.Dialect       = Converse{}
	_ llm.Omitter       = Converse{}
	_ llm.TurnSplitter  = Converse{}
	_ llm.OutputBounder = Converse{}
	_ llm.Dialect       = Invoke{}
	_ llm.Omitter       = Invoke{}
	_ llm.TurnSplitter  = Invoke{}
	_ llm.OutputBounder = Invoke{}
)

// Name returns "bedrock-converse".
func (Converse) Name() string { return NameConverse }

// Name returns "bedrock-invoke".
func (Invoke) Name() string { return NameInvoke }
