package prices

import (
	_ "embed"
	"encoding/json"
	"strings"
	"sync"

	"github.com/forebay-ai/forebay/cost"
)

//go:embed prices.json
var embedded string

// Embedded returns the table that is part of the binary. It reads where each row stands,
// and a row's prices when they are asked for first: to decode all of them takes some
// milliseconds, which a function that starts for one call has not got.
// Later calls return the same table, which nothing changes.
func Embedded() *Table { return table() }

var table = sync.OnceValue(func() *Table {
	t, ok := index(embedded)
	if ok {
		return t
	}
	t, err := Decode([]byte(embedded))
	if err != nil {
		return &Table{} // a test reads it
	}
	return t
})

// row is one line of a table. Tables share it.
type row struct {
	Table string
	once  sync.Once // decodes wire into known
	wire  string    // empty where known is there from the start
	known cost.Tariff
}

// tariff is what the row says. It is shared and must not be changed.
func (r *row) tariff() *cost.Tariff {
	r.once.Do(func() {
		var w wireRow
		if r.wire == "" || json.Unmarshal([]byte(r.wire), &w) != nil {
			return // a test decodes every row
		}
		r.known, _ = w.tariff()
		r.wire = ""
	})
	return &r.known
}

// index reads a table as Encode writes it: a row a line, and names in front that need no
// unquoting. It is false where the text is anything else.
func index(text string) (*Table, bool) {
	const rows = ",\n\"rows\":[\n"
	head, body, ok := strings.Cut(text, rows)
	body, end := strings.CutSuffix(body, "\n]}\n")
	var w wireTable
	if !ok || !end || json.Unmarshal([]byte(head+"}"), &w) != nil {
		return nil, false
	}
	n := strings.Count(body, "\n") + 1
	t, all := &Table{rows: make(map[key]*row, n), dates: w.Tables}, make([]row, 0, n)
	for line := range strings.SplitSeq(body, "\n") {
		all = append(all, row{wire: strings.TrimSuffix(line, ",")}) // never beyond n: rows have their place
		r := &all[len(all)-1]
		k, table, ok := namesOf(r.wire)
		if _, twice := t.rows[k]; twice || !ok {
			return nil, false
		}
		r.Table = table
		t.rows[k] = r
	}
	return t, true
}

// namesOf reads the names that a row begins with: {"p":"…","m":"…","r":"…","t":"…",
func namesOf(line string) (k key, table string, ok bool) {
	rest := line
	take := func(open string) (value string) {
		after, found := strings.CutPrefix(rest, open)
		value, tail, closed := strings.Cut(after, `"`)
		if !found || !closed || strings.ContainsRune(value, '\\') {
			return ""
		}
		rest = tail
		return value
	}
	k.provider, k.model = take(`{"p":"`), take(`,"m":"`)
	k.scope = take(`,"r":"`)
	table = take(`,"t":"`)
	return k, table, k.provider != "" && k.model != "" && table != ""
}
