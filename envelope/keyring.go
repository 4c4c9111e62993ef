package envelope

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Errors of Keyring. ErrNoKey is one of them, too.
var (
	// ErrDamaged is what Open returns for bytes that are not what Seal returned for
	// this owner and context: changed, cut, exchanged, or sealed for another owner.
	ErrDamaged = errors.New("envelope: damaged")
	// ErrTooLarge is what Seal returns for a value above Config.MaxValue.
	ErrTooLarge = errors.New("envelope: value too large")
)

// Owner says whose data key seals a value. User is empty for the tenant's own key,
// and both are empty for the key of values that everybody shares.
type Owner struct {
	Tenant, User string
}

// Keyring seals and opens values with the data keys of their owners. Its methods may
// be called concurrently. It has no goroutines and nothing to close.
type Keyring struct {
	config  Config
	wrapper *wrapper
	tags    *tagger
	packer  *packer
	table   *keyTable
	scratch sync.Pool // of *scratch
	// elsewhere is nil where no other process uses the store.
	elsewhere *elsewhere

	unreadable          int // keys; set by New
	seals, opens        atomic.Uint64
	damaged, noKey      atomic.Uint64
	packedIn, packedOut atomic.Uint64
	blind               atomic.Uint64
}

// Stats are what a Keyring counted since New.
type Stats struct {
	// KeysOpen is the number of data keys in memory now.
	KeysOpen int
	// KeysUnreadable is the number of stored keys that New found wrapped by another
	// than the current master key and could not unwrap: that master key is not among
	// Config.Masters, or the stored key is damaged. It is zero where several processes share the store and there
	// is one master key: then New does not look.
	KeysUnreadable int
	// Seals and Opens are successful calls, Damaged the calls of Open that returned
	// ErrDamaged, NoKey those that returned ErrNoKey.
	Seals, Opens, Damaged, NoKey uint64
	// PackedIn is how many bytes Seal tried to compress, PackedOut what they became;
	// values that did not get smaller count in both as they are.
	PackedIn, PackedOut uint64
	// Blind counts how often a shared store did not say whether keys were shredded elsewhere.
	Blind uint64
}

// New makes a Keyring over a KeyStore. It reads or makes the keyring's own key, from
// which tags come, and wraps with the current master key what a former one wraps,
// batch by batch. Keys of unknown master keys stay as they are and are counted in
// Stats: what they sealed cannot be opened, and nothing else fails.
//
// Several processes may share a store that is a Sharer. Shredding reaches the memory of the keyring that does it at once, and
// that of another one 5 s and a look (2 s at most) later, or, while the store does not answer, within as much of when it does. Of such a store New reads no data
// keys, unless there are former master keys. While New wraps keys anew, no other process should shred any.
func New(ctx context.Context, cfg Config) (*Keyring, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	k := &Keyring{config: cfg, table: newKeyTable(cfg.MaxOpenKeys)}
	var err error
	if k.wrapper, err = newWrapper(cfg.Masters); err != nil {
		return nil, err
	}
	if k.packer, err = newPacker(cfg.MaxValue); err != nil {
		return nil, err
	}
	own, err := loadOwnKey(ctx, cfg.Keys, k.wrapper, cfg.Masters)
	if err != nil {
		return nil, err
	}
	defer clear(own)
	tagKey, err := derive(own, purposeTags, keyBytes)
	if err != nil {
		return nil, err
	}
	k.tags = newTagger(tagKey)
	if k.elsewhere, err = newElsewhere(ctx, cfg.Keys); err != nil {
		return nil, err
	}
	// With one master key there is nothing to wrap anew, and a shared store has the keys of all who ever used it.
	if k.elsewhere == nil || len(cfg.Masters) > 1 {
		if k.unreadable, err = rewrap(ctx, cfg.Keys, k.wrapper); err != nil {
			return nil, err
		}
	}
	k.config.Masters = nil // they are in wrapper, as far as they are needed
	return k, nil
}

// Shred removes the data keys of an owner from the store and from memory: an owner
// without a user means the tenant and all of its users, and the zero Owner the shared
// key and the users without a tenant. When it returns without an
// error nothing that was sealed for them before can be opened by this keyring, or by
// any that is made over the store from now on. A Seal that runs at the same time
// either uses a key from after the shredding or returns what cannot be opened. With
// an error the keys may still be in the store; shred again.
func (k *Keyring) Shred(ctx context.Context, owner Owner) error {
	tenant, user := k.tags.owner(owner)
	err := k.elsewhere.during(func() error {
		_, err := k.config.Keys.Shred(ctx, tenant, user)
		// After the store: a load that begins from here on finds nothing there, and one
		// that began before is told to begin anew. After an error, too, since the keys
		// may be gone then, and those that are not can be read again.
		k.table.shred(owner)
		return err
	})
	if err != nil {
		return fmt.Errorf("envelope: shred data keys: %w", err)
	}
	return nil
}

// Tag is a keyed hash of the value of a field: the same for the same two under the
// same store, and without the master key it says nothing about the value. It is zero
// for an empty value and never zero for another. field keeps values of different
// meanings apart. Two values may share a tag, with a chance of one in 2^64.
func (k *Keyring) Tag(field byte, value string) uint64 { return k.tags.field(field, value) }

// Stats says what the keyring counted. The numbers are read one after the other.
func (k *Keyring) Stats() Stats {
	return Stats{
		KeysOpen:       k.table.len(),
		KeysUnreadable: k.unreadable,
		Seals:          k.seals.Load(),
		Opens:          k.opens.Load(),
		Damaged:        k.damaged.Load(),
		NoKey:          k.noKey.Load(),
		PackedIn:       k.packedIn.Load(),
		PackedOut:      k.packedOut.Load(),
		Blind:          k.blind.Load(),
	}
}
