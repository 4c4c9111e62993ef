// Package bedrock calls models on Amazon Bedrock's runtime endpoint: Converse,
// ConverseStream, InvokeModel, InvokeModelWithResponseStream and CountTokens, over HTTP
// and without an SDK's client in between.
//
// It sends the bytes that were authorised, signed with Signature Version 4 or with a
// bearer key, and makes one attempt. A body is changed for one reason alone: the model
// refuses a member of it (package dialect/bedrock has the table), which is then left out
// and noted, or refused. Guardrails, service tiers, inference profiles and latency
// settings that stand in the body pass through. Every failure gets the kind that
// package failure's table has for it; a stream that ends without its end mark is an error,
// which SDKs take for a normal end. What stands between the call and the socket, bounds
// and precautions, is package provider/internal/exchange, shared with other providers.
//
// Credentials are loaded when the first call needs them, from the place that the
// configuration names or else as AWS's tools look for them, and anew before they expire
// and when AWS refuses them. A call waits for that no longer than for a connection, and
// not at all while those at hand are good.
//
// It does not retry, limit, cache or translate. Requests are in the dialects
// bedrock-converse and bedrock-invoke; the wire format itself is package dialect/bedrock,
// and package dialect/translate lets callers of other dialects in.
package bedrock
