package cache

import (
	"encoding/binary"
	"errors"
	"time"
)

// codecVersion is the first byte of every encoded entry, and part of what its
// envelope is bound to.
const codecVersion = 1

// aadPrefix starts what the envelope of an entry is bound to.
const aadPrefix = "forebay cache entry\x00"

// errEncoding says that bytes are no encoded entry. Which rule they break would help
// nobody: the envelope has found them unchanged, so another version wrote them.
var errEncoding = errors.New("cache: not an encoded entry")

const streamFlag = 1

// appendAAD appends what an envelope is bound to, beside its owner. Names are
// preceded by their length, so that different arguments give different bytes.
func appendAAD(dst []byte, k *Key, owner [2]string, expires time.Time, since uint64) []byte {
	dst = append(dst, aadPrefix...)
	dst = append(dst, codecVersion)
	dst = append(dst, k[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(nanos(expires)))
	dst = binary.BigEndian.AppendUint64(dst, since)
	for _, name := range owner {
		dst = binary.AppendUvarint(dst, uint64(len(name)))
		dst = append(dst, name...)
	}
	return dst
}

// appendEntry appends the encoding of e: version, flags, key, numbers of eight
// bytes, the lengths of all names, the names, the length of the body, and the body.
func appendEntry(dst []byte, e *Entry) []byte {
	flags := byte(0)
	if e.Stream {
		flags = streamFlag
	}
	dst = append(dst, codecVersion, flags)
	dst = append(dst, e.Key[:]...)
	for _, n := range [...]int64{
		nanos(e.Stored), nanos(e.Expires), int64(e.Since), int64(e.Digest),
		e.Usage.Input, e.Usage.Output, e.Usage.CacheRead, e.Usage.CacheWrite, e.CostMicroUSD,
	} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	names := e.names()
	for _, s := range names {
		dst = binary.AppendUvarint(dst, uint64(len(*s)))
	}
	for _, s := range names {
		dst = append(dst, *s...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Body)))
	return append(dst, e.Body...)
}

// decodeEntry reads an encoded entry that takes all of b. Each entry has one
// encoding, and everything else is refused. The entry keeps no reference to b.
func decodeEntry(b []byte) (*Entry, error) {
	const numbers = 9
	if len(b) < 2+len(Key{})+8*numbers || b[0] != codecVersion || b[1]&^streamFlag != 0 {
		return nil, errEncoding
	}
	e := &Entry{Stream: b[1] == streamFlag}
	b = b[2+copy(e.Key[:], b[2:]):]
	var n [numbers]int64
	for i := range n {
		n[i] = int64(binary.BigEndian.Uint64(b))
		b = b[8:]
	}
	e.Stored, e.Expires, e.Since, e.Digest = fromNanos(n[0]), fromNanos(n[1]), uint64(n[2]), uint64(n[3])
	e.Usage.Input, e.Usage.Output, e.Usage.CacheRead, e.Usage.CacheWrite, e.CostMicroUSD = n[4], n[5], n[6], n[7], n[8]

	var lengths [nameCount]int
	total, ok := 0, true
	for i := range lengths {
		if lengths[i], b, ok = cutLength(b); !ok || lengths[i] > len(b)-total {
			return nil, errEncoding
		}
		total += lengths[i]
	}
	all := string(b[:total])
	for i, s := range e.names() {
		*s, all = all[:lengths[i]], all[lengths[i]:]
	}
	size, b, ok := cutLength(b[total:])
	if !ok || size != len(b) {
		return nil, errEncoding
	}
	if size > 0 {
		e.Body = append(make([]byte, 0, size), b...)
	}
	return e, nil
}

// cutLength cuts a length off b: a varint in its shortest form that b has room for.
func cutLength(b []byte) (length int, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 || v > uint64(len(b)-n) {
		return 0, nil, false
	}
	return int(v), b[n:], true
}

// nanos is t as Unix nanoseconds; the zero time is 0. Put sees to it that times
// that matter are within the range.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
