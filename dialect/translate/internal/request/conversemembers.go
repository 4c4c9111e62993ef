package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

const (
	ownAccount  = "It lies in an account that only Bedrock can read."
	billedByAWS = "It is about Amazon's own capacity."
	sendInstead = "Send the bytes."
	// AskOfBedrock is what to do about what Bedrock alone can do.
	AskOfBedrock = "Leave it out, or ask a model of Bedrock."
)

// converseMembers says what becomes of the members of a Converse request: all that the
// API has.
var ConverseMembers = []jsonbody.Member{
	{Path: "modelId", Fate: jsonbody.Used, Why: "It stands in the path."},
	{Path: "messages", Fate: jsonbody.Translated, To: "messages"},
	{Path: "messages[].role", Fate: jsonbody.Translated, To: "messages[].role"},
	{Path: "messages[].content", Fate: jsonbody.Translated, To: "messages[].content"},
	{Path: "messages[].content[].text", Fate: jsonbody.Translated, To: "a part of type text"},
	{Path: "messages[].content[].image", Fate: jsonbody.Translated, To: "a part of type image_url"},
	{Path: "messages[].content[].image.format", Fate: jsonbody.Translated, To: "the data: URI's media type"},
	{Path: "messages[].content[].image.source.bytes", Fate: jsonbody.Translated, To: "image_url.url, a data: URI"},
	{Path: "messages[].content[].image.source.s3Location", Fate: jsonbody.Refused, Why: ownAccount, Fix: sendInstead},
	{Path: "messages[].content[].image.error", Fate: jsonbody.Dropped, Why: "Of an earlier answer."},
	{Path: "messages[].content[].document", Fate: jsonbody.Translated, To: "a part of type file", Why: "A document of texts becomes parts of type text."},
	{Path: "messages[].content[].document.name", Fate: jsonbody.Translated, To: "file.filename"},
	{Path: "messages[].content[].document.source.bytes", Fate: jsonbody.Translated, To: "file.file_data, a data: URI"},
	{Path: "messages[].content[].document.source.text", Fate: jsonbody.Translated, To: "a part of type text"},
	{Path: "messages[].content[].document.source.content", Fate: jsonbody.Translated, To: "parts of type text"},
	{Path: "messages[].content[].document.source.s3Location", Fate: jsonbody.Refused, Why: ownAccount, Fix: sendInstead},
	{Path: "messages[].content[].document.context", Fate: jsonbody.Translated, To: "a part of type text before it"},
	{Path: "messages[].content[].document.citations", Fate: jsonbody.Dropped, Why: "Chat answers cite nothing."},
	{Path: "messages[].content[].audio", Fate: jsonbody.Translated, To: "a part of type input_audio", Why: "wav and mp3."},
	{Path: "messages[].content[].video", Fate: jsonbody.Refused, Why: "Chat has no videos.", Fix: AskOfBedrock},
	{Path: "messages[].content[].toolUse", Fate: jsonbody.Translated, To: "tool_calls[]"},
	{Path: "messages[].content[].toolUse.toolUseId", Fate: jsonbody.Translated, To: "tool_calls[].id"},
	{Path: "messages[].content[].toolUse.name", Fate: jsonbody.Translated, To: "tool_calls[].function.name"},
	{Path: "messages[].content[].toolUse.input", Fate: jsonbody.Translated, To: "tool_calls[].function.arguments", Why: "As a string."},
	{Path: "messages[].content[].toolUse.type", Fate: jsonbody.Dropped, Why: "Tools that the server ran have no counterpart: they become calls like others.", Neutral: `"tool_use"`},
	{Path: "messages[].content[].toolResult", Fate: jsonbody.Translated, To: "a message of role tool", Why: "Before what else the turn says. json becomes its text; images, documents and sounds follow in a message of role user, since tool messages hold texts only."},
	{Path: "messages[].content[].toolResult.toolUseId", Fate: jsonbody.Translated, To: "tool_call_id"},
	{Path: "messages[].content[].toolResult.status", Fate: jsonbody.Dropped, Why: "Chat has no mark for a tool that failed; the text says it.", Neutral: `"success"`},
	{Path: "messages[].content[].toolResult.type", Fate: jsonbody.Dropped, Why: "As toolUse.type.", Neutral: `"tool_result"`},
	{Path: "messages[].content[].toolResult.content[].video", Fate: jsonbody.Refused, Why: "Chat has no videos.", Fix: AskOfBedrock},
	{Path: "messages[].content[].reasoningContent", Fate: jsonbody.Dropped, Why: "Chat takes no reasoning of earlier turns back."},
	{Path: "messages[].content[].citationsContent", Fate: jsonbody.Translated, To: "a part of type text", Why: "Without the citations."},
	{Path: "messages[].content[].citationsContent.citations", Fate: jsonbody.Dropped, Why: "Chat has no place for them in a request."},
	{Path: "messages[].content[].searchResult", Fate: jsonbody.Translated, To: "a part of type text", Why: "Title, source and texts, a line each."},
	{Path: "messages[].content[].searchResult.citations", Fate: jsonbody.Dropped, Why: "Chat answers cite nothing."},
	{Path: "messages[].content[].cachePoint", Fate: jsonbody.Dropped, Why: "OpenAI caches prompts by itself."},
	{Path: "messages[].content[].guardContent", Fate: jsonbody.Refused, Why: "It is to be looked at by a guardrail, and there is none.", Fix: AskOfBedrock},
	{Path: "messages[].content[].toolAddition", Fate: jsonbody.Refused, Why: "Chat cannot change the tools within a conversation.", Fix: AskOfBedrock},
	{Path: "messages[].content[].toolRemoval", Fate: jsonbody.Refused, Why: "Chat cannot change the tools within a conversation.", Fix: AskOfBedrock},
	{Path: "system", Fate: jsonbody.Translated, To: "messages[] of role system"},
	{Path: "system[].text", Fate: jsonbody.Translated, To: "messages[].content"},
	{Path: "system[].cachePoint", Fate: jsonbody.Dropped, Why: "OpenAI caches prompts by itself."},
	{Path: "system[].guardContent", Fate: jsonbody.Refused, Why: "It is to be looked at by a guardrail, and there is none.", Fix: AskOfBedrock},

	{Path: "inferenceConfig", Fate: jsonbody.Translated},
	{Path: "inferenceConfig.maxTokens", Fate: jsonbody.Translated, To: "max_completion_tokens"},
	{Path: "inferenceConfig.temperature", Fate: jsonbody.Translated, To: "temperature"},
	{Path: "inferenceConfig.topP", Fate: jsonbody.Translated, To: "top_p"},
	{Path: "inferenceConfig.stopSequences", Fate: jsonbody.Translated, To: "stop"},
	{Path: "toolConfig", Fate: jsonbody.Translated, To: "tools, tool_choice"},
	{Path: "toolConfig.tools[].toolSpec", Fate: jsonbody.Translated, To: "tools[].function"},
	{Path: "toolConfig.tools[].toolSpec.name", Fate: jsonbody.Translated, To: "tools[].function.name"},
	{Path: "toolConfig.tools[].toolSpec.description", Fate: jsonbody.Translated, To: "tools[].function.description"},
	{Path: "toolConfig.tools[].toolSpec.inputSchema.json", Fate: jsonbody.Translated, To: "tools[].function.parameters"},
	{Path: "toolConfig.tools[].toolSpec.strict", Fate: jsonbody.Translated, To: "tools[].function.strict"},
	{Path: "toolConfig.tools[].cachePoint", Fate: jsonbody.Dropped, Why: "OpenAI caches prompts by itself."},
	{Path: "toolConfig.tools[].systemTool", Fate: jsonbody.Refused, Why: "It runs inside Bedrock.", Fix: AskOfBedrock},
	{Path: "toolConfig.toolChoice", Fate: jsonbody.Translated, To: "tool_choice", Why: "any becomes required."},
	{Path: "outputConfig.textFormat", Fate: jsonbody.Translated, To: "response_format"},
	{Path: "outputConfig.effort", Fate: jsonbody.Translated, To: "reasoning_effort", Why: "max becomes xhigh."},
	{Path: "serviceTier.type", Fate: jsonbody.Translated, To: "service_tier", Why: "reserved is dropped: " + billedByAWS},
	{Path: "guardrailConfig", Fate: jsonbody.Refused, Why: "Nothing would guard the call.", Fix: AskOfBedrock},
	{Path: "promptVariables", Fate: jsonbody.Refused, Why: "The prompt itself is kept by Bedrock.", Fix: "Send the prompt in messages."},
	{Path: "additionalModelRequestFields", Fate: jsonbody.Dropped, Why: "They are a certain model's. Each member is named."},
	{Path: "additionalModelResponseFieldPaths", Fate: jsonbody.Dropped, Why: "They name members of a certain model's answer."},
	{Path: "performanceConfig", Fate: jsonbody.Dropped, Why: billedByAWS, Neutral: `{"latency":"standard"}`},
	{Path: "requestMetadata", Fate: jsonbody.Dropped, Why: "It is for Bedrock's logs; OpenAI takes metadata only for answers that it stores."},
}
