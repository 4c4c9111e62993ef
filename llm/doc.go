// Package llm holds the nouns of a call to a model: the request, the stream of
// its answer, what it used, how it failed, and the contract of a provider.
//
// It is the bottom of the module: every other package imports it and it imports
// the standard library alone. It does no I/O, reads no configuration and knows
// no wire format; package dialect/... does. Package llm/llmtest has the scripted
// fakes and the conformance suite for providers.
package llm
