package envelope

import (
	"context"
	"errors"
	"time"
)

// ErrNoKey is what a KeyStore returns for a key that it does not have, because it
// never had it or because it was shredded.
var ErrNoKey = errors.New("envelope: no such key")

// WrappedKey is a data key as a KeyStore keeps it.
type WrappedKey struct {
	// ID names the key in the envelopes that it sealed. Never zero.
	ID uint64
	// Tenant and User are tags (keyed hashes) of the owner's names; User is zero for
	// keys of a whole tenant. Both are zero for the keyring's own key.
	Tenant, User uint64
	// Master says which master key wraps it.
	Master uint64
	// Wrapped is the data key, encrypted.
	Wrapped []byte
	Created time.Time // to the second
}

// KeyStore keeps wrapped data keys. It is a contract with several implementations;
// storetest.Keys is its conformance suite. All methods may be called concurrently,
// may block on I/O, and return with an error soon after ctx has ended.
type KeyStore interface {
	// Key returns the key of an id, or ErrNoKey.
	Key(ctx context.Context, id uint64) (WrappedKey, error)
	// Newest returns the key of an owner that was created last, or ErrNoKey. User
	// zero asks for the tenant's own keys.
	Newest(ctx context.Context, tenant, user uint64) (WrappedKey, error)
	// Save puts keys in place of those of the same ids, each whole or not at all. They
	// outlast a power cut when it returns; after an error any of them may be saved. A key that was shredded
	// must not come back: a store that several processes share keeps in mind which were, saves the others, and returns ErrNoKey.
	Save(ctx context.Context, keys ...WrappedKey) error
	// Shred removes the keys of a user or, where user is zero, those of the tenant and
	// all of its users, and returns their ids. When it returns, the bytes of the keys
	// are gone from every file of the store, and that outlasts a power cut.
	Shred(ctx context.Context, tenant, user uint64) (ids []uint64, err error)
	// WrappedByOthers returns up to limit keys that a master other than the given one wraps.
	WrappedByOthers(ctx context.Context, master uint64, limit int) ([]WrappedKey, error)
}
