package failure

import (
	"slices"

	"github.com/forebay-ai/forebay/llm"
)

// Rule is one row of the table. It fits a signal that has all that the row names.
type Rule struct {
	// Dialect is the wire format that the row is about. Empty means any.
	Dialect string `json:"dialect,omitempty"`
	// Transport is the fault of the connection that the row is about. Empty means none:
	// the row is about an answer.
	Transport Transport `json:"transport,omitempty"`
	// Status is the HTTP status, or its class: 1, 3, 4, or 5, which has everything from
	// 500 on. Zero means any, or none.
	Status int `json:"status,omitempty"`
	// Word is what one of the error's short words has to be, in lower case. Empty means any.
	Word string `json:"word,omitempty"`
	// Text is what the error's message has to contain, in lower case. Empty means anything.
	Text string `json:"text,omitempty"`
	// Kind is what the failure is.
	Kind llm.Kind `json:"kind"`
	// NoRetry says that another try at the same target is of no use within one call,
	// though the kind allows it.
	NoRetry bool `json:"no_retry,omitempty"`
	// Why says what the failure means, or who says so; a sentence without its full stop.
	Why string `json:"why"`
}

// Rules returns the table, in the order in which it is read. The last row fits
// everything. The slice is a copy.
func Rules() []Rule { return slices.Clone(table) }

// table is the whole table, put together once; nobody changes it.
var table = slices.Concat(transports, bedrock, anthropic, words, windows, texts, statuses, streamed, rest)

// transports are the faults of connections. What does not heal within the seconds of a
// call (a certificate, a name that does not exist) is not tried again at once: it would
// make a storm of handshakes out of every call.
var transports = []Rule{
	{Transport: DNS, Kind: llm.ProviderConnectionFailed, Why: "the name server failed or kept silent, which passes"},
	{Transport: NoSuchHost, Kind: llm.ProviderConnectionFailed, NoRetry: true, Why: "name servers keep such an answer for longer than a call takes"},
	{Transport: Refused, Kind: llm.ProviderConnectionFailed, Why: "nobody listens there now: a restart, perhaps"},
	{Transport: ConnectTimeout, Kind: llm.ProviderConnectionFailed, Why: "nothing was sent, so that another try is safe"},
	{Transport: Unreachable, Kind: llm.ProviderConnectionFailed, Why: "nothing was sent, so that another try is safe"},
	{Transport: TLS, Kind: llm.ProviderConnectionFailed, NoRetry: true, Why: "the two sides do not agree on TLS, and will not on the next try"},
	{Transport: TLSTimeout, Kind: llm.ProviderConnectionFailed, Why: "nothing was sent, so that another try is safe"},
	{Transport: Certificate, Kind: llm.ProviderConnectionFailed, NoRetry: true, Why: "a certificate does not become valid within a call"},
	{Transport: Reset, Kind: llm.ProviderConnectionFailed, Why: "nothing of an answer came back"},
	{Transport: NotProcessed, Kind: llm.ProviderConnectionFailed, Why: "RFC 9113, 8.7: the server has not looked at the call"},
	{Transport: BadHead, Kind: llm.ProviderConnectionFailed, Why: "what came back is no HTTP answer"},
	{Transport: HeaderTimeout, Kind: llm.ProviderTimeout, Why: "no head in time"},
	{Transport: FirstTokenTimeout, Kind: llm.ProviderTimeout, Why: "nothing useful in time"},
	{Transport: Idle, Kind: llm.ProviderTimeout, Why: "silence within the answer"},
	{Transport: Slow, Kind: llm.ProviderTimeout, Why: "the answer trickles"},
	{Transport: Truncated, Kind: llm.ProviderTruncated, Why: "an answer without its end is none"},
	{Transport: Malformed, Kind: llm.ProviderMalformed, Why: "the answer is not of the dialect"},
	{Transport: Encoded, Kind: llm.ProviderMalformed, Why: "a small body could unpack to a large one"},
	{Transport: TooLarge, Kind: llm.ProviderMalformed, Why: "the answer is over its bound"},
	{Transport: Redirect, Kind: llm.ProviderMalformed, NoRetry: true, Why: "the base URL is wrong; redirects are not followed"},
}

// bedrock has the exceptions of the Bedrock runtime as its API reference lists them,
// and those that every AWS service has.
var bedrock = []Rule{
	{Dialect: Bedrock, Word: "throttlingexception", Text: "tokens per day", Kind: llm.ProviderQuotaExceeded, Why: "the day's tokens are used up"},
	{Dialect: Bedrock, Word: "throttlingexception", Kind: llm.ProviderRateLimited, Why: "over the account's requests or tokens a minute"},
	{Dialect: Bedrock, Word: "throttledexception", Kind: llm.ProviderRateLimited, Why: "AWS's common errors"},
	{Dialect: Bedrock, Word: "toomanyrequestsexception", Kind: llm.ProviderRateLimited, Why: "AWS's common errors"},
	{Dialect: Bedrock, Word: "modelnotreadyexception", Kind: llm.ProviderOverloaded, Why: "429, but the model is still being loaded: the target's fault"},
	{Dialect: Bedrock, Word: "modeltimeoutexception", Kind: llm.ProviderTimeout, Why: "the model took too long"},
	{Dialect: Bedrock, Word: "modelerrorexception", Kind: llm.ProviderError, Why: "the model failed"},
	{Dialect: Bedrock, Word: "modelstreamerrorexception", Kind: llm.ProviderError, Why: "the model failed within its answer; AWS: retry your request"},
	{Dialect: Bedrock, Word: "internalserverexception", Kind: llm.ProviderError, Why: "Bedrock failed"},
	{Dialect: Bedrock, Word: "internalfailure", Kind: llm.ProviderError, Why: "AWS's common errors"},
	{Dialect: Bedrock, Word: "serviceunavailableexception", Kind: llm.ProviderOverloaded, Why: "Bedrock has no capacity at the moment"},
	{Dialect: Bedrock, Word: "serviceunavailable", Kind: llm.ProviderOverloaded, Why: "AWS's common errors"},
	{Dialect: Bedrock, Word: "servicequotaexceededexception", Kind: llm.ProviderQuotaExceeded, Why: "the account's quota is used up; another account or provider may do"},
	{Dialect: Bedrock, Word: "validationexception", Text: "input is too long", Kind: llm.ProviderContextExceeded, Why: "Input is too long for requested model"},
	{Dialect: Bedrock, Word: "validationexception", Text: "too many input tokens", Kind: llm.ProviderContextExceeded, Why: "Titan and Nova count the tokens"},
	{Dialect: Bedrock, Word: "validationexception", Text: "prompt is too long", Kind: llm.ProviderContextExceeded, Why: "Claude's words within Bedrock's"},
	{Dialect: Bedrock, Word: "validationexception", Text: "exceed context limit", Kind: llm.ProviderContextExceeded, Why: "Claude's words within Bedrock's"},
	{Dialect: Bedrock, Word: "validationexception", Text: "exceeds the maximum length", Kind: llm.ProviderContextExceeded, Why: "Llama's and Mistral's prompts on Bedrock"},
	{Dialect: Bedrock, Word: "validationexception", Text: "maximum context length", Kind: llm.ProviderContextExceeded, Why: "models served by vLLM on Bedrock"},
	{Dialect: Bedrock, Word: "validationexception", Text: "blocked by our content filters", Kind: llm.ProviderFiltered, Why: "Nova and Titan refuse the content"},
	{Dialect: Bedrock, Word: "validationexception", Kind: llm.ProviderRejected, Why: "the request itself is at fault"},
	{Dialect: Bedrock, Word: "conflictexception", Kind: llm.ProviderRejected, Why: "the request itself is at fault"},
	{Dialect: Bedrock, Word: "resourcenotfoundexception", Kind: llm.ProviderRejected, Why: "no such model: retired, or not in this region"},
	{Dialect: Bedrock, Word: "accessdeniedexception", Kind: llm.ProviderRejected, Why: "the role has no access to this model: to be shown, not routed around"},
	{Dialect: Bedrock, Word: "unrecognizedclientexception", Kind: llm.ProviderAuthFailed, Why: "AWS does not know our credentials"},
	{Dialect: Bedrock, Word: "expiredtokenexception", Kind: llm.ProviderAuthFailed, Why: "our credentials have expired"},
	{Dialect: Bedrock, Word: "invalidsignatureexception", Kind: llm.ProviderAuthFailed, Why: "our signature is refused: the key, or the clock"},
	{Dialect: Bedrock, Word: "incompletesignature", Kind: llm.ProviderAuthFailed, Why: "our signature is refused"},
	{Dialect: Bedrock, Word: "missingauthenticationtokenexception", Kind: llm.ProviderAuthFailed, Why: "our credentials are missing"},
	{Dialect: Bedrock, Status: 424, Kind: llm.ProviderError, Why: "ModelErrorException's status"},
}

// anthropic has what only Anthropic's own API says. Its words are understood in any
// dialect, because gateways pass them on.
var anthropic = []Rule{
	{Dialect: Anthropic, Text: "credit balance is too low", Kind: llm.ProviderQuotaExceeded, Why: "said with 400 invalid_request_error before there was billing_error"},
	{Dialect: Anthropic, Word: "request_too_large", Kind: llm.ProviderRejected, Why: "over 32 MB: a bound on bytes, not the context window"},
	{Dialect: Anthropic, Text: "blocked by content filtering policy", Kind: llm.ProviderFiltered, Why: "said with invalid_request_error"},
}

// statuses say what a status means by itself.
var statuses = []Rule{
	{Status: 401, Kind: llm.ProviderAuthFailed, Why: "our key is refused"},
	{Status: 402, Kind: llm.ProviderQuotaExceeded, Why: "no credit left (DeepSeek, OpenRouter, Anthropic's billing_error)"},
	{Status: 403, Kind: llm.ProviderAuthFailed, Why: "our key does not grant this"},
	{Status: 407, Kind: llm.ProviderAuthFailed, Why: "the proxy refuses our credentials"},
	{Status: 408, Kind: llm.ProviderTimeout, Why: "the provider gave up waiting"},
	{Status: 429, Kind: llm.ProviderRateLimited, Why: "over a rate: load, not a failure"},
	{Status: 498, Kind: llm.ProviderOverloaded, Why: "Groq: no flex capacity at the moment"},
	{Status: 503, Kind: llm.ProviderOverloaded, Why: "no capacity at the moment"},
	{Status: 504, Kind: llm.ProviderTimeout, Why: "a proxy of the provider's gave up waiting"},
	{Status: 521, Kind: llm.ProviderConnectionFailed, Why: "Cloudflare: the origin refused the connection"},
	{Status: 522, Kind: llm.ProviderConnectionFailed, Why: "Cloudflare: no connection to the origin in time"},
	{Status: 523, Kind: llm.ProviderConnectionFailed, Why: "Cloudflare: the origin is unreachable"},
	{Status: 524, Kind: llm.ProviderTimeout, Why: "Cloudflare: the origin did not answer in time"},
	{Status: 525, Kind: llm.ProviderConnectionFailed, Why: "Cloudflare: no TLS with the origin"},
	{Status: 526, Kind: llm.ProviderConnectionFailed, NoRetry: true, Why: "Cloudflare: the origin's certificate is not valid"},
	{Status: 529, Kind: llm.ProviderOverloaded, Why: "Anthropic's status for an overload, used by others too"},
	{Status: 5, Kind: llm.ProviderError, Why: "the provider failed"},
	{Status: 4, Kind: llm.ProviderRejected, Why: "the request itself is at fault"},
	{Status: 3, Kind: llm.ProviderMalformed, NoRetry: true, Why: "a redirect that nobody follows, or an answer to what was not asked: the base URL is wrong"},
	{Status: 1, Kind: llm.ProviderMalformed, NoRetry: true, Why: "an upgrade that nobody asked for"},
}

// rest is the row for all the rest.
var rest = []Rule{{Kind: llm.ProviderError, Why: "nothing is known of it"}}
