package envelope_test

import (
	"fmt"
	"testing"

	"github.com/forebay-ai/forebay/envelope"
)

// Keys in memory are bounded, those in use stay, and what is dropped is read again.
func TestOpenKeysAreBounded(t *testing.T) {
	for _, most := range []int{1, 2, 8} {
		keys := newMemStore()
		k := newKeyring(t, keys, []envelope.Master{newMaster(t)}, func(c *envelope.Config) { c.MaxOpenKeys = most })
		hot := seal(t, k, alice, "", "hot")
		sealed := map[envelope.Owner][]byte{}
		for i := range 200 {
			o := envelope.Owner{Tenant: "acme", User: fmt.Sprint(i)}
			sealed[o] = seal(t, k, o, "", o.User)
			reads := keys.called("Key") + keys.called("Newest")
			if got, err := open(k, alice, "", hot); err != nil || got != "hot" {
				t.Fatalf("%q, %v", got, err)
			}
			if most > 1 && keys.called("Key")+keys.called("Newest") != reads {
				t.Fatalf("with %d keys in memory the one that is used each time was dropped", most)
			}
			if n := k.Stats().KeysOpen; n > most {
				t.Fatalf("%d keys in memory, at most %d", n, most)
			}
		}
		for o, s := range sealed {
			if got, err := open(k, o, "", s); err != nil || got != o.User {
				t.Fatalf("%q, %v", got, err)
			}
			if again := seal(t, k, o, "", ""); keyID(again) != keyID(s) {
				t.Fatal("an owner whose key was dropped from memory got another one")
			}
		}
		if n := len(keys.owned()); n != 201 {
			t.Errorf("%d keys, want one each for 201 owners", n)
		}
	}
}
