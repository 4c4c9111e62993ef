// Package openai is the OpenAI wire format as pure functions, both directions:
// chat completions (whole and as a stream of server-sent events), embeddings,
// models and error bodies. Dialect is the part that every format has in common;
// ParseChat, ParseEmbeddings and Encode… serve doors, Reader, ReadWhole and
// Decode… serve providers, and Append… serves whoever makes answers itself.
//
// What callers send is read strictly: duplicate members, invalid UTF-8, lone
// surrogates, nesting deeper than MaxDepth and everything else that two readers
// could understand differently is refused with its position. Strict means
// malformed, not unusual: unknown members and odd values pass, because the
// provider that gets the same bytes may know them.
//
// What providers send is checked to be JSON and scanned for what Forebay wants to
// know; it is never marshalled again, so that unknown members survive. Only
// Reshape builds new bytes, when a stored answer is asked for in another form.
//
// The package does no I/O but Reader's reading from the io.Reader that it is
// given, keeps no state, opens no connection and retries nothing.
package openai

import "github.com/forebay-ai/forebay/llm"

// Name is the dialect's name in configuration, metrics and stored entries.
const Name = "openai"

// Dialect is the OpenAI format as an llm.Dialect. It has no state; the zero value
// is ready and may be used concurrently.
type Dialect struct{}

var _ llm.Dialect = Dialect{}

// Name returns "openai".
func (Dialect) Name() string { return Name }
