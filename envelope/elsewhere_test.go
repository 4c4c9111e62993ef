package envelope_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

// togetherStore is a store that several keyrings use.
type togetherStore struct {
	*memStore
	mu       sync.Mutex // guards what follows
	shredded uint64
	looks    int
	broken   error
	stalls   bool
	held     chan struct{} // a Shred waits for it once its keys are gone; nil for none
}

func (s *togetherStore) Shred(ctx context.Context, tenant, user uint64) ([]uint64, error) {
	ids, err := s.memStore.Shred(ctx, tenant, user)
	s.mu.Lock()
	s.shredded++
	held := s.held
	s.mu.Unlock()
	if held != nil {
		<-held
	}
	return ids, err
}

func (s *togetherStore) Shreddings(ctx context.Context) (uint64, error) {
	s.mu.Lock()
	s.looks++
	n, err, stalls := s.shredded, s.broken, s.stalls
	s.mu.Unlock()
	if stalls {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return n, err
}

func (s *togetherStore) stall(stalls bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalls = stalls
}

func (s *togetherStore) hold(held chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
}

func (s *togetherStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

// A key that another process shredded seals and opens nothing any more, 5 s later: whether the process was in use meanwhile or stood still.
func TestShreddedElsewhere(t *testing.T) {
	for name, busy := range map[string]bool{"in use": true, "still": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				masters, store := []envelope.Master{newMaster(t)}, &togetherStore{memStore: newMemStore()}
				a, b := newKeyring(t, store, masters), newKeyring(t, store, masters)
				before := seal(t, b, alice, "aad", "value")
				kept := seal(t, b, bob, "aad", "value")
				told := 0
				b.OnShredded(func() { told++ })
				shred(t, a, alice)
				for range 50 {
					if busy {
						_ = seal(t, b, alice, "aad", "value")
					}
					time.Sleep(100 * time.Millisecond)
				}
				after := seal(t, b, alice, "aad", "value")
				if keyID(after) == keyID(before) {
					t.Error("it seals with a key that was shredded elsewhere")
				}
				if told != 1 {
					t.Errorf("it was told %d times", told)
				}
				if _, err := open(b, alice, "aad", before); !errors.Is(err, envelope.ErrNoKey) {
					t.Errorf("it opens what was shredded elsewhere: %v", err)
				}
				if _, err := open(a, alice, "aad", after); err != nil {
					t.Errorf("the other one cannot open what it sealed: %v", err)
				}
				if again := seal(t, b, bob, "aad", "value"); keyID(again) != keyID(kept) {
					t.Error("somebody else has another key")
				}
			})
		})
	}
}

// A look costs nothing while it is not due, and one read where it is, whoever needs a key.
func TestLooksAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &togetherStore{memStore: newMemStore()}
		k := newKeyring(t, store, []envelope.Master{newMaster(t)})
		for range 10 {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() { _ = seal(t, k, alice, "aad", "value") })
			}
			all.Wait()
			time.Sleep(time.Second)
		}
		if store.looks > 3 {
			t.Errorf("%d looks in ten seconds", store.looks)
		}
		if n := store.called("Newest"); n != 1 {
			t.Errorf("the key was read %d times although nothing was shredded", n)
		}
	})
}

// Where the store does not say what was shredded the keys in memory are used, and as soon as it does they are dropped.
func TestLooksFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		masters, store := []envelope.Master{newMaster(t)}, &togetherStore{memStore: newMemStore()}
		a, b := newKeyring(t, store, masters), newKeyring(t, store, masters)
		before := seal(t, b, alice, "aad", "value")
		shred(t, a, alice)
		store.fail(errors.New("down"))
		time.Sleep(time.Minute)
		if keyID(seal(t, b, alice, "aad", "value")) != keyID(before) || b.Stats().Blind == 0 {
			t.Errorf("%+v", b.Stats())
		}
		store.fail(nil)
		time.Sleep(time.Second)
		if keyID(seal(t, b, alice, "aad", "value")) == keyID(before) {
			t.Error("it seals with a key that was shredded elsewhere")
		}
	})
}

// Of a shared store a start reads no data keys, unless there is something to wrap anew.
func TestStartReadsNoKeys(t *testing.T) {
	masters, store := []envelope.Master{newMaster(t)}, &togetherStore{memStore: newMemStore()}
	_ = seal(t, newKeyring(t, store, masters), alice, "aad", "value")
	if n := store.called("WrappedByOthers"); n != 0 {
		t.Errorf("a start looks at all keys: %d times", n)
	}
	anew := append([]envelope.Master{newMaster(t)}, masters...)
	newKeyring(t, store, anew)
	if n := store.called("WrappedByOthers"); n == 0 {
		t.Error("with another master key nothing is wrapped anew")
	}
	for _, row := range store.owned() {
		if row.Master == masters[0].ID() {
			t.Error("a key is not wrapped anew")
		}
	}
}

// Where the store stalls, one of those who need a key waits for it, now and then, and the others go on; nobody does where somebody calls Refresh.
func TestLooksStall(t *testing.T) {
	for name, most := range map[string]time.Duration{"tended": 500 * time.Millisecond, "alone": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				masters, store := []envelope.Master{newMaster(t)}, &togetherStore{memStore: newMemStore()}
				a, b := newKeyring(t, store, masters), newKeyring(t, store, masters)
				before := seal(t, b, alice, "aad", "value")
				shred(t, a, alice)
				store.stall(true)
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				if name == "tended" {
					all.Go(func() { refreshing(ctx, b) })
				}
				var waited atomic.Int64
				for range 5 {
					all.Go(func() { waited.Add(int64(sealing(t, b, time.Minute))) })
				}
				time.Sleep(time.Minute + 5*time.Second)
				if w := time.Duration(waited.Load()); w > most {
					t.Errorf("in a minute, five wait %v together", w)
				}
				if keyID(seal(t, b, alice, "aad", "value")) != keyID(before) {
					t.Error("the key in memory is not used")
				}
				store.stall(false)
				time.Sleep(7 * time.Second)
				if keyID(seal(t, b, alice, "aad", "value")) == keyID(before) {
					t.Error("it seals with a key that was shredded elsewhere, although the store answers")
				}
				cancel()
				all.Wait()
			})
		})
	}
}

// sealing seals for a while and says how long that waited.
func sealing(t *testing.T, k *envelope.Keyring, long time.Duration) (waited time.Duration) {
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		began := time.Now()
		_ = seal(t, k, alice, "aad", "value")
		waited += time.Since(began)
	}
	return waited
}

// refreshing calls Refresh each second.
func refreshing(ctx context.Context, k *envelope.Keyring) {
	for ctx.Err() == nil {
		k.Refresh(ctx)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// After a pause, all who need a key wait for the one who looks: what was shredded meanwhile is used by none of them.
func TestAllWaitAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		masters, store := []envelope.Master{newMaster(t)}, &togetherStore{memStore: newMemStore()}
		a, b := newKeyring(t, store, masters), newKeyring(t, &slowLooks{store}, masters)
		before := seal(t, b, alice, "aad", "value")
		shred(t, a, alice)
		time.Sleep(time.Hour)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if keyID(seal(t, b, alice, "aad", "value")) == keyID(before) {
					t.Error("it seals with a key that was shredded an hour ago")
				}
			})
		}
		all.Wait()
	})
}

// slowLooks takes its time to look.
type slowLooks struct{ *togetherStore }

func (s *slowLooks) Shreddings(ctx context.Context) (uint64, error) {
	time.Sleep(100 * time.Millisecond)
	return s.togetherStore.Shreddings(ctx)
}

// What a process shreds itself costs it no keys but those, unless somebody else may have shredded some too.
func TestOwnShredKeepsOthersKeys(t *testing.T) {
	reads := func(t *testing.T, k *envelope.Keyring, store *togetherStore) int {
		before := store.called("Newest")
		_ = seal(t, k, bob, "aad", "value")
		return store.called("Newest") - before
	}
	whileItLooks := func(t *testing.T, b *envelope.Keyring, store *togetherStore) {
		held := make(chan struct{})
		store.hold(held)
		var all sync.WaitGroup
		all.Go(func() { shred(t, b, alice) })
		time.Sleep(6 * time.Second)
		if n := reads(t, b, store); n != 1 { // it saw one of which it does not know yet whose it is
			t.Errorf("%d reads", n)
		}
		close(held)
		all.Wait()
		store.hold(nil)
	}
	type events func(t *testing.T, a, b *envelope.Keyring, store *togetherStore) // b is the one that is looked at
	for name, c := range map[string]struct {
		events events
		reads  int
	}{
		"one's own":      {func(t *testing.T, _, b *envelope.Keyring, _ *togetherStore) { shred(t, b, alice); shred(t, b, alice) }, 0},
		"both":           {func(t *testing.T, a, b *envelope.Keyring, _ *togetherStore) { shred(t, b, alice); shred(t, a, alice) }, 1},
		"while it looks": {func(t *testing.T, _, b *envelope.Keyring, s *togetherStore) { whileItLooks(t, b, s) }, 0},
		"while it looks, then another's": {func(t *testing.T, a, b *envelope.Keyring, s *togetherStore) {
			whileItLooks(t, b, s)
			shred(t, a, alice)
		}, 1},
		"unsaid in between": {func(t *testing.T, _, b *envelope.Keyring, s *togetherStore) {
			shred(t, b, alice)
			s.fail(errors.New("down"))
			time.Sleep(6 * time.Second)
			_ = reads(t, b, s)
			s.fail(nil)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				masters, store := []envelope.Master{newMaster(t)}, &togetherStore{memStore: newMemStore()}
				a, b := newKeyring(t, store, masters), newKeyring(t, store, masters)
				_ = seal(t, b, bob, "aad", "value")
				told := 0
				b.OnShredded(func() { told++ })
				c.events(t, a, b, store)
				time.Sleep(6 * time.Second)
				if n := reads(t, b, store); n != c.reads {
					t.Errorf("%d reads of somebody else's key, not %d", n, c.reads)
				}
				if told == 0 {
					t.Error("nobody was told")
				}
			})
		})
	}
}

// Who is to be told no more is not.
func TestForgetsWhomToTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &togetherStore{memStore: newMemStore()}
		k := newKeyring(t, store, []envelope.Master{newMaster(t)})
		var told [3]int
		var forget [3]func()
		for i := range told {
			forget[i] = k.OnShredded(func() { told[i]++ })
		}
		forget[1]()
		forget[1]()
		shred(t, k, alice)
		time.Sleep(6 * time.Second)
		k.Refresh(t.Context())
		if want := [3]int{1, 0, 1}; told != want {
			t.Errorf("%v were told", told)
		}
	})
}
