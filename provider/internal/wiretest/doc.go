// Package wiretest tests providers against back ends over HTTP: in memory where time is
// faked, over sockets, and over HTTP/2. A provider gives its wire format's answers
// (Format) and how it is opened; the cases are those of llm/llmtest, and the bounds in
// time that package exchange promises. It is for tests of providers and of nothing else.
package wiretest
