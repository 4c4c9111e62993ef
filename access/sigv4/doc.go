// Package sigv4 verifies AWS Signature Version 4: that a request was signed, within
// the last minutes and in the form in which it came, by somebody who knows the secret
// of an access key.
//
// Parse reads what a request's Authorization header says and checks its form. Verify
// computes the signature again, from the request and the secret, and compares. Replays
// remembers what was verified, so that nobody sends it a second time. Whose the access
// key is, and what it grants, is for others to know; so is the reading of the body, of
// which Verify gets the hash.
//
// It takes what the signers of the AWS SDKs and of the AWS command line produce: the
// header form, the whole body signed. Requests signed in the query, bodies signed
// chunk by chunk or not at all, and the asymmetric variant (SigV4A) are refused, each
// with an error that says so. Errors are *llm.Error of kind caller_unauthenticated
// whose Code is the type that AWS has for the case, because programs match on those.
//
// All of it is a function of its arguments but for Replays, which keeps state in
// memory and starts no goroutine.
package sigv4
