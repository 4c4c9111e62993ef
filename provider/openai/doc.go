// Package openai calls back ends that speak the OpenAI protocol over HTTP: OpenAI
// itself and every base URL that is compatible with it (Ollama, vLLM, Bedrock's
// OpenAI endpoint, another gateway).
//
// It sends the bytes that were authorised, makes one attempt, follows no redirect,
// and gives every failure the kind that package failure's table has for it. A stream
// that ends without its end mark is an error. Keys go to the configured host and nowhere
// else, and are blackened where a back end repeats them; response headers go to nobody.
//
// A call is sent once. net/http may replace a kept HTTP/1 connection that it finds dead
// before it has written a byte to it, and repeats what has no body (the list of models,
// look-ups of stored completions); over HTTP/2, where it would repeat more, it is not
// given the means.
//
// It does not retry, limit, cache or translate: the request path does the first
// three, and other dialects have providers of their own. The wire format itself
// is package dialect/openai.
package openai
