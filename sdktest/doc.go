// Package sdktest drives the release binary with vendors' SDKs, unmodified, over
// real sockets: the gateway in front, a simulated provider behind it. It is a module
// of its own, so that what SDKs need stays out of the product's module graph.
//
// The SDKs are openai-go and openai for JavaScript, and of AWS the clients of Bedrock's
// runtime for Go, JavaScript and Python. Behind these stands either the simulated
// provider, so that the gateway translates, or a server in the tests that speaks as
// Bedrock does (bedrockServer). Scripts in js and python make the calls of one JSON
// document and write what the SDK made of them. The npm packages are pinned by
// js/package-lock.json and installed with "npm ci" into .testtools/sdk at the
// repository's root, once; boto3 has to be there. What is absent skips its tests with a
// sentence that names what to install.
//
// The tests build the binary once and start what they need as child processes, on
// ports that the kernel chooses. openai-go's own tests are compiled too, which takes
// minutes the first time and seconds after that. FOREBAY_LONG=1 adds a minute of
// load from a recorded trace.
package sdktest
