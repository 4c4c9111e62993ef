// Package intercept runs calls that another library has put on the wire through a
// forebay.Client, and gives their answers back as that library expects them: as HTTP.
//
// It is what the integrations for http.RoundTripper and for the AWS SDK have in common.
// A Call is the request, read from the wire, and a way to send the original. Provider is
// the llm.Provider that sends it: a client configured with one has the caller's own
// transport, address and credentials as a target, with everything in front of it that other
// targets have. A hit, a refusal and an answer of another target never touch it.
//
//	cfg := forebay.Config{
//		Providers: map[string]llm.Provider{"original": intercept.Provider{}},
//		Models:    map[string]forebay.Model{"*": {Targets: []forebay.Target{{Provider: "original"}}}},
//	}
//
// The package opens no connection, keeps no state and starts no goroutine.
package intercept
