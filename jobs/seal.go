package jobs

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
)

// sealVersion is the first byte of every sealed value and part of what its envelope is
// bound to.
const sealVersion = 1

// sealDomain starts what an envelope of this package is bound to.
const sealDomain = "forebay job\x00"

// errPayload says that bytes are no payload of ours although the envelope has found
// them unchanged: another version wrote them.
var errPayload = errors.New("jobs: not a payload")

// appendContext appends what the envelope of a job's part is bound to. The tenant's
// name is preceded by its length, so that different arguments give different bytes.
func appendContext(dst []byte, part backlog.Part, tenant string, id backlog.ID) []byte {
	dst = append(dst, sealDomain...)
	dst = append(dst, sealVersion, byte(part))
	dst = binary.AppendUvarint(dst, uint64(len(tenant)))
	dst = append(dst, tenant...)
	return binary.BigEndian.AppendUint64(dst, uint64(id))
}

// appendPayload appends what is sealed of a submission: version, length of the
// webhook's address, the address, and the payload. The address is the caller's secret
// as much as the payload is: it may hold a token.
func appendPayload(dst []byte, webhook string, payload []byte) []byte {
	dst = append(dst, sealVersion)
	dst = binary.AppendUvarint(dst, uint64(len(webhook)))
	dst = append(dst, webhook...)
	return append(dst, payload...)
}

// parsePayload reads what appendPayload wrote. payload shares the bytes of b.
func parsePayload(b []byte) (webhook string, payload []byte, err error) {
	if len(b) == 0 || b[0] != sealVersion {
		return "", nil, errPayload
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)-1-size) {
		return "", nil, errPayload
	}
	b = b[1+size:]
	return string(b[:n]), b[n:], nil
}

// payloadRoom is by how much the sealed payload is longer than payload and address, at
// most.
const payloadRoom = envelope.Overhead + 1 + binary.MaxVarintLen32

// seal seals one part of a job and appends it to dst.
func (q *Queue) seal(ctx context.Context, dst []byte, j *backlog.Job, part backlog.Part, plain []byte) ([]byte, error) {
	var room [96]byte // enough for most names, so that it stays on the stack
	return q.cfg.Keys.Seal(ctx, dst, ownerOf(j), appendContext(room[:0], part, j.Tenant, j.ID), plain)
}

// open opens one part of a job. The value has bytes of its own.
func (q *Queue) open(ctx context.Context, j *backlog.Job, part backlog.Part, sealed []byte) ([]byte, error) {
	var room [96]byte
	return q.cfg.Keys.Open(ctx, nil, ownerOf(j), appendContext(room[:0], part, j.Tenant, j.ID), sealed)
}

func ownerOf(j *backlog.Job) envelope.Owner { return envelope.Owner{Tenant: j.Tenant, User: j.User} }
