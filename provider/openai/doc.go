// Package openai calls back ends that speak the OpenAI protocol over HTTP: OpenAI
// itself and every base URL that is compatible with it (Ollama, vLLM, Bedrock's
// OpenAI endpoint, another gateway).
//
// It sends the bytes that were authorised, makes one attempt, follows no redirect,
// and gives every failure the kind that package failure's table has for it. A stream
// that ends without its end mark is an error. Keys go to the configured host and nowhere
// else, and are blackened where a back end repeats them; response headers go to nobody.
//
// What stands between a call and its socket (bounds, the means to repeat, faults of
// connections) is package provider/internal/exchange, shared with other providers.
//
// It does not retry, limit, cache or translate: the request path does the first
// three, and other dialects have providers of their own. The wire format itself
// is package dialect/openai.
package openai
