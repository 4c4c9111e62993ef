package dynamo

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/cache"
)

// errForm is a record, or an entry of the journal, that is not of the form in which it is written.
var errForm = errors.New("dynamo: an item is damaged")

// slots is how many partitions the index has: each takes 1,000 write units a second, one a record.
const slots = 4

// unsigned is a whole number up to 2^64-1, which DynamoDB's 38 digits hold.
func unsigned(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}

// natural reads one; 0 where there is none.
func natural(it item, name string) uint64 {
	v, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	n, _ := strconv.ParseUint(v.Value, 10, 64)
	return n
}

// tagged is a tag, or another number that only has to be the same, in a form that sorts and needs no number.
func tagged(n uint64) types.AttributeValue { return str(hex16(n)) }

func hex16(n uint64) string { return fmt.Sprintf("%016x", n) }

func tagOf(it item, name string) (uint64, error) {
	s, _ := text(it, name)
	return parseHex16(s)
}

func parseHex16(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, errForm
	}
	return n, nil
}

// instant is a time to the nanosecond: DynamoDB's numbers would lose the end of zeros, which is no harm, and
// the zero time. It is a text of seconds and nanoseconds.
func instant(t time.Time) types.AttributeValue {
	return str(fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()))
}

func instantOf(it item, name string) (time.Time, error) {
	s, ok := text(it, name)
	seconds, nanos, two := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(seconds, 10, 64)
	nsec, err2 := strconv.ParseInt(nanos, 10, 64)
	if !ok || !two || err != nil || err2 != nil {
		return time.Time{}, errForm
	}
	return time.Unix(sec, nsec).UTC(), nil
}

// secondsAfter is the first whole second at or after t: what ttl is given in.
func secondsAfter(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 && s < math.MaxInt64 {
		s++
	}
	return s
}

func recordKey(k cache.Key) item { return item{attrCacheKey: str(hex.EncodeToString(k[:]))} }

func slotOf(k cache.Key) types.AttributeValue { return str(strconv.Itoa(int(k[0] % slots))) }

func scopeOf(tags *cache.Tags) string {
	return hex16(tags[cache.FieldTenant]) + hex16(tags[cache.FieldOperation])
}

// recordItem is a record as it is kept. Nothing in it is a name.
func recordItem(r *cache.Record, now time.Time) item {
	it := recordKey(r.Key)
	it[attrSlot], it[attrScope] = slotOf(r.Key), str(scopeOf(&r.Tags))
	it[attrOperation] = tagged(r.Tags[cache.FieldOperation])
	it[attrUser], it[attrModel] = tagged(r.Tags[cache.FieldUser]), tagged(r.Tags[cache.FieldModel])
	it[attrNamespace] = tagged(r.Tags[cache.FieldNamespace])
	it[attrExpires], it[attrKeep], it[attrSince] = instant(r.Expires), instant(r.Keep), unsigned(r.Since)
	it[attrSize], it[attrStamp] = num(int64(len(r.Sealed))), num(now.UnixMilli())
	if len(r.Sealed) > 0 {
		it[attrResponse] = data(r.Sealed)
	}
	if !r.Keep.IsZero() {
		it[TTLAttribute] = num(max(secondsAfter(r.Keep), 0))
	}
	return it
}

// readRecord reads a whole record.
func readRecord(k cache.Key, it item) (cache.Record, error) {
	about, err := readAbout(it)
	if err != nil || about.Key != k {
		return cache.Record{}, fmt.Errorf("record %v: %w", k, errors.Join(err, errForm))
	}
	if about.Expires, err = instantOf(it, attrExpires); err != nil {
		return cache.Record{}, fmt.Errorf("record %v: %w", k, err)
	}
	about.Sealed, _ = raw(it, attrResponse)
	return about.Record, nil
}

// about is what the index has of a record.
type about struct {
	cache.Record       // without Sealed and Expires
	size         int64 // of Sealed
}

func readAbout(it item) (a about, err error) {
	key, _ := text(it, attrCacheKey)
	if n, err := hex.Decode(a.Key[:], []byte(key[:min(len(key), 2*len(a.Key))])); err != nil || n != len(a.Key) {
		return a, errForm
	}
	scope, _ := text(it, attrScope)
	if len(scope) != 32 {
		return a, errForm
	}
	var faults [6]error
	a.Tags[cache.FieldTenant], faults[0] = parseHex16(scope[:16])
	a.Tags[cache.FieldOperation], faults[1] = parseHex16(scope[16:])
	a.Tags[cache.FieldUser], faults[2] = tagOf(it, attrUser)
	a.Tags[cache.FieldModel], faults[3] = tagOf(it, attrModel)
	a.Tags[cache.FieldNamespace], faults[4] = tagOf(it, attrNamespace)
	a.Keep, faults[5] = instantOf(it, attrKeep)
	a.Since = natural(it, attrSince)
	a.size, _ = number(it, attrSize)
	return a, errors.Join(faults[:]...)
}

// selects says that a selection has a record.
func selects(sel *cache.Selection, r *cache.Record) bool {
	return sel.Match.Matches(r.Key, r.Tags) && (sel.Before == 0 || r.Since < sel.Before) &&
		(sel.Dropped.IsZero() || !r.Keep.After(sel.Dropped))
}
