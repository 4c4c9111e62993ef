// Package failure says what a provider's failure means. One table (Rules) leads from
// what was seen of it (a Signal: the dialect, the status, the words of the body, or
// what befell the connection) to a kind of llm; the kind's methods say whether the same
// target is tried again, whether another one is, whether the target's breaker counts it,
// and whether the target is to get fewer calls at once. Classify goes through the table
// and adds how long to wait.
//
// The table is read from the top, and the first row that fits decides:
//
//  1. faults of the connection, which leave no answer to read;
//  2. what one dialect alone says (Bedrock's exceptions, Anthropic's old billing error);
//  3. words and texts that leave no doubt whatever the status: OpenAI says 429 when its
//     quota is used up and 400 when its content filter refuses, and servers say 400, 413
//     or 500 when a prompt is longer than the context window;
//  4. statuses, then their classes;
//  5. words that count where no status says more: in streams, and in answers with 200;
//  6. ProviderError, for all the rest.
//
// Words are compared whole and without regard to case; texts are looked for within the
// message. Nothing here reads bodies: the dialects do, and hand over what they found.
// Nothing here retries or counts: the request path does. Everything is pure, and safe
// for concurrent use.
package failure
