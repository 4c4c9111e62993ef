package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
)

// A wrapped key is a version byte, a nonce, and the key with its tag.
const wrapVersion = 1

// Why a stored key cannot be unwrapped.
var (
	errUnknownMaster = errors.New("wrapped by a master key that is not among Masters")
	errKeyDamaged    = errors.New("the stored key is damaged, or not the one of its id and owner")
)

// wrapper wraps keys with the current master key and unwraps with any known one. It
// does not change, and may be used concurrently.
type wrapper struct {
	current uint64 // the id of the master key that wraps
	ciphers map[uint64]cipher.AEAD
}

func newWrapper(masters []Master) (*wrapper, error) {
	w := &wrapper{current: masters[0].id, ciphers: make(map[uint64]cipher.AEAD, len(masters))}
	for _, m := range masters {
		key, err := m.derive(purposeWrap)
		if err != nil {
			return nil, err
		}
		if w.ciphers[m.id], err = newCipher(key); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// wrap fills in the parts of key that hold raw, encrypted.
func (w *wrapper) wrap(key *WrappedKey, raw []byte) {
	key.Master = w.current
	key.Wrapped = w.ciphers[w.current].Seal([]byte{wrapVersion}, nil, raw, wrapContext(key))
}

// unwrap gives the bytes of a key, errUnknownMaster or errKeyDamaged.
func (w *wrapper) unwrap(key *WrappedKey) ([]byte, error) {
	c, ok := w.ciphers[key.Master]
	if !ok {
		return nil, errUnknownMaster
	}
	if len(key.Wrapped) == 0 || key.Wrapped[0] != wrapVersion {
		return nil, errKeyDamaged
	}
	raw, err := c.Open(nil, nil, key.Wrapped[1:], wrapContext(key))
	if err != nil || len(raw) != keyBytes {
		return nil, errKeyDamaged
	}
	return raw, nil
}

// wrapContext binds a wrapped key to its row: a store that mixes rows up, or somebody
// who edits them, must not give one owner's key to another. Created is left out; it
// decides when a key is replaced and nothing else.
func wrapContext(key *WrappedKey) []byte {
	b := make([]byte, 0, 1+3*8)
	b = append(b, wrapVersion)
	b = binary.BigEndian.AppendUint64(b, key.ID)
	b = binary.BigEndian.AppendUint64(b, key.Tenant)
	return binary.BigEndian.AppendUint64(b, key.User)
}

// newCipher gives AES-256-GCM that draws a random nonce of 12 bytes for each seal and
// puts it before the ciphertext.
func newCipher(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
