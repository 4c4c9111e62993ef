package envelope

import (
	"context"
	"encoding/binary"
)

// RewrapBatch is how many keys New wraps anew at a time.
const RewrapBatch = rewrapBatch

// Bound is what an envelope with this header is bound to.
func Bound(header []byte, owner Owner, aad []byte) []byte {
	var s scratch
	s.bind(header, owner, aad)
	return s.context
}

// SealPacked seals bytes that stand where a compressed value should.
func (k *Keyring) SealPacked(ctx context.Context, owner Owner, aad, packed []byte) ([]byte, error) {
	key, err := k.keyToSeal(ctx, owner)
	if err != nil {
		return nil, err
	}
	header := binary.BigEndian.AppendUint64([]byte{version, flagPacked}, key.id)
	return key.cipher.Seal(header, nil, packed, Bound(header, owner, aad)), nil
}

// WearOut makes the owner's key in memory one that has sealed all it may.
func (k *Keyring) WearOut(owner Owner) {
	k.table.get(loadID{owner: owner}).seals.Store(maxSeals)
}

// OwnerTags are the tags under which the store knows an owner.
func (k *Keyring) OwnerTags(owner Owner) (tenant, user uint64) { return k.tags.owner(owner) }
