package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

// Keys checks an implementation of envelope.KeyStore. open returns an empty store,
// and has it closed by t.Cleanup where it needs to be. That the bytes of shredded
// keys are gone from the store's files is for each implementation to check.
func Keys(t *testing.T, open func(t *testing.T) envelope.KeyStore) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, s envelope.KeyStore)
	}{
		{"what is saved comes back", keysRoundTrip},
		{"what was not saved is not there", keysMissing},
		{"the newest key of an owner", keysNewest},
		{"a key takes the place of one with its id", keysReplace},
		{"no reference is kept", keysCopies},
		{"shredding a user", keysShredUser},
		{"shredding a tenant", keysShredTenant},
		{"keys that other masters wrap", keysOthers},
		{"shreddings change a number", keysShreddings},
		{"an ended context", keysContext},
		{"concurrent use", keysConcurrent},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, open(t)) })
	}
}

// keysShreddings is for stores that several processes share.
func keysShreddings(t *testing.T, s envelope.KeyStore) {
	shared, ok := s.(envelope.Sharer)
	if !ok {
		return
	}
	seen := map[uint64]bool{}
	look := func(what string) {
		t.Helper()
		n, err := shared.Shreddings(t.Context())
		must(t, err)
		if seen[n] {
			t.Errorf("after %s the number is %d again", what, n)
		}
		seen[n] = true
	}
	look("nothing")
	save(t, s, wrapped(1, 10, 20), wrapped(2, 10, 21))
	for _, user := range []uint64{20, 20, 0} { // the second finds nothing
		_, err := s.Shred(t.Context(), 10, user)
		must(t, err)
		look(fmt.Sprint("the shredding of user ", user))
	}
	again, err := shared.Shreddings(t.Context())
	must(t, err)
	if !seen[again] {
		t.Error("the number changes by itself")
	}
}

// KeysTogether checks what some stores promise beyond the contract: that the keys of one Save are saved together.
func KeysTogether(t *testing.T, open func(t *testing.T) envelope.KeyStore) {
	t.Run("keys are saved together or not at all", func(t *testing.T) { keysTogether(t, open(t)) })
}

// wrapped is a key of an owner.
func wrapped(id, tenant, user uint64) envelope.WrappedKey {
	return envelope.WrappedKey{
		ID: id, Tenant: tenant, User: user, Master: 7,
		Wrapped: fmt.Appendf(nil, "wrapped key %d of %d and %d", id, tenant, user),
		Created: epoch.Truncate(time.Second).Add(time.Duration(id%1000) * time.Second),
	}
}

func save(t testing.TB, s envelope.KeyStore, keys ...envelope.WrappedKey) {
	t.Helper()
	must(t, s.Save(t.Context(), keys...))
}

func hasKey(t testing.TB, s envelope.KeyStore, want envelope.WrappedKey) {
	t.Helper()
	got, err := s.Key(t.Context(), want.ID)
	must(t, err)
	if diff := differ(want, got); diff != "" {
		t.Errorf("a key came back changed (-saved +read):\n%s", diff)
	}
}

func hasNoKey(t testing.TB, s envelope.KeyStore, id uint64) {
	t.Helper()
	if got, err := s.Key(t.Context(), id); !errors.Is(err, envelope.ErrNoKey) {
		t.Errorf("Key(%d) = %+v, %v; want ErrNoKey", id, got, err)
	}
}

// newest checks the id of an owner's newest key; zero means that there is none.
func newest(t testing.TB, s envelope.KeyStore, tenant, user, id uint64) {
	t.Helper()
	got, err := s.Newest(t.Context(), tenant, user)
	if id == 0 {
		if !errors.Is(err, envelope.ErrNoKey) {
			t.Errorf("Newest(%d, %d) = key %d, %v; want ErrNoKey", tenant, user, got.ID, err)
		}
		return
	}
	if err != nil || got.ID != id {
		t.Errorf("Newest(%d, %d) = key %d, %v; want key %d", tenant, user, got.ID, err, id)
	}
}

func shred(t testing.TB, s envelope.KeyStore, tenant, user uint64, want ...uint64) {
	t.Helper()
	ids, err := s.Shred(t.Context(), tenant, user)
	must(t, err)
	slices.Sort(ids)
	if !slices.Equal(ids, want) {
		t.Errorf("Shred(%d, %d) = %d; want %d", tenant, user, ids, want)
	}
	for _, id := range want {
		hasNoKey(t, s, id)
	}
}

func keysRoundTrip(t *testing.T, s envelope.KeyStore) {
	all := []envelope.WrappedKey{
		wrapped(1, 0, 0), wrapped(2, 10, 0), wrapped(3, 10, 20),
		wrapped(math.MaxUint64, math.MaxUint64, math.MaxUint64), wrapped(1<<63, 1<<63, 1<<63),
		{ID: 4, Tenant: 11, Master: math.MaxUint64, Wrapped: make([]byte, 5000), Created: time.Unix(0, 0)},
		{ID: 5, Tenant: 12, Master: 1 << 63, Wrapped: []byte{0, 0xff, '\'', 0}, Created: time.Unix(1<<40, 0)},
	}
	save(t, s, all...)
	for _, k := range all {
		hasKey(t, s, k)
		newest(t, s, k.Tenant, k.User, k.ID)
	}
	save(t, s) // nothing is fine too
}

func keysMissing(t *testing.T, s envelope.KeyStore) {
	hasNoKey(t, s, 1)
	newest(t, s, 1, 0, 0)
	newest(t, s, 0, 0, 0)
	save(t, s, wrapped(2, 10, 20))
	hasNoKey(t, s, 1)
	newest(t, s, 10, 0, 0) // a user's key is not the tenant's
	newest(t, s, 10, 21, 0)
	newest(t, s, 11, 20, 0)
	newest(t, s, 0, 20, 0)
	shred(t, s, 11, 0)
	shred(t, s, 11, 20)
	shred(t, s, 10, 21)
	hasKey(t, s, wrapped(2, 10, 20))
}

func keysNewest(t *testing.T, s envelope.KeyStore) {
	save(t, s, wrapped(5, 10, 20), wrapped(7, 10, 20))
	save(t, s, wrapped(6, 10, 20), wrapped(8, 10, 0), wrapped(9, 11, 20))
	newest(t, s, 10, 20, 7) // by when it was created, not by when it was saved
	newest(t, s, 10, 0, 8)
	newest(t, s, 11, 20, 9)
	old := wrapped(5, 10, 20)
	old.Master = 8
	save(t, s, old) // wrapped anew, and as old as before
	newest(t, s, 10, 20, 7)
}

func keysReplace(t *testing.T, s envelope.KeyStore) {
	k := wrapped(1, 10, 20)
	save(t, s, k, wrapped(2, 10, 20))
	for _, length := range []int{len(k.Wrapped), 3, 3000} {
		k.Master++
		k.Wrapped = make([]byte, length)
		save(t, s, k)
		hasKey(t, s, k)
	}
	first, second := k, k
	first.Master, second.Master = 100, 200
	save(t, s, first, second)
	hasKey(t, s, second)
	hasKey(t, s, wrapped(2, 10, 20))
	shred(t, s, 10, 20, 1, 2) // each once
}

func keysTogether(t *testing.T, s envelope.KeyStore) {
	failed := 0
	for n := range 20 {
		var batch []envelope.WrappedKey
		for i := range 6 {
			batch = append(batch, wrapped(uint64(100+10*n+i), 10, 0))
		}
		err := s.Save(newImpatient(n+1), batch...)
		if err != nil {
			failed++
		}
		for _, k := range batch {
			if err == nil {
				hasKey(t, s, k)
			} else {
				hasNoKey(t, s, k.ID)
			}
		}
	}
	if failed == 0 {
		t.Error("no Save failed although the context of each ended")
	}
}

func keysCopies(t *testing.T, s envelope.KeyStore) {
	k := wrapped(1, 10, 20)
	save(t, s, k)
	clear(k.Wrapped)
	hasKey(t, s, wrapped(1, 10, 20))
}

// keysShredUser and keysShredTenant shred among keys of neighbours in every respect.
func keysShredUser(t *testing.T, s envelope.KeyStore) {
	save(t, s, wrapped(1, 10, 20), wrapped(2, 10, 20), wrapped(3, 10, 21), wrapped(4, 10, 0), wrapped(5, 11, 20), wrapped(6, 0, 0))
	shred(t, s, 10, 20, 1, 2)
	newest(t, s, 10, 20, 0)
	newest(t, s, 10, 21, 3)
	newest(t, s, 10, 0, 4)
	newest(t, s, 11, 20, 5)
	newest(t, s, 0, 0, 6)
	for _, k := range []envelope.WrappedKey{wrapped(3, 10, 21), wrapped(4, 10, 0), wrapped(5, 11, 20), wrapped(6, 0, 0)} {
		hasKey(t, s, k)
	}
	shred(t, s, 10, 20)
	save(t, s, wrapped(7, 10, 20)) // the user may come back
	newest(t, s, 10, 20, 7)
}

func keysShredTenant(t *testing.T, s envelope.KeyStore) {
	save(t, s, wrapped(1, 10, 20), wrapped(2, 10, 21), wrapped(3, 10, 0), wrapped(4, 11, 20), wrapped(5, 11, 0), wrapped(6, 0, 0))
	shred(t, s, 10, 0, 1, 2, 3)
	newest(t, s, 10, 0, 0)
	newest(t, s, 10, 20, 0)
	newest(t, s, 10, 21, 0)
	newest(t, s, 11, 20, 4)
	newest(t, s, 11, 0, 5)
	newest(t, s, 0, 0, 6)
	for _, k := range []envelope.WrappedKey{wrapped(4, 11, 20), wrapped(5, 11, 0), wrapped(6, 0, 0)} {
		hasKey(t, s, k)
	}
}

// keysOthers wraps all keys anew, as the change of a master key does.
func keysOthers(t *testing.T, s envelope.KeyStore) {
	const master = 1 << 63
	var all []envelope.WrappedKey
	for id := range uint64(25) {
		k := wrapped(id+1, id%3, id%2)
		k.Master = []uint64{1, master, math.MaxUint64, master - 1, master + 1}[id%5]
		all = append(all, k)
	}
	save(t, s, all...)
	if got, err := s.WrappedByOthers(t.Context(), master, 0); len(got) != 0 || err != nil {
		t.Errorf("WrappedByOthers with a limit of 0 = %d keys, %v", len(got), err)
	}
	changed := map[uint64]bool{}
	for range 10 {
		got, err := s.WrappedByOthers(t.Context(), master, 3)
		must(t, err)
		if len(got) > 3 {
			t.Fatalf("WrappedByOthers gave %d keys; the limit is 3", len(got))
		}
		for i, k := range got {
			hasKey(t, s, k)
			if k.Master == master || changed[k.ID] {
				t.Errorf("WrappedByOthers gave the key %d of master %d", k.ID, k.Master)
			}
			changed[k.ID] = true
			got[i].Master = master
		}
		save(t, s, got...)
	}
	if len(changed) != 20 {
		t.Errorf("WrappedByOthers gave %d keys in all; want 20", len(changed))
	}
}

func keysContext(t *testing.T, s envelope.KeyStore) {
	save(t, s, wrapped(1, 10, 20))
	ctx := ended()
	_, key := s.Key(ctx, 1)
	_, newestErr := s.Newest(ctx, 10, 20)
	saveErr := s.Save(ctx, wrapped(2, 10, 20))
	_, shredErr := s.Shred(ctx, 10, 20)
	_, others := s.WrappedByOthers(ctx, 1, 10)
	for op, err := range map[string]error{"Key": key, "Newest": newestErr, "Save": saveErr, "Shred": shredErr, "WrappedByOthers": others} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want context.Canceled", op, err)
		}
	}
	hasKey(t, s, wrapped(1, 10, 20))
	hasNoKey(t, s, 2)
}

func keysConcurrent(t *testing.T, s envelope.KeyStore) {
	var all sync.WaitGroup
	for g := range uint64(6) {
		all.Go(func() {
			tenant := g + 1
			for n := range uint64(6) {
				own, users := wrapped(1000*tenant+n, tenant, 0), wrapped(1000*tenant+100+n, tenant, 5)
				save(t, s, own, users)
				hasKey(t, s, own)
				newest(t, s, tenant, 5, users.ID)
				shred(t, s, tenant, 5, users.ID)
				newest(t, s, tenant, 0, own.ID)
			}
		})
	}
	all.Wait()
}
