package envelope

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// What a tag is of; the first byte of what is hashed, so that no tag of one kind
// says anything about one of another.
const (
	tagOfField  = 'f'
	tagOfTenant = 't'
	tagOfUser   = 'u'
)

// tagger makes tags: HMAC-SHA256 under the keyring's own key, cut to 64 bits.
type tagger struct {
	pool sync.Pool // of *tagState
}

type tagState struct {
	mac hash.Hash
	buf []byte // what is hashed, then the sum
}

func newTagger(key []byte) *tagger {
	t := &tagger{}
	t.pool.New = func() any { return &tagState{mac: hmac.New(sha256.New, key)} }
	return t
}

// field is the tag of a value of a caller's field, zero for an empty one.
func (t *tagger) field(field byte, value string) uint64 {
	if value == "" {
		return 0
	}
	s := t.pool.Get().(*tagState)
	defer t.pool.Put(s)
	s.buf = append(s.buf[:0], tagOfField, field)
	s.buf = append(s.buf, value...)
	return s.sum()
}

// owner gives the tags under which a KeyStore knows an owner: that of the tenant is
// never zero, so that none is taken for the keyring's own key, that of the user is
// zero where there is no user. Users of the same name in two tenants have two tags.
func (t *tagger) owner(o Owner) (tenant, user uint64) {
	s := t.pool.Get().(*tagState)
	defer t.pool.Put(s)
	s.buf = append(s.buf[:0], tagOfTenant)
	s.buf = append(s.buf, o.Tenant...)
	tenant = s.sum()
	if o.User == "" {
		return tenant, 0
	}
	s.buf = append(s.buf[:0], tagOfUser)
	s.buf = appendOwner(s.buf, o)
	return tenant, s.sum()
}

// sum is the tag of what is in s.buf.
func (s *tagState) sum() uint64 {
	s.mac.Reset()
	s.mac.Write(s.buf) // a hash returns no error
	s.buf = s.mac.Sum(s.buf[:0])
	return nonZero(binary.BigEndian.Uint64(s.buf))
}

// appendOwner appends an owner so that no two owners look the same.
func appendOwner(b []byte, o Owner) []byte {
	b = binary.AppendUvarint(b, uint64(len(o.Tenant)))
	b = append(b, o.Tenant...)
	b = binary.AppendUvarint(b, uint64(len(o.User)))
	return append(b, o.User...)
}
