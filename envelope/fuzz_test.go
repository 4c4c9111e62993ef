package envelope_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/envelope"
)

// FuzzOpen: no bytes but those that Seal returned open, and none make it panic.
func FuzzOpen(f *testing.F) {
	k := newKeyring(f, newMemStore(), []envelope.Master{newMaster(f)}, func(c *envelope.Config) { c.MaxValue = 1 << 20 })
	genuine := [][]byte{
		seal(f, k, alice, "aad", ""),
		seal(f, k, alice, "aad", "a value"),
		seal(f, k, alice, "aad", string(answer(3000))),
	}
	f.Add(0, 0, []byte{}, 0)
	f.Add(1, 2, []byte{1, 2, 3}, 5)
	f.Add(2, 1, []byte{2}, 10_000)
	// Fuzzing mutates what it is given, so a change is described, not the envelope:
	// its nonce and key are new in each run.
	f.Fuzz(func(t *testing.T, which, at int, patch []byte, length int) {
		from := genuine[abs(which)%len(genuine)]
		sealed := bytes.Clone(from)
		for i, b := range patch {
			sealed[(abs(at)+i)%len(sealed)] ^= b
		}
		if n := abs(length); n < len(sealed) && n > 0 {
			sealed = sealed[:n]
		}
		for _, input := range [][]byte{sealed, patch} {
			_, err := k.Open(context.Background(), nil, alice, []byte("aad"), input)
			if changed := !bytes.Equal(input, from); (err == nil) == changed {
				t.Fatalf("changed: %v, error: %v", changed, err)
			}
		}
	})
}

// FuzzPacked: no authentic bytes make decompression panic or exceed its bound.
func FuzzPacked(f *testing.F) {
	const most = 64 << 10
	k := newKeyring(f, newMemStore(), []envelope.Master{newMaster(f)}, func(c *envelope.Config) { c.MaxValue = most })
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x24, 3, 0x19, 0, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, packed []byte) {
		sealed, err := k.SealPacked(context.Background(), alice, nil, packed)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := k.Open(context.Background(), nil, alice, nil, sealed)
		if len(plain) > most || err != nil && plain != nil {
			t.Fatalf("%d bytes, %v", len(plain), err)
		}
	})
}

func FuzzParseMasters(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for _, text := range []string{"", key, key + ",\n#" + key, strings.TrimRight(key, "="), strings.Repeat("0f", 32), key[:40], "# none"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		masters, err := envelope.ParseMasters(text)
		if (err == nil) != (len(masters) > 0) {
			t.Fatalf("%d keys, %v", len(masters), err)
		}
		seen := map[uint64]bool{0: true}
		for _, m := range masters {
			if seen[m.ID()] {
				t.Fatal("a key without an id of its own")
			}
			seen[m.ID()] = true
		}
		if err != nil {
			for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '#' || r == ' ' }) {
				if len(word) >= 12 && strings.Contains(err.Error(), word) {
					t.Fatalf("the error holds %q of the text: %v", word, err)
				}
			}
		}
	})
}

func abs(n int) int {
	if n < 0 {
		n = -(n + 1)
	}
	return n
}
