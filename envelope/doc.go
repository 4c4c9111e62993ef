// Package envelope seals what stores keep: it compresses a value, encrypts it with
// AES-256-GCM, and binds it to what it belongs to, so that a value that was damaged,
// cut, exchanged for another or moved to another owner is told from a good one and
// never opened.
//
// Each owner, a tenant or one user of a tenant, has data keys of its own. They are
// kept in a KeyStore, wrapped by a master key that is not in the store: a copy of
// the store alone says nothing. Shredding an owner's data keys makes all that was
// sealed with them unreadable, wherever copies of it are.
//
// What an envelope does not hide: how long the value is, once compressed, and which
// envelopes belong to one owner. What it does not tell: an older envelope of the same
// owner and context from a newer one. Whoever needs that puts a number or a time into
// the context.
//
// The package knows nothing of cache entries or jobs. Whoever seals gives the bytes
// and the context that they are bound to.
package envelope
