// Package translate turns calls of one chat format into calls of another and answers
// back: OpenAI chat completions and Bedrock's Converse, both directions, requests, whole
// answers and streams, and embeddings between OpenAI's format and the bodies of Amazon
// Titan, Amazon Nova and Cohere Embed.
//
// ChatToConverse and ConverseToChat are pure functions of a request. Provider puts an
// llm.Provider behind them: requests of the provider's own format pass untouched, those
// of the other one are translated, and what comes back is in the caller's format, piece
// by piece as it comes. Errors pass as they are; doors encode them.
//
// Two formats never say quite the same. For each member of either there is a row in a
// table (Members, and docs/bedrock.md, which is made from it) that says what becomes of
// it: translated; dropped, and named in the list that every translation returns; or
// refused with CallerInvalidRequest. Refused is what the caller would miss without
// noticing: content that the model would not see, a guardrail that would not guard, an
// address that this process would have to fetch for the caller. A member that no table
// knows is dropped and named; a piece of content of an unknown kind is refused.
//
// What people and models wrote is copied byte for byte, escapes and all; numbers keep
// their spelling. The package does no I/O, keeps no state between calls and retries
// nothing. It is not a place for what models take: package bedrock's Adapt is.
package translate
