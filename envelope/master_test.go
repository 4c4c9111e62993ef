package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/envelope"
)

// texts of a key whose bytes are all n.
func keyTexts(n byte) (std, raw, hexa string) {
	b := bytes.Repeat([]byte{n}, 32)
	return base64.StdEncoding.EncodeToString(b), base64.RawStdEncoding.EncodeToString(b), hex.EncodeToString(b)
}

func TestParseMasters(t *testing.T) {
	std1, raw1, hex1 := keyTexts(0xa1)
	std2, raw2, hex2 := keyTexts(0xb2)
	for _, text := range []string{
		std1 + "\n" + std2, raw1 + "," + raw2, hex1 + " , " + hex2, strings.ToUpper(hex1) + "\r\n" + raw2 + "\r\n",
		"# keys\n\n  " + std1 + "  # the current one\n" + "#" + hex1 + "\n,," + hex2 + ",\n",
	} {
		masters, err := envelope.ParseMasters(text)
		if err != nil || len(masters) != 2 {
			t.Fatalf("%d keys, %v", len(masters), err)
		}
		want, err := envelope.ParseMasters(std1)
		if err != nil || masters[0].ID() != want[0].ID() || masters[1].ID() == want[0].ID() {
			t.Errorf("other keys, or in another order (%v)", err)
		}
	}
}

func TestParseMastersErrors(t *testing.T) {
	std, raw, hexa := keyTexts(0xa1)
	zero, _, zeroHex := keyTexts(0)
	for _, test := range []struct{ text, want string }{
		{"", "no master key"},
		{"\n# " + std + "\n, ,", "no master key"},
		{"password", "line 1: a key of 8 characters"},
		{std + "\n" + std[:40], "line 2: a key of 40 characters"},
		{std + std, "line 1: a key of 88 characters"},
		{std[:20] + " " + std[20:], "a key of 45 characters"},
		{"-" + std[1:], "line 1: a key that is neither base64 nor hexadecimal"},
		{raw[:42] + "F", "neither base64 nor hexadecimal"}, // bits that no encoder sets: mistyped
		{"g" + hexa[1:], "neither base64 nor hexadecimal"},
		{std + "," + raw, "line 1: the same key is on line 1"},
		{hexa + "\n\n" + std, "line 3: the same key is on line 1"},
		{zero, "only zeros"},
		{zeroHex, "only zeros"},
		{"#" + strings.Repeat("x", 100_000), "line 1: the line is too long"},
	} {
		masters, err := envelope.ParseMasters(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) || masters != nil {
			t.Errorf("want %q, got %v", test.want, err)
			continue
		}
		for _, secret := range []string{std[:8], hexa[:8], "password", raw[30:]} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds key material: %v", err)
			}
		}
	}
	var many strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&many, "%064x\n", i+1)
	}
	if _, err := envelope.ParseMasters(many.String()); err == nil || !strings.Contains(err.Error(), "more than 1000") {
		t.Errorf("1001 keys: %v", err)
	}
}

func TestMasterDoesNotPrint(t *testing.T) {
	std, _, hexa := keyTexts(0xa1)
	masters, err := envelope.ParseMasters(std)
	if err != nil {
		t.Fatal(err)
	}
	m := masters[0]
	type hidden struct{ m envelope.Master }
	k := newKeyring(t, newMemStore(), masters)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "master", m, "config", envelope.Config{Masters: masters}, "keyring", k)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "master", m, "hidden", hidden{m})
	text := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b"} {
		if got := fmt.Sprintf(verb, m); got != "***" {
			t.Errorf("%s prints %s", verb, got)
		}
		text += fmt.Sprintf(verb, hidden{m}) + fmt.Sprintf(verb, &hidden{m}) + fmt.Sprintf(verb, masters) +
			fmt.Sprintf(verb, k) + fmt.Sprintf(verb, envelope.Config{Masters: masters})
	}
	encoded, err := json.Marshal(map[string]any{"m": m, "h": hidden{m}, "c": masters})
	if err != nil {
		t.Fatal(err)
	}
	text += string(encoded)
	for _, secret := range []string{std[:10], hexa[:10], strings.ToUpper(hexa[:10]), strings.Repeat("161 ", 5), strings.Repeat("0xa1, ", 5), strings.Repeat("10100001 ", 5)} {
		if strings.Contains(text, secret) {
			t.Errorf("a master key shows as %q", secret)
		}
	}
}

func TestMasterID(t *testing.T) {
	std, _, _ := keyTexts(0xa1)
	masters, err := envelope.ParseMasters(std)
	if err != nil {
		t.Fatal(err)
	}
	// The id is stored beside what the key wraps: another one would lose all keys.
	const want = 0x31913337a71b740
	if got := masters[0].ID(); got != want {
		t.Errorf("the id is %#x, want %#x", got, uint64(want))
	}
	if a, b := newMaster(t), newMaster(t); a.ID() == b.ID() || a.ID() == 0 || (envelope.Master{}).ID() != 0 {
		t.Error("ids of random keys are equal or zero, or that of no key is not")
	}
}

func TestTag(t *testing.T) {
	masters, keys := []envelope.Master{newMaster(t)}, newMemStore()
	k, again := newKeyring(t, keys, masters), newKeyring(t, keys, masters)
	elsewhere := newKeyring(t, newMemStore(), []envelope.Master{newMaster(t)})
	seen := map[uint64]string{}
	for field := range byte(5) {
		if k.Tag(field, "") != 0 {
			t.Error("an empty value has a tag")
		}
		for i := range 1000 {
			value := fmt.Sprint(i)
			tag := k.Tag(field, value)
			if what := fmt.Sprintf("%d/%s", field, value); tag == 0 || seen[tag] != "" {
				t.Fatalf("%s has the tag of %q, or zero", what, seen[tag])
			} else {
				seen[tag] = what
			}
			if again.Tag(field, value) != tag || elsewhere.Tag(field, value) == tag {
				t.Fatal("a tag does not depend on the store's own key, or on more than that")
			}
		}
	}
	for _, o := range []envelope.Owner{alice, bob, acme, other, all, {User: "alice"}} {
		tenant, user := k.OwnerTags(o)
		if tenant == 0 || (user == 0) != (o.User == "") || seen[tenant] != "" || seen[user] != "" {
			t.Errorf("%+v has tags %x, %x", o, tenant, user)
		}
	}
	if _, a := k.OwnerTags(alice); a == func() uint64 { _, b := k.OwnerTags(other); return b }() {
		t.Error("users of one name in two tenants share a tag")
	}
}

func TestConfigValidate(t *testing.T) {
	m := newMaster(t)
	bad := envelope.Config{
		Masters:     []envelope.Master{m, {}, m},
		MinCompress: -1, MaxValue: 100, RotateAfter: 1, MaxOpenKeys: -2,
	}
	err := bad.Validate()
	for _, want := range []string{"Masters[1] holds no key", "Masters[2] is the same", "Keys is nil", "MinCompress", "MaxValue", "RotateAfter", "MaxOpenKeys"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if k, err := envelope.New(t.Context(), bad); err == nil || k != nil {
		t.Error("New takes it")
	}
	if _, err := envelope.New(t.Context(), envelope.Config{Keys: newMemStore()}); err == nil || !strings.Contains(err.Error(), "Masters is empty") {
		t.Errorf("no masters: %v", err)
	}
	good := envelope.Config{Masters: []envelope.Master{m}, Keys: newMemStore()}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
