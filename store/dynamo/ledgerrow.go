package dynamo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/ledger"
)

// The partitions of the ledger's table: one for each tenant and month, whose items are rows, by day; one that lists
// those partitions; and some for reservations.
const (
	rowsPartition   = "rows#" // then the month, then the tenant
	monthsPartition = "months"
	holdsPartition  = "holds#" // then the number of one of holdSlots

	// takenFor is for how long an abandoned reservation is left to the process that took it over.
	takenFor = 10 * time.Minute
	// holdSlots is over how many partitions reservations are spread: each takes 1,000 writes a second.
	holdSlots = 8
	// rowSlots is over how many items a row is spread, by who writes: an item grows with each process that wrote to it, and
	// functions are hundreds of processes a day.
	rowSlots = 16

	attrRevision = "revision" // counts the additions to a row
	attrBorn     = "born"     // tells a row from one that was erased before, under the same key
	attrTenant   = "tenant"
	monthForm    = "2006-01"

	// maxPart bounds each part of an account, in bytes; package ledger has less.
	maxPart = 900
)

// accountPart is a text of an account, with the name of its attribute.
type accountPart struct {
	name string
	text *string
}

func accountParts(a *ledger.Account) []accountPart {
	return []accountPart{
		{attrTenant, &a.Tenant},
		{"user", &a.User},
		{"accessKey", &a.Key},
		{"operation", &a.Operation},
		{"provider", &a.Provider},
		{"model", &a.Model},
	}
}

// amountPart is a number of amounts, with the name of its attribute.
type amountPart struct {
	name string
	n    *int64
}

func amountParts(m *ledger.Amounts) []amountPart {
	return []amountPart{
		{"calls", &m.Calls},
		{"inputTokens", &m.Usage.Input},
		{"outputTokens", &m.Usage.Output},
		{"cacheReadTokens", &m.Usage.CacheRead},
		{"cacheWriteTokens", &m.Usage.CacheWrite},
		{"microUsd", &m.MicroUSD},
		{"computeMicroUsd", &m.ComputeMicroUSD},
		{"storageMicroUsd", &m.StorageMicroUSD},
		{"hits", &m.Hits},
		{"savedMicroUsd", &m.SavedMicroUSD},
		{"estimatedMicroUsd", &m.EstimatedMicroUSD},
	}
}

// writable says what keeps an account from being written for ever.
func writable(a *ledger.Account) error {
	if year := a.Day.UTC().Year(); year < 0 || year > 9999 {
		return fmt.Errorf("dynamo: the day %v cannot be written", a.Day)
	}
	for _, part := range accountParts(a) {
		if len(*part.text) > maxPart || !utf8.ValidString(*part.text) {
			return fmt.Errorf("dynamo: the %s %.40q cannot be written: it is longer than %d bytes, or not UTF-8", part.name, *part.text, maxPart)
		}
	}
	return nil
}

func writableID(id string) error {
	if id == "" || len(id) > maxPart || !utf8.ValidString(id) {
		return fmt.Errorf("dynamo: a reservation's id cannot be written: %.40q", id)
	}
	return nil
}

// monthEntry is where the partition of an account is listed.
func monthEntry(a *ledger.Account) string { return a.Day.UTC().Format(monthForm) + "#" + a.Tenant }

// rowKey is the key of an account's row for those who write under a name: the parts may be longer together than a key, so it has their
// hash. Rows of before they were spread have no slot behind it.
func rowKey(a *ledger.Account, writer string) item {
	h := sha256.New()
	for _, part := range accountParts(a) {
		_, _ = fmt.Fprintf(h, "%d:%s", len(*part.text), *part.text)
	}
	day := a.Day.UTC()
	return itemKey(rowsPartition+monthEntry(a), day.Format("02")+"#"+hex.EncodeToString(h.Sum(nil)[:16])+"#"+slotOfWriter(writer))
}

// slotOfWriter is which of a row's items those write to who have a name.
func slotOfWriter(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return strconv.FormatUint(uint64(h.Sum32()%rowSlots), 16)
}

// readRow reads a row.
func readRow(it item) (a ledger.Account, m ledger.Amounts, err error) {
	pk, _ := text(it, "pk")
	sk, _ := text(it, "sk")
	month, _, _ := strings.Cut(strings.TrimPrefix(pk, rowsPartition), "#")
	if a.Day, err = time.Parse("2006-01#02", month+"#"+sk[:min(len(sk), 2)]); err != nil {
		return a, m, fmt.Errorf("dynamo: a row of the books: %w", errForm)
	}
	for _, part := range accountParts(&a) {
		*part.text, _ = text(it, part.name)
	}
	for _, part := range amountParts(&m) {
		*part.n = saturated(it, part.name)
	}
	return a, m, nil
}

// saturated reads a sum, which may be larger than an int64 is: it then sticks there.
func saturated(it item, name string) int64 {
	v, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil && !strings.HasPrefix(v.Value, "-") {
		return math.MaxInt64
	}
	return max(n, 0)
}

func holdKey(id string) item {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return itemKey(holdsPartition+strconv.Itoa(int(h.Sum32()%holdSlots)), id)
}

func holdItem(h *ledger.Hold) item {
	it := holdKey(h.ID)
	it["day"], it["microUsd"], it["expires"] = str(h.Day.UTC().Format(time.DateOnly)), num(h.MicroUSD), num(h.Expires.UnixMicro())
	for _, part := range accountParts(&h.Account) {
		if *part.text != "" {
			it[part.name] = str(*part.text)
		}
	}
	return it
}

func readHold(it item) (h ledger.Hold, err error) {
	day, _ := text(it, "day")
	if h.Day, err = time.Parse(time.DateOnly, day); err != nil {
		return h, fmt.Errorf("dynamo: a reservation: %w", errForm)
	}
	h.ID, _ = text(it, "sk")
	h.MicroUSD, _ = number(it, "microUsd")
	micros, _ := number(it, "expires")
	h.Expires = time.UnixMicro(micros).UTC()
	for _, part := range accountParts(&h.Account) {
		*part.text, _ = text(it, part.name)
	}
	return h, nil
}
