package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/storetest"
)

func TestKeys(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) envelope.KeyStore { return openStore(t, newTables(t)).Keys() })
}

func wrappedKey(id uint64) envelope.WrappedKey {
	return envelope.WrappedKey{ID: id, Tenant: 10, User: 20, Master: 1, Wrapped: fmt.Append(nil, "secret ", id), Created: time.Unix(int64(id), 0).UTC()}
}

// A key that was shredded does not come back, although a Save of it was on its way.
func TestShreddedKeysStaySo(t *testing.T) {
	cfg := newTables(t)
	a, b := openStore(t, cfg).Keys(), openStore(t, cfg).Keys()
	must(t, a.Save(t.Context(), wrappedKey(1), wrappedKey(2)))
	found, err := b.WrappedByOthers(t.Context(), 99, 10) // b is going to wrap them anew
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	if ids, err := a.Shred(t.Context(), 10, 20); err != nil || len(ids) != 2 {
		t.Fatal(ids, err)
	}
	other := wrappedKey(3)
	if err := b.Save(t.Context(), found[0], other, found[1]); !errors.Is(err, envelope.ErrNoKey) {
		t.Errorf("Save of shredded keys: %v", err)
	}
	for _, k := range found {
		if _, err := a.Key(t.Context(), k.ID); !errors.Is(err, envelope.ErrNoKey) {
			t.Errorf("the key %d is back: %v", k.ID, err)
		}
	}
	if k, err := a.Newest(t.Context(), 10, 20); err != nil || k.ID != 3 {
		t.Errorf("%d, %v; want the key that was saved beside them", k.ID, err)
	}
	if ids, err := a.Shred(t.Context(), 10, 0); err != nil || len(ids) != 1 {
		t.Error(ids, err)
	}
}

// TestKeysRace saves, wraps anew and shreds at the same time: what Shred says is gone stays so.
func TestKeysRace(t *testing.T) {
	cfg, w := stormy(t)
	a, b := openStore(t, cfg).Keys(), openStore(t, cfg).Keys()
	w.set(0.1, 0.05, 0.05)
	for round := range uint64(8) {
		id := round + 1
		again(t, "Save", func(ctx context.Context) error { return a.Save(ctx, wrappedKey(id)) })
		var both sync.WaitGroup
		both.Go(func() {
			anew := wrappedKey(id)
			anew.Master = 2
			again(t, "Save", func(ctx context.Context) error {
				if err := b.Save(ctx, anew); !errors.Is(err, envelope.ErrNoKey) {
					return err
				}
				return nil
			})
		})
		both.Go(func() {
			again(t, "Shred", func(ctx context.Context) error {
				_, err := a.Shred(ctx, 10, 20)
				return err
			})
		})
		both.Wait()
		again(t, "Key", func(ctx context.Context) error {
			_, err := b.Key(ctx, id)
			if err == nil {
				t.Errorf("the key %d is there", id)
			}
			if errors.Is(err, envelope.ErrNoKey) {
				return nil
			}
			return err
		})
	}
}
