package envelope_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

func TestFirstSealsMakeOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newMemStore()
		k := newKeyring(t, keys, []envelope.Master{newMaster(t)})
		saves := keys.called("Save")
		keys.before = func(ctx context.Context, call string) error { time.Sleep(time.Second); return nil } // so that all meet
		ids := make([]uint64, 100)
		var wait sync.WaitGroup
		for i := range ids {
			wait.Go(func() { ids[i] = keyID(seal(t, k, alice, "", "value")) })
		}
		wait.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Fatal("first seals of one owner used two keys")
			}
		}
		if n := keys.called("Save") - saves; n != 1 || keys.called("Newest") != 1 {
			t.Errorf("%d calls of Save and %d of Newest, want 1 and 1", n, keys.called("Newest"))
		}
	})
}

// A caller that gives up while it loads a key takes nobody with it.
func TestLoaderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newMemStore()
		k := newKeyring(t, keys, []envelope.Master{newMaster(t)})
		keys.before = func(ctx context.Context, call string) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Second):
				return nil
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := k.Seal(ctx, nil, alice, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the one who loads: %v", err)
			}
		})
		synctest.Wait()
		wait.Go(func() {
			if _, err := k.Seal(t.Context(), nil, alice, nil, nil); err != nil {
				t.Errorf("one who waits: %v", err)
			}
		})
		impatient, cancelImpatient := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancelImpatient()
		wait.Go(func() {
			if _, err := k.Seal(impatient, nil, alice, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one who waits for a short time only: %v", err)
			}
		})
		wait.Wait()
	})
}

func TestStoreErrorsAreGivenOn(t *testing.T) {
	broken := errors.New("disk gone")
	masters := []envelope.Master{newMaster(t)}
	for _, call := range []string{"Newest", "Save", "Key"} {
		keys := newMemStore()
		sealed := seal(t, newKeyring(t, keys, masters), bob, "", "value")
		k := newKeyring(t, keys, masters)
		keys.before = func(_ context.Context, c string) error {
			if c == call {
				return broken
			}
			return nil
		}
		var err error
		if call == "Key" {
			_, err = open(k, bob, "", sealed)
		} else {
			_, err = k.Seal(context.Background(), nil, alice, nil, nil)
		}
		if !errors.Is(err, broken) || errors.Is(err, envelope.ErrDamaged) || errors.Is(err, envelope.ErrNoKey) {
			t.Errorf("%s: %v", call, err)
		}
		keys.before = nil
		if got, err := open(k, bob, "", sealed); err != nil || got != "value" {
			t.Errorf("when %s works again: %q, %v", call, got, err)
		}
	}
	for _, call := range []string{"Key", "Save", "WrappedByOthers"} {
		keys := newMemStore()
		keys.before = func(_ context.Context, c string) error {
			if c == call {
				return broken
			}
			return nil
		}
		if _, err := envelope.New(t.Context(), envelope.Config{Masters: masters, Keys: keys}); !errors.Is(err, broken) {
			t.Errorf("New over a store whose %s fails: %v", call, err)
		}
	}
}

// A store that panics is broken, but nobody waits for it for ever.
func TestStorePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newMemStore()
		k := newKeyring(t, keys, []envelope.Master{newMaster(t)})
		var once sync.Once
		keys.before = func(_ context.Context, call string) (err error) {
			once.Do(func() { time.Sleep(time.Second); panic("broken store") })
			return nil
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic got lost")
				}
			}()
			_, _ = k.Seal(t.Context(), nil, alice, nil, nil)
		})
		synctest.Wait()
		wait.Go(func() {
			if _, err := k.Seal(t.Context(), nil, alice, nil, nil); err == nil {
				t.Error("one who waited got a key")
			}
		})
		wait.Wait()
		if _, err := k.Seal(t.Context(), nil, alice, nil, nil); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
