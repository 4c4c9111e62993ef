package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/forebay-ai/forebay/envelope"
)

func shred(t testing.TB, k *envelope.Keyring, owner envelope.Owner) {
	t.Helper()
	if err := k.Shred(context.Background(), owner); err != nil {
		t.Fatalf("Shred: %v", err)
	}
}

func TestShred(t *testing.T) {
	owners := []envelope.Owner{alice, bob, acme, other, all, {User: "alice"}}
	for _, test := range []struct {
		shred envelope.Owner
		gone  map[envelope.Owner]bool
	}{
		{alice, map[envelope.Owner]bool{alice: true}},
		{acme, map[envelope.Owner]bool{alice: true, bob: true, acme: true}},
		{other, map[envelope.Owner]bool{other: true}},
		{envelope.Owner{Tenant: "umbrella"}, map[envelope.Owner]bool{other: true}},
		{all, map[envelope.Owner]bool{all: true, {User: "alice"}: true}},
		{envelope.Owner{Tenant: "nobody"}, nil},
	} {
		masters, keys := []envelope.Master{newMaster(t)}, newMemStore()
		k := newKeyring(t, keys, masters)
		sealed := map[envelope.Owner][]byte{}
		for _, o := range owners {
			sealed[o] = seal(t, k, o, "aad", "value")
		}
		shred(t, k, test.shred)
		for name, k := range map[string]*envelope.Keyring{"same": k, "restarted": newKeyring(t, keys, masters)} {
			for _, o := range owners {
				_, err := open(k, o, "aad", sealed[o])
				if test.gone[o] && !errors.Is(err, envelope.ErrNoKey) || !test.gone[o] && err != nil {
					t.Errorf("%+v shredded, %s keyring: %+v gives %v", test.shred, name, o, err)
				}
				again := seal(t, k, o, "aad", "value")
				if (keyID(again) != keyID(sealed[o])) != test.gone[o] {
					t.Errorf("%+v shredded, %s keyring: %+v seals with key %x after %x", test.shred, name, o, keyID(again), keyID(sealed[o]))
				}
			}
		}
	}
}

// A load that read a key before Shred, and comes back after it, must not bring the
// key back.
func TestShredDuringLoad(t *testing.T) {
	for _, test := range []struct {
		call string // of the store, which is held up after it has read
		use  func(ctx context.Context, k *envelope.Keyring, sealed []byte) ([]byte, error)
	}{
		{"Newest", func(ctx context.Context, k *envelope.Keyring, _ []byte) ([]byte, error) {
			return k.Seal(ctx, nil, alice, nil, []byte("after"))
		}},
		{"Key", func(ctx context.Context, k *envelope.Keyring, sealed []byte) ([]byte, error) {
			return k.Open(ctx, nil, alice, nil, sealed)
		}},
	} {
		for _, owner := range []envelope.Owner{alice, acme} {
			t.Run(fmt.Sprintf("%s/%+v", test.call, owner), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { shredDuringLoad(t, owner, test.call, test.use) })
			})
		}
	}
}

func shredDuringLoad(t *testing.T, owner envelope.Owner, call string, use func(context.Context, *envelope.Keyring, []byte) ([]byte, error)) {
	masters, keys := []envelope.Master{newMaster(t)}, newMemStore()
	before := seal(t, newKeyring(t, keys, masters), alice, "", "before")
	k := newKeyring(t, keys, masters) // with nothing in memory

	goOn := make(chan struct{})
	var once sync.Once
	keys.after = func(c string) {
		if c == call {
			once.Do(func() { <-goOn })
		}
	}
	const users = 4 // the first loads, the others wait for it
	var wait sync.WaitGroup
	results := make([][]byte, users)
	errs := make([]error, users)
	for i := range users {
		wait.Go(func() { results[i], errs[i] = use(context.Background(), k, before) })
	}
	synctest.Wait()
	shred(t, k, owner)
	close(goOn)
	wait.Wait()
	for i := range users {
		if call == "Key" {
			if !errors.Is(errs[i], envelope.ErrNoKey) {
				t.Errorf("Open %d over the shredding gives %q, %v", i, results[i], errs[i])
			}
			continue
		}
		if errs[i] != nil || keyID(results[i]) == keyID(before) {
			t.Errorf("Seal %d over the shredding: %v, same key %v", i, errs[i], errs[i] == nil)
		} else if _, err := open(k, alice, "", results[i]); err != nil {
			t.Errorf("what Seal %d gave cannot be opened: %v", i, err)
		}
	}
	if _, err := open(k, alice, "", before); !errors.Is(err, envelope.ErrNoKey) {
		t.Errorf("after Shred what was sealed before gives %v", err)
	}
	if n := len(keys.owned()); call == "Newest" && n != 1 {
		t.Errorf("%d keys, want the one from after the shredding", n)
	}
}

// A first Seal whose key reaches the store around a Shred.
func TestShredDuringCreate(t *testing.T) {
	for _, hold := range []string{"before", "after"} {
		synctest.Test(t, func(t *testing.T) {
			keys := newMemStore()
			k := newKeyring(t, keys, []envelope.Master{newMaster(t)})
			goOn := make(chan struct{})
			var once sync.Once
			wait := func(call string) {
				if call == "Save" {
					once.Do(func() { <-goOn })
				}
			}
			if hold == "before" {
				keys.before = func(_ context.Context, call string) error { wait(call); return nil }
			} else {
				keys.after = wait
			}
			var sealed []byte
			done := make(chan struct{})
			go func() { sealed = seal(t, k, alice, "", "value"); close(done) }()
			synctest.Wait()
			shred(t, k, alice)
			close(goOn)
			<-done
			if _, err := open(k, alice, "", sealed); err != nil {
				t.Errorf("held %s Save: %v", hold, err)
			}
			if rows := keys.owned(); len(rows) != 1 || rows[0].ID != keyID(sealed) {
				t.Errorf("held %s Save: the store has %d keys, want the one that seals", hold, len(rows))
			}
		})
	}
}

// Who uses a key while the store is about to remove it must not keep it in memory.
func TestUseDuringShred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newMemStore()
		k := newKeyring(t, keys, []envelope.Master{newMaster(t)})
		before := seal(t, k, alice, "", "value")
		goOn := make(chan struct{})
		keys.before = func(_ context.Context, call string) error {
			if call == "Shred" {
				<-goOn
			}
			return nil
		}
		done := make(chan struct{})
		go func() { shred(t, k, alice); close(done) }()
		synctest.Wait()
		if _, err := open(k, alice, "", before); err != nil {
			t.Errorf("before the key is gone: %v", err)
		}
		during := seal(t, k, alice, "", "value")
		close(goOn)
		<-done
		for _, sealed := range [][]byte{before, during} {
			if _, err := open(k, alice, "", sealed); !errors.Is(err, envelope.ErrNoKey) {
				t.Errorf("after Shred: %v", err)
			}
		}
	})
}

func TestShredFails(t *testing.T) {
	keys := newMemStore()
	k := newKeyring(t, keys, []envelope.Master{newMaster(t)})
	sealed := seal(t, k, alice, "", "value")
	broken := errors.New("disk gone")
	keys.before = func(_ context.Context, call string) error {
		if call == "Shred" {
			return broken
		}
		return nil
	}
	if err := k.Shred(context.Background(), alice); !errors.Is(err, broken) {
		t.Errorf("Shred gives %v", err)
	}
	keys.before = nil
	if got, err := open(k, alice, "", sealed); err != nil || got != "value" {
		t.Errorf("a shredding that failed: %q, %v", got, err)
	}
	shred(t, k, alice)
	if _, err := open(k, alice, "", sealed); !errors.Is(err, envelope.ErrNoKey) {
		t.Errorf("shredded again: %v", err)
	}
}

// Everything at once. Whatever was sealed before a Shred began must not open after it
// returned, what was sealed after the last one must, and nothing else may happen.
func TestConcurrently(t *testing.T) {
	masters, keys := []envelope.Master{newMaster(t)}, newMemStore()
	k := newKeyring(t, keys, masters, func(c *envelope.Config) { c.MaxOpenKeys = 3 }) // fewer than owners
	owners := []envelope.Owner{alice, bob, acme, other, all}
	type item struct {
		owner  envelope.Owner
		sealed []byte
	}
	var mu sync.Mutex
	var items []item // every one was sealed, and its Seal has returned
	var wait sync.WaitGroup
	for worker := range 6 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 400 {
				o := owners[r.IntN(len(owners))]
				mu.Lock()
				var old item
				if len(items) > 0 {
					old = items[r.IntN(len(items))]
				}
				mu.Unlock()
				if r.IntN(10) == 0 {
					runtime.Gosched() // for other interleavings
				}
				if got, err := open(k, old.owner, "", old.sealed); old.sealed != nil && (err == nil && got != "value" || err != nil && !errors.Is(err, envelope.ErrNoKey)) {
					t.Errorf("Open gives %q, %v", got, err)
				}
				sealed := seal(t, k, o, "", "value")
				mu.Lock()
				items = append(items, item{o, sealed})
				mu.Unlock()
			}
		})
	}
	wait.Go(func() {
		for i := range 150 {
			mu.Lock()
			before := items
			mu.Unlock()
			victim := owners[i%len(owners)]
			shred(t, k, victim)
			for _, it := range before {
				hit := it.owner == victim || victim.User == "" && it.owner.Tenant == victim.Tenant
				if _, err := open(k, it.owner, "", it.sealed); hit && !errors.Is(err, envelope.ErrNoKey) {
					t.Errorf("sealed for %+v before %+v was shredded: %v", it.owner, victim, err)
				}
			}
		}
	})
	wait.Go(func() { // others start over the same store, as a restart does
		for range 20 {
			newKeyring(t, keys, masters)
		}
	})
	wait.Wait()
	for _, o := range owners {
		if got, err := open(k, o, "", seal(t, k, o, "", "value")); err != nil || got != "value" {
			t.Errorf("at the end: %q, %v", got, err)
		}
	}
	if n := k.Stats().KeysOpen; n > 3 {
		t.Errorf("%d keys in memory, at most 3 are allowed", n)
	}
}
