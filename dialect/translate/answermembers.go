package translate

import (
	"github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"
	"github.com/forebay-ai/forebay/dialect/translate/internal/request"
)

// converseAnswerMembers says what becomes of the members of a Converse answer, whole or
// streamed. What is dropped of an answer is dropped without a word.
var converseAnswerMembers = []jsonbody.Member{
	{Path: "output.message.content[].text", Fate: jsonbody.Translated, To: "choices[0].message.content", Why: "Several are joined. Streams: content of a delta."},
	{Path: "output.message.content[].citationsContent.content[].text", Fate: jsonbody.Translated, To: "choices[0].message.content"},
	{Path: "output.message.content[].citationsContent.citations", Fate: jsonbody.Dropped, Why: "Chat's annotations know addresses of the web only, by positions in the text."},
	{Path: "output.message.content[].reasoningContent.reasoningText", Fate: jsonbody.Translated, To: "choices[0].message.reasoning_content, .thinking_blocks[]", Why: "thinking_blocks, which LiteLLM has too, keeps the signature for the next turn."},
	{Path: "output.message.content[].reasoningContent.redactedContent", Fate: jsonbody.Translated, To: "choices[0].message.thinking_blocks[]"},
	{Path: "output.message.content[].toolUse", Fate: jsonbody.Translated, To: "choices[0].message.tool_calls[]", Why: "function_call where the request speaks of functions."},
	{Path: "output.message.content[].toolUse of type server_tool_use", Fate: jsonbody.Dropped, Why: "Bedrock has run the tool itself."},
	{Path: "output.message.content[].toolResult", Fate: jsonbody.Dropped, Why: "Of a tool that Bedrock has run itself."},
	{Path: "output.message.content[].image", Fate: jsonbody.Dropped, Why: "Chat answers have no images."},
	{Path: "stopReason", Fate: jsonbody.Translated, To: "choices[0].finish_reason", Why: "end_turn and stop_sequence: stop. tool_use: tool_calls. max_tokens and model_context_window_exceeded: length. guardrail_intervened and content_filtered: content_filter. malformed_tool_use and malformed_model_output: tool_calls where there are calls, else stop; such an answer is not cached."},
	{Path: "usage", Fate: jsonbody.Translated, To: "usage", Why: "prompt_tokens is the sum of inputTokens, cacheReadInputTokens and cacheWriteInputTokens; prompt_tokens_details has cached_tokens, and cache_creation_tokens where something was written."},
	{Path: "usage.cacheDetails", Fate: jsonbody.Dropped, Why: "Chat does not tell times to live apart."},
	{Path: "serviceTier.type", Fate: jsonbody.Translated, To: "service_tier"},
	{Path: "metrics.latencyMs", Fate: jsonbody.Dropped, Why: "Forebay's headers tell times."},
	{Path: "performanceConfig", Fate: jsonbody.Dropped, Why: "Chat has no place for it."},
	{Path: "trace", Fate: jsonbody.Dropped, Why: "Chat has no place for it; a guardrail that stepped in is seen in finish_reason."},
	{Path: "additionalModelResponseFields", Fate: jsonbody.Dropped, Why: "A chat request cannot ask for them."},
}

// chatAnswerMembers says what becomes of the members of a chat answer, whole or streamed.
var chatAnswerMembers = []jsonbody.Member{
	{Path: "id, object, created, model, system_fingerprint", Fate: jsonbody.Dropped, Why: "Converse answers have none; Forebay's headers name the model."},
	{Path: "choices[0].message.content", Fate: jsonbody.Translated, To: "output.message.content[].text"},
	{Path: "choices[0].message.refusal", Fate: jsonbody.Translated, To: "output.message.content[].text", Why: "stopReason is content_filtered."},
	{Path: "choices[0].message.reasoning_content, .reasoning", Fate: jsonbody.Translated, To: "output.message.content[].reasoningContent.reasoningText.text", Why: "Without a signature."},
	{Path: "choices[0].message.tool_calls", Fate: jsonbody.Translated, To: "output.message.content[].toolUse"},
	{Path: "choices[0].message.tool_calls[].function.arguments", Fate: jsonbody.Translated, To: "output.message.content[].toolUse.input", Why: "An object in the place of its text is taken as it is. A text that is no JSON object stays a string, and stopReason is malformed_tool_use (max_tokens where the answer was cut)."},
	{Path: "choices[0].message.annotations", Fate: jsonbody.Dropped, Why: "Positions in the text."},
	{Path: "choices[0].message.audio", Fate: jsonbody.Dropped, Why: "Converse requests cannot ask for it."},
	{Path: "choices[0].logprobs", Fate: jsonbody.Dropped, Why: "Converse requests cannot ask for them."},
	{Path: "choices[1:]", Fate: jsonbody.Dropped, Why: "Converse requests cannot ask for them."},
	{Path: "choices[0].finish_reason", Fate: jsonbody.Translated, To: "stopReason", Why: "stop: end_turn. length: max_tokens. tool_calls and function_call: tool_use, which is also said where there are calls and another reason. content_filter: content_filtered. Others and none: end_turn."},
	{Path: "usage", Fate: jsonbody.Translated, To: "usage", Why: "inputTokens leaves out what was read from or written to a cache."},
	{Path: "usage.completion_tokens_details", Fate: jsonbody.Dropped, Why: "Converse does not tell them apart."},
	{Path: "service_tier", Fate: jsonbody.Translated, To: "serviceTier.type", Why: "Where it is one of Bedrock's."},
}

// embeddingsMembers says what becomes of embeddings requests.
var embeddingsMembers = []jsonbody.Member{
	{Path: "model", Fate: jsonbody.Used, Why: "Titan, Nova and Cohere models have bodies of their own; the id tells which."},
	{Path: "input", Fate: jsonbody.Translated, To: "inputText (Titan), singleEmbeddingParams.text.value (Nova), texts (Cohere)", Why: "Titan and Nova take one text a call, Cohere 96: several are asked for in several calls, at most 64, of which 4 run at a time. Arrays of tokens are refused: they mean something to OpenAI's models only."},
	{Path: "dimensions", Fate: jsonbody.Translated, To: "dimensions (Titan v2), embeddingConfig.outputEmbeddingLength (Titan images), embeddingDimension (Nova), output_dimension (Cohere v4)", Why: "Of models whose vectors have one length only (Titan v1: 1536, Cohere v3: 1024), another length is refused."},
	{Path: "encoding_format", Fate: jsonbody.Used, Why: "base64 is made here."},
	{Path: "input_type", Fate: jsonbody.Translated, To: "input_type (Cohere)", Why: "Not OpenAI's. Cohere wants one: search_document, unless the caller says another."},
	{Path: "user", Fate: jsonbody.Dropped, Why: request.OwnReports},
	{Path: "cache", Fate: jsonbody.Used, Why: "Forebay's (LiteLLM's) cache directives."},
	{Path: "inputText", Fate: jsonbody.Translated, To: "input", Why: "Of Titan's bodies."},
	{Path: "normalize", Fate: jsonbody.Dropped, Why: "OpenAI's vectors have the length 1.", Neutral: "true"},
	{Path: "embeddingTypes", Fate: jsonbody.Refused, Why: "OpenAI's vectors are of numbers.", Fix: "Ask for float.", Neutral: `["float"]`},
	{Path: "inputImage", Fate: jsonbody.Refused, Why: "OpenAI embeds texts.", Fix: request.AskOfBedrock},
	{Path: "embeddingConfig", Fate: jsonbody.Translated, To: "dimensions", Why: "outputEmbeddingLength"},
	{Path: "texts", Fate: jsonbody.Translated, To: "input", Why: "Of Cohere's bodies."},
	{Path: "images", Fate: jsonbody.Refused, Why: "OpenAI embeds texts.", Fix: request.AskOfBedrock},
	{Path: "inputs", Fate: jsonbody.Refused, Why: "OpenAI embeds texts.", Fix: "Send texts."},
	{Path: "embedding_types", Fate: jsonbody.Refused, Why: "OpenAI's vectors are of numbers.", Fix: "Ask for float.", Neutral: `["float"]`},
	{Path: "output_dimension", Fate: jsonbody.Translated, To: "dimensions"},
	{Path: "truncate", Fate: jsonbody.Dropped, Why: "OpenAI refuses what is too long."},
	{Path: "max_tokens", Fate: jsonbody.Dropped, Why: "OpenAI refuses what is too long."},
}
