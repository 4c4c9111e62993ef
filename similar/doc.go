// Package similar finds an earlier request whose text is so much like that of another
// that its answer may stand in, for use when the provider is down.
//
// An [Index] keeps the texts of requests in memory, in groups: only requests that agree
// in everything but the text of their last turn share a [Group]. [Index.Find] looks for
// the text with the highest score of a [Measure] and then asks [Agree] whether the two
// differ in anything that matters: numbers, negations, names, the order of words. The
// score proposes, Agree decides. It refuses what it does not know to be harmless, so
// few requests find a match: docs/similar.md has the measurements, and says when not
// to use this at all.
//
// The package keeps no answers: a match is the key of a cache entry, which may be gone.
// It knows nothing of tenants and users: what must not be shared has to be in the Group.
// It is lexical. Embeddings can take the place of [Lexical], not that of [Agree].
package similar
