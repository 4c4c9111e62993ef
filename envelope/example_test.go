package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/forebay-ai/forebay/envelope"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "envelope")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	masters, err := envelope.EnsureMasters(filepath.Join(dir, "master.key"))
	if err != nil {
		fmt.Println(err)
		return
	}
	keyring, err := envelope.New(ctx, envelope.Config{Masters: masters, Keys: newMemStore()})
	if err != nil {
		fmt.Println(err)
		return
	}

	owner := envelope.Owner{Tenant: "acme", User: "alice"}
	sealed, err := keyring.Seal(ctx, nil, owner, []byte("entry 17"), []byte("an answer"))
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := keyring.Open(ctx, nil, owner, []byte("entry 17"), sealed)
	fmt.Printf("%s, %v\n", plain, err)

	_, err = keyring.Open(ctx, nil, owner, []byte("entry 18"), sealed)
	fmt.Println("in another place:", errors.Is(err, envelope.ErrDamaged))

	if err := keyring.Shred(ctx, owner); err != nil {
		fmt.Println(err)
		return
	}
	_, err = keyring.Open(ctx, nil, owner, []byte("entry 17"), sealed)
	fmt.Println("shredded:", errors.Is(err, envelope.ErrNoKey))
	// Output:
	// an answer, <nil>
	// in another place: true
	// shredded: true
}
