package cache

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is what Store.Get returns where there is no record of a key.
var ErrNotFound = errors.New("cache: not found")

// Record is an entry as a Store keeps it: sealed, so that a store sees neither
// prompts nor answers nor names, with what a store needs to find it and to drop it.
type Record struct {
	Key Key
	// Sealed is the entry in its envelope. Nobody changes it.
	Sealed []byte
	// Expires is when the entry stops being fresh, and Since the number of the last
	// invalidation that was known when its answer was asked for. The envelope is bound
	// to both, so a store gives them back as they were, to the nanosecond.
	Expires time.Time
	Since   uint64
	// Keep is until when the record may be read; a store may drop it from then on.
	Keep time.Time
	// Tags say what the entry is about, for Selection.
	Tags Tags
}

// Field is one thing by which entries are invalidated.
type Field uint8

// The fields, in the order of Tags.
const (
	FieldTenant Field = iota
	FieldOperation
	FieldUser
	FieldModel
	FieldNamespace
	Fields // the number of fields in Tags
	// FieldKey is one key; it has no tag, since a record has its key.
	FieldKey = Fields
)

// Tags are keyed hashes of what an entry is about, by Field. Two values may share a
// tag: a selection by tags may hit a few entries more than it names, never fewer.
type Tags [Fields]uint64

// Match selects records: those that agree in every field of Mask. The zero Match
// selects every record. It can be compared and be the key of a map.
type Match struct {
	// Mask has bit 1<<f set for each Field f that counts.
	Mask uint8
	Tags Tags
	// Key counts where Mask has the bit of FieldKey.
	Key Key
}

// Matches reports whether a record of this key and these tags is selected.
func (m Match) Matches(k Key, tags Tags) bool {
	for f := range Fields {
		if m.Mask&(1<<f) != 0 && m.Tags[f] != tags[f] {
			return false
		}
	}
	return m.Mask&(1<<FieldKey) == 0 || m.Key == k
}

// Selection says which records to delete or to count. A record has to satisfy all
// that is set.
type Selection struct {
	Match Match
	// Before selects records whose Since is below it. Zero means any.
	Before uint64
	// Dropped selects records whose Keep is not after it. The zero time means any.
	Dropped time.Time
}

// Size is what a store keeps.
type Size struct {
	Entries int64
	Bytes   int64 // of what is sealed
}

// Store is the persistent tier. It is a contract with several implementations;
// storetest.Cache is its conformance suite. It keeps records as they are and knows
// nothing of freshness or keys: what it gives back is checked by its envelope, so a
// store that mixes up or damages records causes misses, never wrong answers.
//
// All methods may be called concurrently and may block on I/O; they return with an
// error soon after ctx has ended. A store may drop any record at any time.
type Store interface {
	// Get returns the record of k, or ErrNotFound. It may return a record whose Keep
	// has passed. The caller must not change what it gets.
	Get(ctx context.Context, k Key) (Record, error)
	// Write puts records in place of those of the same keys. Of two with one key the
	// later one counts. Each is written whole or not at all; after an error any of them may be written, now or
	// a little later. They outlast the end of the process; a power cut may undo the last
	// ones. It keeps no reference to its arguments.
	Write(ctx context.Context, records []Record) error
	// Delete removes at most limit records of a selection and says how many; limit is
	// positive. It does a bounded amount of work: more reports that records of the
	// selection may be left. Whoever wants to come to the end calls again with the very
	// same selection, its times included.
	Delete(ctx context.Context, sel Selection, limit int) (deleted int, more bool, err error)
	// Count counts the records of a selection. It may take seconds for large stores.
	Count(ctx context.Context, sel Selection) (Size, error)
}

// Expirer is what a Store may have beside. Then it is told of no records to drop because their Keep has passed.
type Expirer interface {
	// Expires reports whether the store removes records by itself, some time after their Keep has passed.
	Expires() bool
}

// Invalidation is one entry of a Journal: every record that Match selects and whose
// Since is below Number is void.
type Invalidation struct {
	Number uint64 // unique, ascending, from 1
	Match  Match
	At     time.Time
}

// Journal keeps invalidations. It is a contract like Store, with storetest.Journal
// as its conformance suite, and is mostly implemented by the same type.
type Journal interface {
	// Invalidate records an invalidation and returns it. Its number is greater than
	// all that were given before, forgotten ones included. When Invalidate returns
	// without an error the invalidation outlasts a power cut.
	Invalidate(ctx context.Context, m Match, at time.Time) (Invalidation, error)
	// Invalidations returns those with a number above after, in ascending order, and
	// the greatest number that was ever given.
	Invalidations(ctx context.Context, after uint64) (all []Invalidation, last uint64, err error)
	// Forget drops invalidations up to and including the number upTo.
	Forget(ctx context.Context, upTo uint64) error
}

// Sweeps is how far records of invalidations are deleted, by whichever process.
type Sweeps struct {
	// Mine says that who asked has the turn.
	Mine bool
	// Swept is the number up to which records were looked for once, and Forgotten that up to which Forget went.
	Swept, Forgotten uint64
}

// Sweeper is what a Journal has beside that several processes share: one of them at a time deletes the records of what is
// invalidated. All methods may be called concurrently.
type Sweeper interface {
	// Turn gives the turn to who, until the given time, unless somebody else has it at now, and says how far things
	// are. Two whose clocks differ may both have it for a while.
	Turn(ctx context.Context, who string, now, until time.Time) (Sweeps, error)
	// Swept notes that records were looked for up to a number. A smaller one than before changes nothing.
	Swept(ctx context.Context, upTo uint64) error
}
