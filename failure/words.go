package failure

import "github.com/forebay-ai/forebay/llm"

// words are codes and types that say more than the status does.
var words = []Rule{
	{Word: "insufficient_quota", Kind: llm.ProviderQuotaExceeded, Why: "OpenAI: 429, but no credit is left"},
	{Word: "insufficient_balance", Kind: llm.ProviderQuotaExceeded, Why: "no credit is left"},
	{Word: "exceeded_current_quota_error", Kind: llm.ProviderQuotaExceeded, Why: "Moonshot: 429, but no credit is left"},
	{Word: "billing_hard_limit_reached", Kind: llm.ProviderQuotaExceeded, Why: "OpenAI: the spending limit is reached"},
	{Word: "billing_not_active", Kind: llm.ProviderQuotaExceeded, Why: "OpenAI: the account is not paid for"},
	{Word: "billing_error", Kind: llm.ProviderQuotaExceeded, Why: "Anthropic: the account is not paid for"},

	{Word: "content_filter", Kind: llm.ProviderFiltered, Why: "OpenAI, Azure: refused by the content filter"},
	{Word: "content_policy_violation", Kind: llm.ProviderFiltered, Why: "OpenAI: refused by the content filter"},
	{Word: "responsibleaipolicyviolation", Kind: llm.ProviderFiltered, Why: "Azure's inner error: refused by the content filter"},
	{Word: "moderation_blocked", Kind: llm.ProviderFiltered, Why: "OpenAI: refused by moderation"},
	{Word: "invalid_prompt", Kind: llm.ProviderFiltered, Why: "OpenAI's reasoning models: the prompt was flagged"},
	{Word: "data_inspection_failed", Kind: llm.ProviderFiltered, Why: "Alibaba: refused by the content filter"},

	{Word: "context_length_exceeded", Kind: llm.ProviderContextExceeded, Why: "OpenAI and those who copied it: longer than the context window"},
	{Word: "model_context_window_exceeded", Kind: llm.ProviderContextExceeded, Why: "Anthropic, Bedrock and Z.ai: longer than the context window"},
	{Word: "exceed_context_size_error", Kind: llm.ProviderContextExceeded, Why: "llama.cpp: longer than the context window"},
	// Not a window: the bound of a name (64), an id (40) or of any one string (10 MiB).
	{Word: "string_above_max_length", Kind: llm.ProviderRejected, Why: "OpenAI: one string is too long, be it a name of 65 characters; a larger window does not help"},

	{Word: "invalid_api_key", Kind: llm.ProviderAuthFailed, Why: "our key is refused, whatever the status"},
	{Word: "incorrect_api_key", Kind: llm.ProviderAuthFailed, Why: "our key is refused, whatever the status"},

	{Word: "overloaded_error", Kind: llm.ProviderOverloaded, Why: "Anthropic: overloaded, whatever status a gateway made of its 529"},

	// What another Forebay, asked as a provider, says of itself and of its providers.
	{Word: string(llm.PolicyOverloaded), Kind: llm.ProviderOverloaded, Why: "a Forebay behind this one has no room"},
	{Word: string(llm.PolicyBreakerOpen), Kind: llm.ProviderOverloaded, Why: "all targets of a Forebay behind this one are down"},
	{Word: string(llm.ForebayDraining), Kind: llm.ProviderOverloaded, Why: "a Forebay behind this one shuts down"},
	{Word: string(llm.PolicyRateLimited), Kind: llm.ProviderRateLimited, Why: "a Forebay behind this one grants no more calls"},
	{Word: string(llm.PolicyBudgetExceeded), Kind: llm.ProviderQuotaExceeded, Why: "our budget at a Forebay behind this one is used up"},
	{Word: string(llm.PolicyBlocked), Kind: llm.ProviderFiltered, Why: "refused by the content policy of a Forebay behind this one"},
	{Word: string(llm.PolicyResidency), Kind: llm.ProviderRejected, Why: "a Forebay behind this one has no target where the call may go"},
	{Word: string(llm.ProviderRateLimited), Kind: llm.ProviderRateLimited, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderOverloaded), Kind: llm.ProviderOverloaded, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderTimeout), Kind: llm.ProviderTimeout, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderConnectionFailed), Kind: llm.ProviderConnectionFailed, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderTruncated), Kind: llm.ProviderTruncated, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderMalformed), Kind: llm.ProviderMalformed, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderAuthFailed), Kind: llm.ProviderAuthFailed, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderQuotaExceeded), Kind: llm.ProviderQuotaExceeded, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderRejected), Kind: llm.ProviderRejected, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderFiltered), Kind: llm.ProviderFiltered, Why: "as a Forebay behind this one has seen it"},
	{Word: string(llm.ProviderContextExceeded), Kind: llm.ProviderContextExceeded, Why: "as a Forebay behind this one has seen it"},
}

// windows are the sentences with which servers that have no word for it say that a
// request is longer than the model's context window. They come with 400, 413, 422 or
// 500, or within a stream. Each was seen in a public report of the server that is named.
var windows = []Rule{
	{Text: "maximum context length", Kind: llm.ProviderContextExceeded, Why: "OpenAI, vLLM, DeepSeek, OpenRouter: longer than the context window"},
	{Text: "prompt is too long", Kind: llm.ProviderContextExceeded, Why: "Anthropic, Fireworks: longer than the context window"},
	{Text: "exceed context limit", Kind: llm.ProviderContextExceeded, Why: "Anthropic: input and max_tokens together are longer than the context window"},
	{Text: "input is too long for requested model", Kind: llm.ProviderContextExceeded, Why: "Bedrock behind a gateway: longer than the context window"},
	{Text: "exceeds the maximum number of tokens allowed", Kind: llm.ProviderContextExceeded, Why: "Gemini: longer than the context window"},
	{Text: "longer than the model's context length", Kind: llm.ProviderContextExceeded, Why: "SGLang: longer than the context window"},
	{Text: "longer than the maximum model length", Kind: llm.ProviderContextExceeded, Why: "vLLM: longer than the context window"},
	{Text: "exceeds the available context size", Kind: llm.ProviderContextExceeded, Why: "llama.cpp: longer than the context window"},
	{Text: "exceeds the context length", Kind: llm.ProviderContextExceeded, Why: "Ollama: longer than the context window"},
	{Text: "greater than the context length", Kind: llm.ProviderContextExceeded, Why: "LM Studio: longer than the context window"},
	{Text: "`inputs` tokens + `max_new_tokens` must be", Kind: llm.ProviderContextExceeded, Why: "Text Generation Inference: longer than the context window"},
	{Text: "maximum prompt length is", Kind: llm.ProviderContextExceeded, Why: "xAI: longer than the context window"},
	{Text: "too large for model with", Kind: llm.ProviderContextExceeded, Why: "Mistral: longer than the context window"},
	{Text: "exceeded model token limit", Kind: llm.ProviderContextExceeded, Why: "Moonshot: longer than the context window"},
	{Text: "input tokens exceed the configured limit", Kind: llm.ProviderContextExceeded, Why: "OpenAI's newer models: longer than the context window"},
	{Text: "reduce the length of the messages", Kind: llm.ProviderContextExceeded, Why: "Groq: longer than the context window"},
}

// texts are other sentences that stand where a word should.
var texts = []Rule{
	{Status: 429, Text: "request too large for", Kind: llm.ProviderQuotaExceeded, Why: "OpenAI: one request has more tokens than we are granted a minute; waiting does not help"},
	{Status: 4, Text: "used all available credits", Kind: llm.ProviderQuotaExceeded, Why: "xAI: 403 or 429, but no credit is left"},
	{Status: 400, Text: "credit balance is too low", Kind: llm.ProviderQuotaExceeded, Why: "Anthropic behind a gateway: no credit is left"},
	{Status: 403, Text: "input was flagged", Kind: llm.ProviderFiltered, Why: "OpenRouter: refused by moderation"},
	{Status: 403, Text: "requires moderation", Kind: llm.ProviderFiltered, Why: "OpenRouter: refused by moderation"},
	{Status: 403, Text: "violates usage guidelines", Kind: llm.ProviderFiltered, Why: "xAI: refused by the content filter"},
	{Status: 400, Text: "content exists risk", Kind: llm.ProviderFiltered, Why: "DeepSeek: refused by the content filter"},
	{Status: 400, Text: "content management policy", Kind: llm.ProviderFiltered, Why: "Azure: refused by the content filter"},
	{Text: "blocked by content filtering policy", Kind: llm.ProviderFiltered, Why: "Anthropic behind a gateway: refused by the content filter"},
}

// streamed are words that count where no status says more: in streams, and in answers
// with status 200.
var streamed = []Rule{
	{Word: "rate_limit_exceeded", Kind: llm.ProviderRateLimited, Why: "over a rate"},
	{Word: "rate_limit_error", Kind: llm.ProviderRateLimited, Why: "over a rate"},
	{Word: "rate_limit_reached_error", Kind: llm.ProviderRateLimited, Why: "over a rate"},
	{Word: "too_many_requests", Kind: llm.ProviderRateLimited, Why: "over a rate"},
	{Word: "resource_exhausted", Kind: llm.ProviderRateLimited, Why: "Google: over a rate"},
	{Word: "requests", Kind: llm.ProviderRateLimited, Why: "OpenAI: over the requests a minute"},
	{Word: "tokens", Kind: llm.ProviderRateLimited, Why: "OpenAI: over the tokens a minute"},
	{Word: "authentication_error", Kind: llm.ProviderAuthFailed, Why: "our key is refused"},
	{Word: "invalid_authentication_error", Kind: llm.ProviderAuthFailed, Why: "our key is refused"},
	{Word: "permission_error", Kind: llm.ProviderAuthFailed, Why: "our key does not grant this"},
	{Word: "permission_denied", Kind: llm.ProviderAuthFailed, Why: "our key does not grant this"},
	{Word: "unauthenticated", Kind: llm.ProviderAuthFailed, Why: "our key is refused"},
	{Word: "invalid_request_error", Kind: llm.ProviderRejected, Why: "the request itself is at fault"},
	{Word: "request_too_large", Kind: llm.ProviderRejected, Why: "Anthropic: over its bound in bytes"},
	{Word: "invalid_argument", Kind: llm.ProviderRejected, Why: "the request itself is at fault"},
	{Word: "badrequesterror", Kind: llm.ProviderRejected, Why: "vLLM: the request itself is at fault"},
	{Word: "notfounderror", Kind: llm.ProviderRejected, Why: "vLLM: no such model"},
	{Word: "not_found_error", Kind: llm.ProviderRejected, Why: "no such model"},
	{Word: "model_not_found", Kind: llm.ProviderRejected, Why: "no such model"},
	{Word: "engine_overloaded", Kind: llm.ProviderOverloaded, Why: "no capacity at the moment"},
	{Word: "engine_overloaded_error", Kind: llm.ProviderOverloaded, Why: "Moonshot: no capacity at the moment"},
	{Word: "server_overloaded", Kind: llm.ProviderOverloaded, Why: "no capacity at the moment"},
	{Word: "service_unavailable", Kind: llm.ProviderOverloaded, Why: "no capacity at the moment"},
	{Word: "serviceunavailableerror", Kind: llm.ProviderOverloaded, Why: "vLLM: no capacity at the moment"},
	{Word: "unavailable", Kind: llm.ProviderOverloaded, Why: "Google: no capacity at the moment"},
	{Word: "timeout", Kind: llm.ProviderTimeout, Why: "the provider took too long"},
	{Word: "timeout_error", Kind: llm.ProviderTimeout, Why: "Anthropic: the provider took too long"},
	{Word: "deadline_exceeded", Kind: llm.ProviderTimeout, Why: "Google: the provider took too long"},
	{Word: "api_error", Kind: llm.ProviderError, Why: "Anthropic, Ollama: the provider failed"},
	{Word: "server_error", Kind: llm.ProviderError, Why: "OpenAI: the provider failed"},
	{Word: "internal", Kind: llm.ProviderError, Why: "Google: the provider failed"},
}
