package logdb

import (
	"fmt"
	"math"
	"strings"

	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// ledgerApplication marks a database as books of this program ("FBld").
const ledgerApplication = 0x46426c64

// ledgerVersion is the version of ledgerSchema. A change of the schema raises it.
const ledgerVersion = 1

// ledgerPages is how many pages are in the log when it is copied into the file.
const ledgerPages = 1000

// The statements say to those who open the file by hand what is in it.
//
// A sum that grew beyond 63 bits would become a floating-point number: sums stick at the largest value, and the
// checks refuse whatever is no integer.
const ledgerSchema = `
CREATE TABLE books (
  day       INTEGER NOT NULL, -- days since 1970, UTC
  tenant    TEXT NOT NULL,
  user      TEXT NOT NULL,
  key       TEXT NOT NULL,
  operation TEXT NOT NULL,
  provider  TEXT NOT NULL,
  model     TEXT NOT NULL,
  calls       INTEGER NOT NULL,
  input       INTEGER NOT NULL, -- tokens
  output      INTEGER NOT NULL,
  cache_read  INTEGER NOT NULL,
  cache_write INTEGER NOT NULL,
  micro_usd   INTEGER NOT NULL, -- micro-dollars, as all that follow but hits
  compute     INTEGER NOT NULL,
  storage     INTEGER NOT NULL,
  hits        INTEGER NOT NULL,
  saved       INTEGER NOT NULL,
  estimated   INTEGER NOT NULL,
  amounts_sum INTEGER NOT NULL, -- a checksum that adds up as the amounts do, modulo 2147483647
  account_sum INTEGER NOT NULL, -- CRC-32C of day to model
  PRIMARY KEY (day, tenant, user, key, operation, provider, model),
  CHECK (typeof(calls) = 'integer' AND typeof(input) = 'integer' AND typeof(output) = 'integer'
    AND typeof(cache_read) = 'integer' AND typeof(cache_write) = 'integer' AND typeof(micro_usd) = 'integer'
    AND typeof(compute) = 'integer' AND typeof(storage) = 'integer' AND typeof(hits) = 'integer'
    AND typeof(saved) = 'integer' AND typeof(estimated) = 'integer')
) WITHOUT ROWID;
CREATE TABLE holds (
  id        TEXT PRIMARY KEY,
  day       INTEGER NOT NULL,
  tenant    TEXT NOT NULL,
  user      TEXT NOT NULL,
  key       TEXT NOT NULL,
  operation TEXT NOT NULL,
  provider  TEXT NOT NULL,
  model     TEXT NOT NULL,
  micro_usd INTEGER NOT NULL,
  expires   INTEGER NOT NULL, -- nanoseconds since 1970
  hold_sum  INTEGER NOT NULL  -- CRC-32C of all before
) WITHOUT ROWID;
`

// The prepared statements of the writer.
const (
	post = iota
	insertHold
	deleteHold
	deletePostings
	eraseHold
)

// The prepared statements of the readers.
const (
	selectHolds = iota
	selectDays
	selectBooks
)

const (
	accountColumns = `day, tenant, user, key, operation, provider, model`
	holdColumns    = `id, ` + accountColumns + `, micro_usd, expires`
	sumColumns     = `calls, input, output, cache_read, cache_write, micro_usd, compute, storage, hits, saved, estimated, amounts_sum`
	selectAll      = `SELECT ` + accountColumns + `, ` + sumColumns + `, account_sum FROM books`
)

// sumNames are the columns of amounts, in the order in which amounts lists them, and
// their checksum.
func sumNames() []string { return strings.Split(sumColumns, ", ") }

// additions add what is posted to what is there. Of an amount that would grow beyond the largest value, as much is added
// as there is room for; what was not added is taken from the checksum too. So the checksum is never made from
// what is on the disk, where damage would become part of it.
func additions() []string {
	var add []string
	var left strings.Builder
	names := sumNames()
	for i, c := range names[:len(names)-1] {
		fits := fmt.Sprintf("min(excluded.%s, %d - %s)", c, int64(math.MaxInt64), c)
		add = append(add, c+" = "+c+" + "+fits)
		fmt.Fprintf(&left, " - %d * ((excluded.%s - %s) %% %d)", sumWeight(i), c, fits, int64(sumPrime))
	}
	return append(add, fmt.Sprintf("amounts_sum = ((amounts_sum + excluded.amounts_sum%s) %% %d + %d) %% %d",
		left.String(), int64(sumPrime), int64(sumPrime), int64(sumPrime)))
}

// ledgerLayout is what ledger.db consists of.
func ledgerLayout() sqlfile.Layout {
	return sqlfile.Layout{
		Application: ledgerApplication, Version: ledgerVersion, Schema: ledgerSchema,
		LogPages: ledgerPages, CheckedWhole: []string{"books", "holds"}, Precious: true,
		Writes: []string{
			post: `INSERT INTO books (` + accountColumns + `, ` + sumColumns + `, account_sum) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
				ON CONFLICT (` + accountColumns + `) DO UPDATE SET ` + strings.Join(additions(), ", "),
			// A reservation that is made again replaces the one before.
			insertHold:     `INSERT OR REPLACE INTO holds (` + holdColumns + `, hold_sum) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
			deleteHold:     `DELETE FROM holds WHERE id = ?`,
			deletePostings: `DELETE FROM books WHERE day = ?1 AND tenant = ?2 AND user = ?3`,
			eraseHold:      `UPDATE holds SET user = ?2, hold_sum = ?3 WHERE id = ?1`,
		},
		Reads: []string{
			selectHolds: `SELECT ` + holdColumns + `, hold_sum FROM holds ORDER BY id`,
			// One look-up a day: the days are few, the postings of each are many.
			selectDays: `WITH RECURSIVE days(day) AS (SELECT min(day) FROM books UNION ALL SELECT (SELECT min(day) FROM books WHERE day > days.day) FROM days WHERE days.day IS NOT NULL)
				SELECT day FROM days WHERE day IS NOT NULL AND EXISTS (SELECT 1 FROM books WHERE books.day = days.day AND tenant = ?1 AND user = ?2)`,
			selectBooks: selectAll + ` WHERE (` + accountColumns + `) > (?1, ?2, ?3, ?4, ?5, ?6, ?7) ORDER BY ` + accountColumns + ` LIMIT ?8`,
		},
	}
}
