package envelope_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/envelope"
)

func TestSealOpen(t *testing.T) {
	noise := make([]byte, 5000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"empty": "", "one byte": "x", "below the threshold": strings.Repeat("a", 1023),
		"at the threshold": strings.Repeat("a", 1024), "text": string(answer(2 << 10)),
		"noise": string(noise), "several blocks": string(answer(700 << 10)),
	}
	for _, compress := range []bool{true, false} {
		k := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)}, func(c *envelope.Config) { c.NoCompression = !compress })
		for name, value := range values {
			for _, owner := range []envelope.Owner{alice, bob, acme, other, all, {User: "alice"}} {
				sealed, err := k.Seal(context.Background(), []byte("before"), owner, []byte("aad"), []byte(value))
				if err != nil {
					t.Fatal(err)
				}
				if string(sealed[:6]) != "before" {
					t.Fatalf("%s: Seal changed what was in dst", name)
				}
				sealed = sealed[6:]
				if len(sealed) > len(value)+envelope.Overhead {
					t.Errorf("%s: %d bytes became %d, above Overhead", name, len(value), len(sealed))
				}
				packed := compress && name != "noise" && len(value) >= 1024
				if got := len(sealed) < len(value); got != packed {
					t.Errorf("%s (compress %v): %d bytes became %d", name, compress, len(value), len(sealed))
				}
				plain, err := k.Open(context.Background(), []byte("before"), owner, []byte("aad"), sealed)
				if err != nil || string(plain) != "before"+value {
					t.Errorf("%s of %v: Open gives %d bytes, %v", name, owner, len(plain), err)
				}
			}
		}
	}
}

func TestSealIsNeverTheSameTwice(t *testing.T) {
	k := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)})
	seen := map[string]bool{}
	for range 10_000 {
		nonce := string(seal(t, k, alice, "", "the same")[10:22])
		if seen[nonce] {
			t.Fatal("a nonce was used twice")
		}
		seen[nonce] = true
	}
}

func TestNoPlainTextIsKept(t *testing.T) {
	keys := newMemStore()
	k := newKeyring(t, keys, []envelope.Master{newMaster(t)})
	sealed := seal(t, k, envelope.Owner{Tenant: "canary-tenant", User: "canary-user"}, "canary-aad", strings.Repeat("canary-value ", 200))
	everything := fmt.Sprintf("%s %+v", sealed, keys.rows)
	for row := range slices.Values(keys.owned()) {
		everything += string(row.Wrapped)
	}
	if strings.Contains(everything, "canary") {
		t.Error("the envelope or the store holds plain text")
	}
}

// place is what an envelope is bound to.
type place struct {
	owner envelope.Owner
	aad   string
}

// mustFail checks that sealed does not open in a place, and fails with one of the two
// errors that say so.
func mustFail(t testing.TB, k *envelope.Keyring, in place, sealed []byte, what string) {
	t.Helper()
	plain, err := open(k, in.owner, in.aad, sealed)
	if err == nil || plain != "" {
		t.Fatalf("%s: it opened", what)
	}
	if !errors.Is(err, envelope.ErrDamaged) && !errors.Is(err, envelope.ErrNoKey) {
		t.Fatalf("%s: the error is %v", what, err)
	}
}

func TestDamage(t *testing.T) {
	k := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)})
	for _, value := range []string{"", "short", string(answer(1500))} {
		sealed := seal(t, k, alice, "aad", value)
		if got, err := open(k, alice, "aad", sealed); err != nil || got != value {
			t.Fatalf("undamaged: %v", err)
		}
		for bit := range len(sealed) * 8 {
			bad := bytes.Clone(sealed)
			bad[bit/8] ^= 1 << (bit % 8)
			mustFail(t, k, place{alice, "aad"}, bad, fmt.Sprintf("bit %d flipped", bit))
		}
		for n := range sealed {
			mustFail(t, k, place{alice, "aad"}, sealed[:n], fmt.Sprintf("cut to %d", n))
			mustFail(t, k, place{alice, "aad"}, sealed[n+1:], fmt.Sprintf("first %d cut off", n+1))
		}
		mustFail(t, k, place{alice, "aad"}, append(bytes.Clone(sealed), 0), "a byte more")
		mustFail(t, k, place{alice, "aad"}, append(bytes.Clone(sealed), sealed...), "twice")
	}
	if s := k.Stats(); s.Damaged == 0 || s.NoKey == 0 || s.Opens != 3 {
		t.Errorf("damage is not counted: %+v", s)
	}
}

func TestExchange(t *testing.T) {
	masters := []envelope.Master{newMaster(t)}
	keys := newMemStore()
	warm := newKeyring(t, keys, masters)
	owners := []envelope.Owner{alice, bob, acme, other, all}
	sealed := map[envelope.Owner][]byte{}
	for _, o := range owners {
		sealed[o] = seal(t, warm, o, "entry 1", "value")
	}
	// With the keys in memory, and with keys that have to come from the store.
	for name, k := range map[string]*envelope.Keyring{"warm": warm, "cold": newKeyring(t, keys, masters)} {
		for _, is := range owners {
			for _, claimed := range owners {
				if is == claimed {
					continue
				}
				_, err := open(k, claimed, "entry 1", sealed[is])
				if !errors.Is(err, envelope.ErrDamaged) {
					t.Errorf("%s: %v opened as %v gives %v, want ErrDamaged", name, is, claimed, err)
				}
				// The other owner's key id in the header.
				swapped := bytes.Clone(sealed[is])
				copy(swapped[2:10], sealed[claimed][2:10])
				mustFail(t, k, place{is, "entry 1"}, swapped, name+": another owner's key id")
				mustFail(t, k, place{claimed, "entry 1"}, swapped, name+": another owner's key id")
			}
			for _, aad := range []string{"", "entry 2", "entry 1 ", "ntry 1"} {
				mustFail(t, k, place{is, aad}, sealed[is], name+": aad "+aad)
			}
			if _, err := open(k, is, "entry 1", sealed[is]); err != nil {
				t.Errorf("%s: undamaged: %v", name, err)
			}
		}
	}
	// Two values of one owner: header and body of the one, tail of the other.
	a, b := seal(t, warm, alice, "1", "value a"), seal(t, warm, alice, "2", "value b")
	mustFail(t, warm, place{alice, "2"}, a, "the other's place")
	for n := 1; n < len(a); n++ {
		if mixed := slices.Concat(a[:n], b[n:]); !bytes.Equal(mixed, a) && !bytes.Equal(mixed, b) {
			mustFail(t, warm, place{alice, "1"}, mixed, "two halves")
		}
	}
}

// No owner and context are bound to the same bytes as another owner and context: all
// with names of up to two characters, among them those that lengths are written with.
func TestContextIsUnambiguous(t *testing.T) {
	names := []string{""}
	for _, a := range "\x00\x01\x02a" {
		names = append(names, string(a))
		for _, b := range "\x00\x01\x02a" {
			names = append(names, string(a)+string(b))
		}
	}
	header, seen := make([]byte, 10), map[string]place{}
	for _, tenant := range names {
		for _, user := range names {
			for _, aad := range names {
				is := place{envelope.Owner{Tenant: tenant, User: user}, aad}
				text := string(envelope.Bound(header, is.owner, []byte(aad)))
				if was, ok := seen[text]; ok {
					t.Fatalf("%+q and %+q are bound to the same bytes", was, is)
				}
				seen[text] = is
			}
		}
	}
}

// Whatever the names, what was sealed opens for them and for no others.
func TestOwnersProperty(t *testing.T) {
	k := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)})
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringN(0, 300, -1)
		owner := envelope.Owner{Tenant: name.Draw(t, "tenant"), User: name.Draw(t, "user")}
		aad, plain := rapid.SliceOf(rapid.Byte()).Draw(t, "aad"), rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed, err := k.Seal(context.Background(), nil, owner, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Open(context.Background(), nil, owner, aad, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%q, %v", got, err)
		}
		wrong := envelope.Owner{Tenant: name.Draw(t, "other tenant"), User: name.Draw(t, "other user")}
		if _, err := k.Open(context.Background(), nil, wrong, aad, sealed); (err == nil) != (wrong == owner) {
			t.Fatalf("for %+q: %v", wrong, err)
		}
	})
}

func TestVersionAndFlagsAreBound(t *testing.T) {
	for i := range 10 {
		other := make([]byte, 10)
		other[i] = 1
		if bytes.Equal(envelope.Bound(make([]byte, 10), alice, nil), envelope.Bound(other, alice, nil)) {
			t.Errorf("byte %d of the header is not bound", i)
		}
	}
}

func TestTooLarge(t *testing.T) {
	small := func(c *envelope.Config) { c.MaxValue = 4096 }
	k := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)}, small)
	if got, err := open(k, alice, "", seal(t, k, alice, "", strings.Repeat("a", 4096))); err != nil || len(got) != 4096 {
		t.Errorf("a value of MaxValue: %d bytes, %v", len(got), err)
	}
	_, err := k.Seal(context.Background(), nil, alice, nil, make([]byte, 4097))
	if !errors.Is(err, envelope.ErrTooLarge) {
		t.Errorf("a byte above MaxValue: %v", err)
	}
}

// What claims or turns out to be huge is refused before it takes memory, even when
// somebody who has the key made it.
func TestBombs(t *testing.T) {
	const most = 1 << 20
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	var unsized bytes.Buffer // a frame that does not say how long it is
	stream, err := zstd.NewWriter(&unsized, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<18))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 200 {
		if _, err := stream.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	part := encoder.EncodeAll(zeros, nil)
	sized := encoder.EncodeAll(make([]byte, 32<<20), nil)
	bombs := map[string][]byte{
		"frame with a size":     sized,
		"frame without a size":  unsized.Bytes(),
		"many frames":           bytes.Repeat(part, 200),
		"no frame at all":       []byte("neither zstd nor anything"),
		"frame cut short":       part[:len(part)-3],
		"claims 2^62 bytes":     {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0},
		"a dictionary unheard":  {0x28, 0xb5, 0x2f, 0xfd, 0x23, 9, 9, 9, 9, 1, 1, 0, 0},
		"skippable, then wrong": {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7, 1, 2, 3, 4},
	}
	k := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)}, func(c *envelope.Config) { c.MaxValue = most })
	for name, bomb := range bombs {
		sealed, err := k.SealPacked(context.Background(), alice, nil, bomb)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		plain, err := k.Open(context.Background(), nil, alice, nil, sealed)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, envelope.ErrDamaged) || plain != nil {
			t.Errorf("%s: %d bytes, %v", name, len(plain), err)
		}
		// The output, what it outgrew on the way, the decoder's window, the ciphertext.
		if used := after.TotalAlloc - before.TotalAlloc; used > 8*most {
			t.Errorf("%s of %d bytes: %d bytes were allocated for at most %d", name, len(bomb), used, most)
		}
	}
}

func TestStatsOfCompression(t *testing.T) {
	k := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)})
	seal(t, k, alice, "", "too short to compress")
	long := seal(t, k, alice, "", string(answer(8192)))
	s := k.Stats()
	if s.Seals != 2 || s.PackedIn != 8192 || s.PackedOut != uint64(len(long)-envelope.Overhead) {
		t.Errorf("%+v, for %d bytes sealed", s, len(long))
	}
}

func TestHotPathAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it holds")
	}
	k := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)})
	plain, dst := answer(2<<10), make([]byte, 0, 4<<10)
	sealed := seal(t, k, alice, "aad", string(plain))
	aad := []byte("aad")
	for name, run := range map[string]func(){
		"Seal": func() { _, _ = k.Seal(context.Background(), dst, alice, aad, plain) },
		"Open": func() { _, _ = k.Open(context.Background(), dst, alice, aad, sealed) },
		"Tag":  func() { k.Tag(1, "operation") },
	} {
		if n := testing.AllocsPerRun(200, run); n > 0 {
			t.Errorf("%s: %v allocations, want none", name, math.Round(n))
		}
	}
}
