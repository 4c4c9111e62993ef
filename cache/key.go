package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Key names one answer. It is a whole SHA-256: a shortened one could be forged.
type Key [sha256.Size]byte

// String is the key in hexadecimal, 64 digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Identity is what an answer depends on, beside the canonical request itself.
// Every field is part of the key, with Tenant, User and Persona as the scope says.
type Identity struct {
	Dialect   string // wire format of the request and of the answer
	Endpoint  string // what is asked of the model, such as llm.Chat
	Operation string // the operation's name; its configuration shapes the answer
	Family    string // kind of provider that answers
	Model     string // the model that answers, as the provider names it
	// PromptVersion is the version of the operation's prompt.
	PromptVersion string
	// Namespace is what the caller separates its entries by; may be empty.
	Namespace string

	Tenant, User, Persona string
}

// keyVersion starts every encoding. A change of the encoding changes it, so that
// keys of different versions never meet.
const keyVersion = "forebay cache key 1\n"

// KeyOf makes the key of a request: the hash of its identity, with tenant, user and
// persona as far as scope names them, and of its canonical form. An empty scope
// means DefaultScope; the tenant counts under every scope but Shared alone. A
// dimension that the scope leaves out differs from one that is empty.
//
// Different arguments give different inputs to the hash: each field is preceded by
// its length, and their number and order are fixed. KeyOf keeps no reference to its
// arguments, and does not allocate unless the names exceed some 450 bytes together.
func KeyOf(id Identity, scope []Dimension, canonical []byte) Key {
	k, _ := KeyAndDigest(id, scope, canonical)
	return k
}

// KeyAndDigest is KeyOf, and beside the key the beginning of the hash of all that is
// asked, whoever asks: requests that differ in tenant, user and persona alone have
// the same digest. It is for statistics; entries are found by their whole key.
//
// The request is hashed first and the scope with that hash after it, so that both
// come of one pass over the canonical form.
func KeyAndDigest(id Identity, scope []Dimension, canonical []byte) (k Key, digest uint64) {
	var space [512]byte // room for names of the usual length, on the stack
	b := append(space[:0], keyVersion...)
	for _, field := range [...]string{
		id.Dialect, id.Endpoint, id.Operation, id.Family, id.Model, id.PromptVersion, id.Namespace,
	} {
		b = appendField(b, field, true)
	}
	b = binary.AppendUvarint(b, uint64(len(canonical)))
	h := sha256.New()
	h.Write(b) // a hash never fails to write
	h.Write(canonical)
	asked := h.Sum(k[:0])
	digest = binary.BigEndian.Uint64(asked)

	b = append(append(space[:0], keyVersion...), asked...)
	users, personas := separates(scope)
	b = appendField(b, id.Tenant, !sharesAll(scope))
	b = appendField(b, id.User, users)
	b = appendField(b, id.Persona, personas)
	return sha256.Sum256(b), digest
}

// appendField appends one field of an identity: a mark of presence, then length and
// bytes of a field that is there.
func appendField(b []byte, field string, present bool) []byte {
	if !present {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}
