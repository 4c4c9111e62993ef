// Package sdktest drives the release binary with vendors' SDKs, unmodified, over
// real sockets: the gateway in front, a simulated provider behind it. It is a module
// of its own, so that what SDKs need stays out of the product's module graph.
//
// The tests build the binary once and start what they need as child processes, on
// ports that the kernel chooses. openai-go's own tests are compiled too, which takes
// minutes the first time and seconds after that. FOREBAY_LONG=1 adds a minute of
// load from a recorded trace.
package sdktest
