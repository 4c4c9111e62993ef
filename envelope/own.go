package envelope

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// rewrapBatch is how many keys are wrapped anew in one Save.
const rewrapBatch = 256

// loadOwnKey gives the keyring's own key, from which the tags come.
//
// It is stored once for each master key, under an id that comes from that key. So a
// wrong master key file finds nothing and makes a key of its own, in a place of its
// own, and with the right file all is as before. A first own key comes from the
// master key rather than from chance: processes that start over an empty store at
// the same time then make the same key, with no need for a lock in the store.
func loadOwnKey(ctx context.Context, keys KeyStore, w *wrapper, masters []Master) ([]byte, error) {
	for i, m := range masters {
		id, err := m.deriveID(purposeOwnKeyID)
		if err != nil {
			return nil, err
		}
		stored, err := keys.Key(ctx, id)
		if errors.Is(err, ErrNoKey) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("envelope: the keyring's own key: %w", err)
		}
		if stored.ID != id || stored.Tenant != 0 || stored.User != 0 {
			continue // damaged, as below
		}
		own, err := w.unwrap(&stored)
		if err != nil {
			continue // unreadable, so another place may help
		}
		if i > 0 {
			err = saveOwnKey(ctx, keys, w, masters[0], own)
		}
		return own, err
	}
	own, err := masters[0].derive(purposeOwnKey)
	if err != nil {
		return nil, err
	}
	return own, saveOwnKey(ctx, keys, w, masters[0], own)
}

// saveOwnKey stores the own key in the current master key's place.
func saveOwnKey(ctx context.Context, keys KeyStore, w *wrapper, current Master, own []byte) error {
	id, err := current.deriveID(purposeOwnKeyID)
	if err != nil {
		return err
	}
	row := WrappedKey{ID: id, Created: time.Now().UTC().Truncate(time.Second)}
	w.wrap(&row, own)
	if err := keys.Save(ctx, row); err != nil {
		return fmt.Errorf("envelope: save the keyring's own key: %w", err)
	}
	return nil
}

// rewrap wraps with the current master key what a former one wraps, and counts what
// cannot be unwrapped. The store has no cursor, and what cannot be unwrapped comes
// again each time; so the batch grows with it, until a batch is not full and brings
// nothing new.
func rewrap(ctx context.Context, keys KeyStore, w *wrapper) (unreadable int, err error) {
	for {
		limit := 2*unreadable + rewrapBatch
		found, err := keys.WrappedByOthers(ctx, w.current, limit)
		if err != nil {
			return 0, fmt.Errorf("envelope: wrap keys anew: %w", err)
		}
		var anew []WrappedKey
		anew, unreadable = w.rewrapAll(found)
		if len(anew) == 0 {
			if len(found) < limit {
				return unreadable, nil
			}
			continue
		}
		// Another process may shred one of them meanwhile: it is not there any more.
		if err := keys.Save(ctx, anew...); err != nil && !errors.Is(err, ErrNoKey) {
			return 0, fmt.Errorf("envelope: wrap keys anew: %w", err)
		}
	}
}

// rewrapAll wraps keys with the current master key and counts those that cannot be unwrapped.
func (w *wrapper) rewrapAll(found []WrappedKey) (anew []WrappedKey, unreadable int) {
	for _, key := range found {
		if key.Master == w.current {
			continue // another process was faster
		}
		raw, err := w.unwrap(&key)
		if err != nil {
			unreadable++
			continue
		}
		w.wrap(&key, raw)
		clear(raw)
		anew = append(anew, key)
	}
	return anew, unreadable
}
