package envelope

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// An envelope is
//
//	version (1) | flags (1) | id of the data key (8) | nonce (12) | ciphertext | tag (16)
//
// and what it is bound to, GCM's associated data, is
//
//	version | flags | id | length of tenant | tenant | length of user | user | context
//
// with lengths as varints. The context comes last and so needs no length.
const (
	version      = 1
	flagPacked   = 1 << 0
	headerBytes  = 1 + 1 + 8
	nonceBytes   = 12
	tagBytes     = 16
	sealOverhead = headerBytes + nonceBytes + tagBytes
)

// Overhead is by how many bytes an envelope is longer than its value, at most: it is
// shorter where the value was compressed.
const Overhead = sealOverhead

// maxScratch is the length in bytes from which buffers are not kept for the next call.
const maxScratch = 1 << 20

// scratch is what a call needs for the time it runs.
type scratch struct {
	context []byte // associated data
	packed  []byte // the compressed value
}

// Seal appends plain in an envelope to dst and returns it. The envelope opens for the
// same owner and the same context aad only. The first seal for an owner waits until
// the new data key is durable in the KeyStore, and one after a while in which the
// owner was not used, until the key is read; all others do no I/O, but of a shared store a look each 5 s whether keys were shredded. dst must not
// overlap plain or aad. Errors: ErrTooLarge, or an error of the KeyStore or ctx.
func (k *Keyring) Seal(ctx context.Context, dst []byte, owner Owner, aad, plain []byte) ([]byte, error) {
	if len(plain) > k.config.MaxValue {
		return nil, fmt.Errorf("%w: %d bytes, at most %d (Config.MaxValue)", ErrTooLarge, len(plain), k.config.MaxValue)
	}
	key, err := k.keyToSeal(ctx, owner)
	if err != nil {
		return nil, err
	}
	s := k.borrow()
	defer k.giveBack(s)
	body, flags := k.packInto(s, plain)

	dst = slices.Grow(dst, sealOverhead+len(body))
	start := len(dst)
	dst = append(dst, version, flags)
	dst = binary.BigEndian.AppendUint64(dst, key.id)
	s.bind(dst[start:], owner, aad)
	dst = key.cipher.Seal(dst, nil, body, s.context)
	key.seals.Add(1)
	k.seals.Add(1)
	return dst, nil
}

// packInto gives what is to be encrypted: plain, or plain compressed in s if that is
// shorter.
func (k *Keyring) packInto(s *scratch, plain []byte) (body []byte, flags byte) {
	if k.config.NoCompression || len(plain) < k.config.MinCompress {
		return plain, 0
	}
	s.packed = k.packer.pack(s.packed[:0], plain)
	body, flags = s.packed, flagPacked
	if len(body) >= len(plain) {
		body, flags = plain, 0
	}
	k.packedIn.Add(uint64(len(plain)))
	k.packedOut.Add(uint64(len(body)))
	return body, flags
}

// Open appends the value in an envelope to dst and returns it. Errors: ErrDamaged
// (the bytes are not what Seal returned for this owner and this aad, or the value is
// above Config.MaxValue), ErrNoKey (the data key is unknown, shredded or wrapped by
// an unknown master key), or an error of the KeyStore or ctx. It does I/O only where
// the key is not in memory, or as Seal does. dst must not overlap sealed or aad.
func (k *Keyring) Open(ctx context.Context, dst []byte, owner Owner, aad, sealed []byte) ([]byte, error) {
	plain, err := k.open(ctx, dst, owner, aad, sealed)
	switch {
	case err == nil:
		k.opens.Add(1)
	case errors.Is(err, ErrDamaged):
		k.damaged.Add(1)
	case errors.Is(err, ErrNoKey):
		k.noKey.Add(1)
	}
	return plain, err
}

func (k *Keyring) open(ctx context.Context, dst []byte, owner Owner, aad, sealed []byte) ([]byte, error) {
	if err := k.checkFrame(sealed); err != nil {
		return nil, err
	}
	header, body := sealed[:headerBytes], sealed[headerBytes:]
	key, err := k.keyToOpen(ctx, loadID{owner: owner, id: binary.BigEndian.Uint64(header[2:])})
	if err != nil {
		return nil, err
	}
	s := k.borrow()
	defer k.giveBack(s)
	s.bind(header, owner, aad)

	if header[1] == 0 {
		plain, err := key.cipher.Open(dst, nil, body, s.context)
		if err != nil {
			return nil, fmt.Errorf("%w: not authentic", ErrDamaged)
		}
		return plain, nil
	}
	packed, err := key.cipher.Open(s.packed[:0], nil, body, s.context)
	if err != nil {
		return nil, fmt.Errorf("%w: not authentic", ErrDamaged)
	}
	s.packed = packed
	plain, err := k.packer.unpack(dst, packed)
	if err != nil {
		return nil, fmt.Errorf("%w: compressed value: %w", ErrDamaged, err)
	}
	return plain, nil
}

// checkFrame says what can be said of an envelope without a key.
func (k *Keyring) checkFrame(sealed []byte) error {
	switch {
	case len(sealed) < sealOverhead:
		return fmt.Errorf("%w: %d bytes are too few", ErrDamaged, len(sealed))
	case sealed[0] != version:
		return fmt.Errorf("%w: version %d is unknown", ErrDamaged, sealed[0])
	case sealed[1]&^flagPacked != 0:
		return fmt.Errorf("%w: flags %#x are unknown", ErrDamaged, sealed[1])
	case binary.BigEndian.Uint64(sealed[2:]) == 0:
		return fmt.Errorf("%w: it names no key", ErrDamaged)
	case len(sealed)-sealOverhead > k.config.MaxValue:
		return fmt.Errorf("%w: %d bytes are more than Config.MaxValue (%d) allows", ErrDamaged, len(sealed), k.config.MaxValue)
	}
	return nil
}

func (k *Keyring) borrow() *scratch {
	if s, ok := k.scratch.Get().(*scratch); ok {
		return s
	}
	return &scratch{}
}

func (k *Keyring) giveBack(s *scratch) {
	if cap(s.packed) <= maxScratch && cap(s.context) <= maxScratch {
		k.scratch.Put(s)
	}
}

// bind sets the associated data.
func (s *scratch) bind(header []byte, owner Owner, aad []byte) {
	s.context = append(s.context[:0], header...)
	s.context = appendOwner(s.context, owner)
	s.context = append(s.context, aad...)
}
