package envelope_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

const day = 24 * time.Hour

func TestDataKeyRotation(t *testing.T) {
	for _, test := range []struct {
		configured, wait time.Duration
		rotates          bool
	}{
		{0, 90*day - 2*time.Second, false}, // keys are created at a full second
		{0, 90 * day, true},
		{time.Hour, time.Hour, true},
		{-1, 10_000 * day, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			masters, keys := []envelope.Master{newMaster(t)}, newMemStore()
			change := func(c *envelope.Config) { c.RotateAfter = test.configured }
			k := newKeyring(t, keys, masters, change)
			cold := newKeyring(t, keys, masters, change)
			first := seal(t, k, alice, "", "first")
			time.Sleep(test.wait)
			for name, k := range map[string]*envelope.Keyring{"in memory": k, "in the store": cold} {
				second := seal(t, k, alice, "", "second")
				if rotated := keyID(first) != keyID(second); rotated != test.rotates {
					t.Errorf("RotateAfter %v, key %s, after %v: rotated %v", test.configured, name, test.wait, rotated)
				}
				for value, sealed := range map[string][]byte{"first": first, "second": second} {
					if got, err := open(k, alice, "", sealed); err != nil || got != value {
						t.Errorf("the %s key %s: %q, %v", value, name, got, err)
					}
				}
			}
			if want := map[bool]int{false: 1, true: 2}[test.rotates]; len(keys.owned()) != want {
				t.Errorf("%d keys, want %d: the second keyring uses what the first one made", len(keys.owned()), want)
			}
			shred(t, k, alice)
			if _, err := open(k, alice, "", first); !errors.Is(err, envelope.ErrNoKey) {
				t.Errorf("a rotated key outlives Shred: %v", err)
			}
		})
	}
}

func TestWornOutKeyIsReplaced(t *testing.T) {
	keys := newMemStore()
	k := newKeyring(t, keys, []envelope.Master{newMaster(t)})
	first := seal(t, k, alice, "", "first")
	k.WearOut(alice)
	second := seal(t, k, alice, "", "second")
	third := seal(t, k, alice, "", "third")
	if keyID(first) == keyID(second) || keyID(second) != keyID(third) {
		t.Error("a key that sealed all it may goes on, or each seal makes a key")
	}
	if got, err := open(k, alice, "", first); err != nil || got != "first" {
		t.Errorf("what the worn out key sealed: %q, %v", got, err)
	}
}

func TestMasterRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	masters, err := envelope.EnsureMasters(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := newMemStore()
	k := newKeyring(t, keys, masters)
	sealed := map[envelope.Owner][]byte{}
	for i := range 2*envelope.RewrapBatch + 10 {
		o := envelope.Owner{Tenant: "acme", User: fmt.Sprint(i)}
		sealed[o] = seal(t, k, o, "", "value")
	}
	tag := k.Tag(1, "operation")
	if err := envelope.RotateMasters(path); err != nil {
		t.Fatal(err)
	}
	rotated, err := envelope.ReadMasters(path)
	if err != nil || len(rotated) != 2 || rotated[1].ID() != masters[0].ID() {
		t.Fatalf("after the rotation: %d keys, %v", len(rotated), err)
	}
	newKeyring(t, keys, rotated)
	for _, row := range keys.rows {
		if row.Master != rotated[0].ID() {
			t.Fatal("a key is still wrapped by the former master key")
		}
	}
	// The former key is not needed any more; with it alone nothing can be read.
	k = newKeyring(t, keys, rotated[:1])
	if k.Tag(1, "operation") != tag {
		t.Error("tags changed")
	}
	for o, s := range sealed {
		if got, err := open(k, o, "", s); err != nil || got != "value" {
			t.Fatalf("without the former master key: %q, %v", got, err)
		}
	}
	o := envelope.Owner{Tenant: "acme", User: "3"}
	if again := seal(t, k, o, "", "value"); keyID(again) != keyID(sealed[o]) {
		t.Error("a rotation of the master key changed a data key")
	}
	if n := k.Stats().KeysUnreadable; n != 0 {
		t.Errorf("%d keys are unreadable", n)
	}
	if _, err := open(newKeyring(t, keys, masters), o, "", sealed[o]); !errors.Is(err, envelope.ErrNoKey) {
		t.Errorf("with the former master key: %v", err)
	}
}

// More keys of an unknown master key than a batch holds must not hide the others.
func TestUnknownMaster(t *testing.T) {
	lost, former, current := newMaster(t), newMaster(t), newMaster(t)
	keys := newMemStore()
	k := newKeyring(t, keys, []envelope.Master{lost})
	unreadable := 5*envelope.RewrapBatch/2 + 1
	for i := range unreadable - 1 { // and its own key
		seal(t, k, envelope.Owner{Tenant: "lost", User: fmt.Sprint(i)}, "", "")
	}
	lostSeal := seal(t, k, envelope.Owner{Tenant: "lost", User: "0"}, "", "value")
	k = newKeyring(t, keys, []envelope.Master{former})
	sealed := seal(t, k, alice, "", "value")
	tag := k.Tag(1, "operation")

	k = newKeyring(t, keys, []envelope.Master{current, former})
	if n := k.Stats().KeysUnreadable; n != unreadable {
		t.Errorf("%d keys are counted as unreadable, want %d", n, unreadable)
	}
	if got, err := open(k, alice, "", sealed); err != nil || got != "value" || k.Tag(1, "operation") != tag {
		t.Errorf("a key of the former master key: %q, %v", got, err)
	}
	mustFail(t, k, place{envelope.Owner{Tenant: "lost", User: "0"}, ""}, lostSeal, "a key of an unknown master key")
	k = newKeyring(t, keys, []envelope.Master{current})
	if got, err := open(k, alice, "", sealed); err != nil || got != "value" {
		t.Errorf("it was not wrapped anew: %q, %v", got, err)
	}
	k = newKeyring(t, keys, []envelope.Master{lost})
	if got, err := open(k, envelope.Owner{Tenant: "lost", User: "0"}, "", lostSeal); err != nil || got != "value" {
		t.Errorf("the lost master key is back: %q, %v", got, err)
	}
}

// Starting with a wrong master key file does no harm: with the right one all is there.
func TestWrongMasterFile(t *testing.T) {
	right, wrong, keys := newMaster(t), newMaster(t), newMemStore()
	k := newKeyring(t, keys, []envelope.Master{right})
	sealed := seal(t, k, alice, "", "value")
	tag := k.Tag(1, "operation")

	k = newKeyring(t, keys, []envelope.Master{wrong})
	mustFail(t, k, place{alice, ""}, sealed, "the wrong master key")
	if k.Tag(1, "operation") == tag || k.Stats().KeysUnreadable == 0 {
		t.Error("the wrong master key gives the right tags, or counts nothing")
	}
	meanwhile := seal(t, k, alice, "", "meanwhile")
	if got, err := open(k, alice, "", meanwhile); err != nil || got != "meanwhile" {
		t.Errorf("sealed meanwhile: %q, %v", got, err)
	}

	k = newKeyring(t, keys, []envelope.Master{right})
	if got, err := open(k, alice, "", sealed); err != nil || got != "value" || k.Tag(1, "operation") != tag {
		t.Errorf("the right master key again: %q, %v", got, err)
	}
	mustFail(t, k, place{alice, ""}, meanwhile, "sealed meanwhile")
}

// An owner whose newest key cannot be read gets a new one.
func TestUnreadableKeyIsReplaced(t *testing.T) {
	masters, keys := []envelope.Master{newMaster(t)}, newMemStore()
	sealed := seal(t, newKeyring(t, keys, masters), alice, "", "value")
	swapped := seal(t, newKeyring(t, keys, masters), bob, "", "value")
	rows := keys.owned()
	rows[0].Wrapped, rows[1].Wrapped = rows[1].Wrapped, rows[0].Wrapped // a store that mixes keys up
	if err := keys.Save(t.Context(), rows...); err != nil {
		t.Fatal(err)
	}
	k := newKeyring(t, keys, masters)
	for o, s := range map[envelope.Owner][]byte{alice: sealed, bob: swapped} {
		if _, err := open(k, o, "", s); !errors.Is(err, envelope.ErrDamaged) {
			t.Errorf("a key in another one's row: %v", err)
		}
		again := seal(t, k, o, "", "again")
		if got, err := open(k, o, "", again); err != nil || got != "again" || keyID(again) == keyID(s) {
			t.Errorf("%q, %v", got, err)
		}
	}
	for i := range rows[0].Wrapped { // every byte of a wrapped key counts
		rows[0].Wrapped[i] ^= 1
		if err := keys.Save(t.Context(), rows[0]); err != nil {
			t.Fatal(err)
		}
		mustFail(t, newKeyring(t, keys, masters), place{alice, ""}, sealed, "a damaged key")
		rows[0].Wrapped[i] ^= 1
	}
	rows[0].Wrapped = nil
	if err := keys.Save(t.Context(), rows[0]); err != nil {
		t.Fatal(err)
	}
	mustFail(t, newKeyring(t, keys, masters), place{alice, ""}, sealed, "a key without bytes")
}

// A row that was moved to another owner does not give its key away.
func TestMovedRow(t *testing.T) {
	masters, keys := []envelope.Master{newMaster(t)}, newMemStore()
	k := newKeyring(t, keys, masters)
	sealed := seal(t, k, alice, "", "value")
	row := keys.owned()[0]
	row.Tenant, row.User = k.OwnerTags(bob)
	if err := keys.Save(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	k = newKeyring(t, keys, masters)
	for _, o := range []envelope.Owner{alice, bob} {
		if _, err := open(k, o, "", sealed); !errors.Is(err, envelope.ErrDamaged) {
			t.Errorf("%+v: %v", o, err)
		}
		if keyID(seal(t, k, o, "", "new")) == row.ID {
			t.Errorf("%+v seals with a key that was another owner's", o)
		}
	}
}

// A key that was copied to another id is not used under that id.
func TestCopiedRow(t *testing.T) {
	masters, keys := []envelope.Master{newMaster(t)}, newMemStore()
	sealed := seal(t, newKeyring(t, keys, masters), alice, "", "value")
	row := keys.owned()[0]
	row.ID++
	row.Created = row.Created.Add(time.Minute)
	if err := keys.Save(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	k := newKeyring(t, keys, masters)
	if keyID(seal(t, k, alice, "", "new")) == row.ID {
		t.Error("the copy seals")
	}
	if got, err := open(k, alice, "", sealed); err != nil || got != "value" {
		t.Errorf("%q, %v", got, err)
	}
}

// Processes that start over an empty store at once agree on tags.
func TestFirstStartsAgree(t *testing.T) {
	masters, keys := []envelope.Master{newMaster(t), newMaster(t)}, newMemStore()
	rings := make([]*envelope.Keyring, 20)
	var wait sync.WaitGroup
	for i := range rings {
		wait.Go(func() { rings[i] = newKeyring(t, keys, masters) })
	}
	wait.Wait()
	sealed := seal(t, rings[0], alice, "", "value")
	for _, k := range append(rings, newKeyring(t, keys, masters)) {
		if k.Tag(1, "x") != rings[0].Tag(1, "x") {
			t.Fatal("two keyrings over one store have other tags")
		}
		if got, err := open(k, alice, "", sealed); err != nil || got != "value" {
			t.Fatalf("%q, %v", got, err)
		}
	}
}
