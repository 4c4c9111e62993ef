// Package requestlog is the log of calls as people read it: who asked for what, how it
// ended, where the time went and what it cost, one Entry for each call. A Log takes
// entries without ever blocking a call, writes them to a Store in batches a fraction of a
// second later, and tells those who watch of each one then. Without a store it keeps
// the last thousand in memory.
//
// It holds neither prompts nor answers nor the words of providers: an entry names kinds
// of errors, never their texts. It does hold the names of tenants, of keys and of users as
// callers gave them; Log.Erase replaces those of a user. An entry is cut rather than
// refused: its texts have at most 256 bytes each, and it has at most 64 attempts.
package requestlog
