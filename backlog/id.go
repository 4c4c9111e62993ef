package backlog

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// ID names a job. It is never zero or negative. IDs of one process ascend; those of
// several ascend by the millisecond. It is a name and no secret: whoever asks for a
// job needs a key of its tenant.
type ID int64

// idPrefix tells people and logs what the number is.
const idPrefix = "job_"

// Crockford's alphabet in lower case: no letter looks like a digit, and the text
// sorts as the numbers do.
var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// String returns the ID as callers see it, such as job_01mqzk3v5x8y2.
func (id ID) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	return idPrefix + idText.EncodeToString(b[:])
}

// ParseID reads what String returns. The error is an *llm.Error of CallerNotFound:
// no job has a name that is none.
func ParseID(text string) (ID, error) {
	var b [8]byte
	if len(text) == len(idPrefix)+idText.EncodedLen(len(b)) && text[:len(idPrefix)] == idPrefix {
		n, err := idText.Decode(b[:], []byte(text[len(idPrefix):]))
		id := ID(binary.BigEndian.Uint64(b[:]))
		if err == nil && n == len(b) && id > 0 && id.String() == text {
			return id, nil
		}
	}
	return 0, &llm.Error{Kind: llm.CallerNotFound, Message: fmt.Sprintf("no job is named %.40q", text), Fix: "GET /v1/jobs lists jobs."}
}

// IDs makes IDs: milliseconds since 2025 above idRandom random bits, and always
// larger than the last. It may be used concurrently; the zero value is ready.
type IDs struct {
	mu   sync.Mutex // guards last
	last ID
}

// idRandom leaves 41 bits for the time, which last until 2094. Two processes that
// take in a job in the same millisecond draw the same ID once in four million times;
// the store refuses the second, which draws again.
const (
	idRandom = 22
	idEpoch  = 1735689600000 // 2025-01-01T00:00:00Z in milliseconds
)

// Next returns a new ID for a job that is accepted now.
func (g *IDs) Next(now time.Time) ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	ms := max(now.UnixMilli()-idEpoch, 0) & (1<<(63-idRandom) - 1) // a clock before 2025 is wrong
	g.last = max(ID(ms<<idRandom|rand.Int64N(1<<idRandom)), g.last+1)
	return g.last
}
