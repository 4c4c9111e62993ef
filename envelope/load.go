package envelope

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// keyToSeal is the key for new values of an owner, made if there is none that is
// young enough.
func (k *Keyring) keyToSeal(ctx context.Context, owner Owner) (*dataKey, error) {
	k.look(ctx)
	what := loadID{owner: owner}
	if key := k.table.get(what); key != nil && k.young(key) {
		return key, nil
	}
	return k.load(ctx, what, k.young, k.fetchNewest)
}

// keyToOpen is the key of an id, which the owner must have.
func (k *Keyring) keyToOpen(ctx context.Context, what loadID) (*dataKey, error) {
	k.look(ctx)
	key := k.table.get(what)
	if key == nil {
		whatever := func(*dataKey) bool { return true }
		var err error
		if key, err = k.load(ctx, what, whatever, k.fetchByID); err != nil {
			return nil, err
		}
	}
	if key.owner != what.owner {
		return nil, fmt.Errorf("%w: its key belongs to another owner", ErrDamaged)
	}
	return key, nil
}

func (k *Keyring) young(key *dataKey) bool { return !key.old(time.Now(), k.config.RotateAfter) }

// fetchFunc gets a key from the store.
type fetchFunc func(ctx context.Context, what loadID) (*dataKey, error)

// load gets a key from the store, once for all who want it at the same time. It
// starts anew as long as the owner is shredded under its hands: a key that was read
// before that must not be used, nor be kept, after it.
func (k *Keyring) load(ctx context.Context, what loadID, suits func(*dataKey) bool, fetch fetchFunc) (*dataKey, error) {
	for {
		key, l, lead := k.table.begin(what, suits)
		switch {
		case key != nil:
			return key, nil
		case lead:
			k.lead(ctx, what, l, fetch)
			if !l.shredded {
				return l.key, l.err
			}
		default:
			select {
			case <-l.done:
			case <-ctx.Done():
			}
			if ctx.Err() == nil && !l.again() {
				return l.key, l.err
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("envelope: load a data key: %w", err)
		}
	}
}

// lead runs a load. It ends it even if the store panics, so that nobody waits for it
// for ever.
func (k *Keyring) lead(ctx context.Context, what loadID, l *load, fetch fetchFunc) {
	defer k.table.finish(what, l)
	key, err := fetch(ctx, what)
	l.left = err != nil && ctx.Err() != nil
	l.key, l.err = key, err
}

// fetchNewest reads the newest key of an owner, or makes one where there is none, or
// none that can be read or is young enough.
func (k *Keyring) fetchNewest(ctx context.Context, what loadID) (*dataKey, error) {
	tenant, user := k.tags.owner(what.owner)
	stored, err := k.config.Keys.Newest(ctx, tenant, user)
	if err != nil && !errors.Is(err, ErrNoKey) {
		return nil, fmt.Errorf("envelope: newest data key: %w", err)
	}
	if err == nil && stored.Tenant == tenant && stored.User == user {
		key, err := k.unwrap(&stored, what.owner)
		if err == nil && k.young(key) && !k.wornOut(key.id) {
			return key, nil
		}
	}
	return k.create(ctx, what.owner, WrappedKey{Tenant: tenant, User: user})
}

// wornOut reports whether the key of an id is in memory and has sealed all it may,
// which its row in the store does not tell.
func (k *Keyring) wornOut(id uint64) bool {
	key := k.table.get(loadID{id: id})
	return key != nil && !k.young(key)
}

// fetchByID reads the key of an id. The error is ErrNoKey, ErrDamaged or the store's.
func (k *Keyring) fetchByID(ctx context.Context, what loadID) (*dataKey, error) {
	stored, err := k.config.Keys.Key(ctx, what.id)
	if errors.Is(err, ErrNoKey) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("envelope: data key: %w", err)
	}
	tenant, user := k.tags.owner(what.owner)
	if stored.ID != what.id || stored.Tenant != tenant || stored.User != user {
		return nil, fmt.Errorf("%w: its key belongs to another owner", ErrDamaged)
	}
	key, err := k.unwrap(&stored, what.owner)
	switch {
	case errors.Is(err, errUnknownMaster):
		return nil, fmt.Errorf("%w that can be read: it is %w", ErrNoKey, err)
	case errors.Is(err, errKeyDamaged):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return key, err
}

// unwrap makes a stored key usable.
func (k *Keyring) unwrap(stored *WrappedKey, owner Owner) (*dataKey, error) {
	raw, err := k.wrapper.unwrap(stored)
	if err != nil {
		return nil, err
	}
	return newDataKey(stored, owner, raw)
}

// create makes a key and saves it: it is durable before anything is sealed with it.
func (k *Keyring) create(ctx context.Context, owner Owner, row WrappedKey) (*dataKey, error) {
	var random [8 + keyBytes]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("envelope: random data key: %w", err)
	}
	row.ID = nonZero(binary.BigEndian.Uint64(random[:8]))
	row.Created = time.Now().UTC().Truncate(time.Second)
	k.wrapper.wrap(&row, random[8:])
	if err := k.config.Keys.Save(ctx, row); err != nil {
		return nil, fmt.Errorf("envelope: save a data key: %w", err)
	}
	return newDataKey(&row, owner, random[8:])
}

// newDataKey makes the key of a row usable and wipes raw.
func newDataKey(row *WrappedKey, owner Owner, raw []byte) (*dataKey, error) {
	defer clear(raw)
	c, err := newCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("envelope: data key: %w", err)
	}
	return &dataKey{id: row.ID, owner: owner.clone(), cipher: c, created: row.Created}, nil
}
