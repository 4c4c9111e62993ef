package logdb

import "github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"

// logApplication marks a database as a log of this program ("FBlg").
const logApplication = 0x46426c67

// logVersion is the version of logSchema. A change of the schema raises it.
const logVersion = 1

// logPages is how many pages (32 MiB) are in the write-ahead log when SQLite copies it into
// the file: the pages of indexes, which are written again and again, are copied once then.
const logPages = 4096

// zoneRows is how many numbers a zone of the log of calls has, and bucketRows how many a
// bucket of its indexes has.
const (
	zoneRows   = 4096
	bucketRows = 8192
)

// The statements say to those who open the file by hand what is in it.
//
// The texts of requests that repeat are in words: a row takes 150 bytes instead of 350,
// and a filter compares numbers. The columns for them have no type, because a text stands
// there itself once words is full.
//
// Ids and users come in no order, and an index on them alone would have each entry write two
// pages of its own, 16 KB for 150 bytes, as soon as the log is large. So their hashes have the
// number of a bucket of 8192 entries before them: entries are added to a few pages that are
// at hand, and a search looks into each bucket.
//
// There is no index on start: zones has the earliest and the latest of each 4096 rows, from
// which a page and the removal of what is old find the rows that can be meant. An entry is
// written when its call ends, so calls lie almost in the order of their start.
const logSchema = `
CREATE TABLE requests (
  seq        INTEGER PRIMARY KEY, -- ascending in the order of writing
  start      INTEGER NOT NULL,    -- nanoseconds since 1970, as all times here
  duration   INTEGER NOT NULL,    -- nanoseconds
  cost       INTEGER NOT NULL,    -- micro-dollars
  notable    INTEGER NOT NULL,    -- 1: its outcome is not ok, or it has an error or a fallback
  tenant     NOT NULL,            -- this and those to fallback: words, or a text
  key        NOT NULL,
  operation  NOT NULL,
  model      NOT NULL,
  provider   NOT NULL,
  outcome    NOT NULL,
  error_type NOT NULL,
  cache      NOT NULL,
  fallback   NOT NULL,
  id_hash    INTEGER NOT NULL,    -- (seq / 8192) << 32 | CRC-32C
  user_hash  INTEGER,             -- the same; null without a user
  id         TEXT NOT NULL,
  user       TEXT NOT NULL,
  rest       BLOB NOT NULL,       -- see codec.go
  attempts   BLOB NOT NULL
);
CREATE INDEX requests_id ON requests (id_hash);
CREATE INDEX requests_user ON requests (user_hash) WHERE user_hash IS NOT NULL;
CREATE INDEX requests_operation ON requests (operation);
CREATE INDEX requests_notable ON requests (seq) WHERE notable = 1;
CREATE TABLE zones (
  zone        INTEGER PRIMARY KEY, -- seq / 4096
  last        INTEGER NOT NULL,    -- the greatest seq that was given in it
  entries     INTEGER NOT NULL,
  first_start INTEGER NOT NULL,    -- the bounds of its entries
  last_start  INTEGER NOT NULL,
  longest     INTEGER NOT NULL,
  dearest     INTEGER NOT NULL
);
CREATE TABLE words (
  id   INTEGER PRIMARY KEY, -- from 1; 0 is the empty text
  word TEXT NOT NULL
);
CREATE TABLE series (
  step   INTEGER NOT NULL, -- nanoseconds
  start  INTEGER NOT NULL,
  metric NOT NULL,         -- words, or texts
  label  NOT NULL,
  value  NOT NULL,
  data   BLOB NOT NULL,
  PRIMARY KEY (step, start, metric, label, value)
) WITHOUT ROWID;
CREATE TABLE alarm_states (
  place     INTEGER PRIMARY KEY,
  name      TEXT NOT NULL,
  part      TEXT NOT NULL,    -- the value of its label
  state     TEXT NOT NULL,
  since     INTEGER NOT NULL,
  value     REAL,             -- null: not a number
  has_value INTEGER NOT NULL,
  silenced  INTEGER NOT NULL,
  reason    TEXT NOT NULL
);
CREATE TABLE silences (
  place   INTEGER PRIMARY KEY,
  id      TEXT NOT NULL,
  alarm   TEXT NOT NULL,
  part    TEXT NOT NULL,
  begins  INTEGER NOT NULL,
  ends    INTEGER NOT NULL,
  who     TEXT NOT NULL,
  comment TEXT NOT NULL
);
CREATE TABLE alarm_events (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
  at         INTEGER NOT NULL,
  name       TEXT NOT NULL,
  part       TEXT NOT NULL,
  severity   TEXT NOT NULL,
  from_state TEXT NOT NULL,
  to_state   TEXT NOT NULL,
  value      REAL,
  reason     TEXT NOT NULL,
  silenced   INTEGER NOT NULL
);
CREATE INDEX alarm_events_name ON alarm_events (name);
CREATE INDEX alarm_events_at ON alarm_events (at);
`

// The prepared statements of the writer.
const (
	insertRequest = iota
	deleteRequests
	deleteOldest
	eraseRequest
	growZone
	shrinkZone
	measureZone
	deleteZone
	insertWord
	upsertSeries
	oldestSeries
	deleteSeries
	insertState
	insertSilence
	insertEvent
	deleteEvents
	logFreePages
)

// The prepared statements of the readers.
const (
	selectRequest = iota
	selectZones
	selectZoneRange
	countRequests
	selectOfUser
	nextStep
	selectSeries
	selectStates
	selectSilences
	selectEvents
	selectEventsOf
)

const (
	entryColumns  = `seq, start, duration, cost, tenant, key, operation, model, provider, outcome, error_type, cache, fallback, id, user, rest`
	eventColumns  = `seq, at, name, part, severity, from_state, to_state, value, reason, silenced`
	zoneCondition = `zone >= ?1 AND zone <= ?2 AND entries > 0 AND last_start >= ?3 AND first_start < ?4 AND longest >= ?5 AND dearest >= ?6`
)

// logLayout is what log.db consists of. It is one table on purpose: the statements read
// best beside one another.
func logLayout() sqlfile.Layout {
	return sqlfile.Layout{
		Application: logApplication, Version: logVersion, Schema: logSchema, LogPages: logPages,
		CheckedWhole: []string{"zones", "words", "alarm_states", "silences"},
		Writes: []string{
			insertRequest:  `INSERT INTO requests (` + entryColumns + `, attempts, notable, id_hash, user_hash) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
			deleteRequests: `DELETE FROM requests WHERE seq >= ?1 AND seq < ?2 AND start < ?3`,
			deleteOldest:   `DELETE FROM requests WHERE seq IN (SELECT seq FROM requests WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)`,
			eraseRequest:   `UPDATE requests SET user = ?2, user_hash = ?3 WHERE seq = ?1 AND tenant = ?4 AND user = ?5`,
			growZone: `INSERT INTO zones (zone, last, entries, first_start, last_start, longest, dearest) VALUES (?,?,?,?,?,?,?)
				ON CONFLICT (zone) DO UPDATE SET last = excluded.last, entries = entries + excluded.entries,
				first_start = min(first_start, excluded.first_start), last_start = max(last_start, excluded.last_start),
				longest = max(longest, excluded.longest), dearest = max(dearest, excluded.dearest)`,
			shrinkZone: `UPDATE zones SET entries = entries - ?2 WHERE zone = ?1`,
			measureZone: `UPDATE zones SET (entries, first_start, last_start, longest, dearest) =
				(SELECT count(*), coalesce(min(start), 0), coalesce(max(start), 0), coalesce(max(duration), 0), coalesce(max(cost), 0) FROM requests WHERE seq >= ?2 AND seq < ?3)
				WHERE zone = ?1`,
			// The newest zone stays although it is empty: it knows which number was given last.
			deleteZone: `DELETE FROM zones WHERE zone = ?1 AND entries = 0 AND zone < (SELECT max(zone) FROM zones)`,
			insertWord: `INSERT INTO words (id, word) VALUES (?,?)`,
			upsertSeries: `INSERT INTO series (step, start, metric, label, value, data) VALUES (?,?,?,?,?,?)
				ON CONFLICT (step, start, metric, label, value) DO UPDATE SET data = excluded.data`,
			oldestSeries:  `SELECT start FROM series WHERE step = ?1 AND start < ?2 ORDER BY start LIMIT 1`,
			deleteSeries:  `DELETE FROM series WHERE step = ?1 AND start = ?2`,
			insertState:   `INSERT INTO alarm_states (place, name, part, state, since, value, has_value, silenced, reason) VALUES (?,?,?,?,?,?,?,?,?)`,
			insertSilence: `INSERT INTO silences (place, id, alarm, part, begins, ends, who, comment) VALUES (?,?,?,?,?,?,?,?)`,
			insertEvent:   `INSERT INTO alarm_events (at, name, part, severity, from_state, to_state, value, reason, silenced) VALUES (?,?,?,?,?,?,?,?,?)`,
			deleteEvents:  `DELETE FROM alarm_events WHERE seq IN (SELECT seq FROM alarm_events WHERE at < ?1 LIMIT ?2)`,
			logFreePages:  `SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count`,
		},
		Reads: []string{
			selectRequest:   `SELECT ` + entryColumns + `, attempts FROM requests WHERE seq = ?`,
			selectZones:     `SELECT zone FROM zones WHERE ` + zoneCondition + ` ORDER BY zone DESC LIMIT ?7`,
			selectZoneRange: `SELECT coalesce(min(zone), 0), coalesce(max(zone), -1) FROM zones WHERE ` + zoneCondition,
			countRequests:   `SELECT coalesce(sum(entries), 0), coalesce(min(zone), 0) FROM zones WHERE entries > 0`,
			selectOfUser:    `SELECT seq FROM requests INDEXED BY requests_user WHERE user_hash = ?1 AND user_hash IS NOT NULL ORDER BY seq`,
			nextStep:        `SELECT min(step) FROM series WHERE step > ?1`,
			selectSeries: `SELECT start, metric, label, value, data FROM series
				WHERE step = ?1 AND (start, metric, label, value) > (?2, ?3, ?4, ?5) ORDER BY start, metric, label, value LIMIT ?6`,
			selectStates:   `SELECT name, part, state, since, value, has_value, silenced, reason FROM alarm_states ORDER BY place`,
			selectSilences: `SELECT id, alarm, part, begins, ends, who, comment FROM silences ORDER BY place`,
			selectEvents:   `SELECT ` + eventColumns + ` FROM alarm_events WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2`,
			selectEventsOf: `SELECT ` + eventColumns + ` FROM alarm_events WHERE name = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2`,
		},
	}
}
