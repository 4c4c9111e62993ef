package envelope_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/envelope"
)

// What an earlier version stored is read by this one. When the format changes it gets
// a new version number, and these stay.
func TestFormat(t *testing.T) {
	std, _, _ := keyTexts(0xa1)
	masters, err := envelope.ParseMasters(std)
	if err != nil {
		t.Fatal(err)
	}
	keys := newMemStore()
	err = keys.Save(t.Context(), envelope.WrappedKey{
		ID: 0x17c326152ba4fc2a, Tenant: 0xcf8e6730b5403b88, User: 0x7157fe7f21fcae3c, Master: 0x31913337a71b740,
		Wrapped: unhex(t, "019368cc1ca2e5b492dffa0071c923cecf8111fdf79bb2be93b12d801d2907cc2db7b4412f23d532911f23e2d2e61b896d2d"+
			"10bf47cfc5f626ce30d6ca"),
	})
	if err != nil {
		t.Fatal(err)
	}
	k := newKeyring(t, keys, masters)
	for sealed, want := range map[string]string{
		"010017c326152ba4fc2a8b9194d890526d21881fdbd96dd993d144557f71f65a990d3153fa4762a5f1d1034d8f": "a value",
		"010117c326152ba4fc2a76e9e06ed75ea148a0a2533a05b2b4e447f62f4047a38e8435de6414b2aa4d82170914ee32c754f7" +
			"9229ce0b6385b9c621c07a7ccd6ad4bf": strings.Repeat("again and ", 120),
	} {
		if got, err := open(k, alice, "aad", unhex(t, sealed)); err != nil || got != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	if tag := k.Tag(1, "operation"); tag != 0xcf672c989149086e {
		t.Errorf("the tag is %#x", tag)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
