package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite"
)

// A store keeps records over a restart, and deletes them by what they are about.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "forebay")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	store, err := sqlite.Open(ctx, sqlite.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := cache.Record{
		Key: cache.Key{1}, Sealed: []byte("sealed"), Tags: cache.Tags{cache.FieldUser: 123},
		Expires: time.Now().Add(time.Hour), Keep: time.Now().Add(2 * time.Hour),
	}
	fmt.Println(store.Cache().Write(ctx, []cache.Record{answer}), store.Close())

	store, err = sqlite.Open(ctx, sqlite.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	found, err := store.Cache().Get(ctx, answer.Key)
	fmt.Println(string(found.Sealed), err)

	user := cache.Match{Mask: 1 << cache.FieldUser, Tags: cache.Tags{cache.FieldUser: 123}}
	inv, err := store.Cache().Invalidate(ctx, user, time.Now())
	fmt.Println("invalidation", inv.Number, err)
	for more := true; more; {
		_, more, err = store.Cache().Delete(ctx, cache.Selection{Match: user, Before: inv.Number}, 100)
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	_, err = store.Cache().Get(ctx, answer.Key)
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	// Output:
	// <nil> <nil>
	// sealed <nil>
	// invalidation 1 <nil>
	// true
}
