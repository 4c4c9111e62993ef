package queuedb

import (
	"fmt"
	"strings"

	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// queueApplication marks a database as a queue of this program ("FBqu").
const queueApplication = 0x46427175

// queueVersion is the version of queueSchema. A change of the schema raises it.
const queueVersion = 1

// The statements say to those who open the file by hand what is in it.
//
// Contents have tables of their own: a claim then writes a page that it shares with
// some 25 other jobs, and who lists jobs does not read what they carry (a cycle of
// insert, claim and complete in groups of ten: 132 to 143 us so, 144 to 152 in one
// row; 100,000 jobs are listed from 30 MB instead of 800).
//
// What each index costs in such a cycle of 130 to 150 us: jobs_due about 8, and
// jobs_tenant 3; those of idempotency keys and webhooks nothing for jobs without and
// 15 for a job that has such a key; totals about 5. An index on the state would cost
// 10, and what it would serve is answered by jobs_due and totals, but for lists of
// final jobs of one state, which walk the table at 1 us a job.
const queueSchema = `
CREATE TABLE jobs (
  id             INTEGER PRIMARY KEY, -- milliseconds since 2025 << 22, and random bits
  tenant         TEXT    NOT NULL,
  user           TEXT    NOT NULL,
  key            TEXT    NOT NULL,    -- the name of the key that it came with
  operation      TEXT    NOT NULL,
  endpoint       TEXT    NOT NULL,
  model          TEXT    NOT NULL,
  custom_id      TEXT    NOT NULL,
  enqueued       INTEGER,             -- microseconds since 1970, as all times here; NULL: none
  timeout        INTEGER NOT NULL,    -- nanoseconds
  retention      INTEGER NOT NULL,    -- nanoseconds
  bytes          INTEGER NOT NULL,    -- of the sealed payload
  idempotency    BLOB,                -- SHA-256; NULL: no key
  digest         BLOB    NOT NULL,    -- SHA-256 of what was asked for
  webhook        INTEGER NOT NULL,    -- 1: somebody wants to know of the end
  spec_sum       INTEGER NOT NULL,    -- CRC-64 of all above
  state          TEXT    NOT NULL,    -- queued, processing, completed, failed, timeout, cancelled, dead
  band           TEXT    NOT NULL,
  attempt        INTEGER NOT NULL,    -- claims; the fencing token
  retries        INTEGER NOT NULL,
  deaths         INTEGER NOT NULL,
  not_before     INTEGER,         
  deadline       INTEGER,         
  lease_until    INTEGER,         
  worker         TEXT    NOT NULL,
  started        INTEGER,         
  finished       INTEGER,         
  kind           TEXT    NOT NULL,    -- of the last error
  message        TEXT    NOT NULL,
  keep           INTEGER,             -- until when a final job is kept
  result_until   INTEGER,             -- until when its result and payload are
  hook_due       INTEGER,         
  hook_attempts  INTEGER NOT NULL,
  hook_delivered INTEGER NOT NULL,
  status_sum     INTEGER NOT NULL,    -- CRC-64 of the id and all from state on
  due            INTEGER NOT NULL,    -- when there is something to remove; 0: queued or processing
  payload        TEXT    NOT NULL,    -- kept, gone
  result         TEXT    NOT NULL     -- none, kept, gone
);
CREATE INDEX jobs_due ON jobs (due);
CREATE INDEX jobs_tenant ON jobs (tenant);
CREATE INDEX jobs_hooks ON jobs (id) WHERE hook_due IS NOT NULL;
CREATE INDEX jobs_idempotency ON jobs (idempotency) WHERE idempotency IS NOT NULL;
CREATE TABLE payloads (
  id     INTEGER PRIMARY KEY, -- of the job
  sealed BLOB NOT NULL        -- encrypted
);
CREATE TABLE results (
  id     INTEGER PRIMARY KEY, -- of the job
  sealed BLOB NOT NULL        -- encrypted
);
CREATE TABLE paused (
  operation TEXT PRIMARY KEY  -- of which no job is to be claimed
);
CREATE TABLE damaged (
  id     INTEGER PRIMARY KEY, -- of a job that is set apart; it stays where it is
  found  INTEGER NOT NULL,
  reason TEXT    NOT NULL
);
CREATE TABLE totals (
  one        INTEGER PRIMARY KEY, -- there is one row
  queued     INTEGER NOT NULL,    -- jobs in this state
  processing INTEGER NOT NULL,
  completed  INTEGER NOT NULL,
  failed     INTEGER NOT NULL,
  timeout    INTEGER NOT NULL,
  cancelled  INTEGER NOT NULL,
  dead       INTEGER NOT NULL,
  unfinished INTEGER NOT NULL,    -- XOR of the ids of queued and processing jobs, against a lost entry of jobs_due
  sum        INTEGER NOT NULL     -- CRC-64 of the row
);
`

// The prepared statements of the queue's writer.
const (
	insertJob = iota
	insertPayload
	setStatus
	setAll
	insertResult
	deleteJob
	deletePayload
	deleteResult
	dropContents
	setDue
	writeTotals
	noteDamage
	forgetDamage
	pauseOperation
	resumeOperation
	writerJob
	writerIdempotent
	writerDue
	writerPages
	begin
	commit
)

// The prepared statements of the queue's readers.
const (
	readJob = iota
	readWithPayload
	readWithResult
	readUnfinished
	readIdempotent
	readPaused
)

const (
	specColumns = `id, tenant, user, key, operation, endpoint, model, custom_id, enqueued, timeout, retention, bytes,
		idempotency, digest, webhook, spec_sum`
	statusColumns = `state, band, attempt, retries, deaths, not_before, deadline, lease_until, worker, started, finished,
		kind, message, keep, result_until, hook_attempts, hook_delivered, status_sum`
	otherColumns = `hook_due, due, payload, result`
	jobColumns   = specColumns + `, ` + statusColumns + `, ` + otherColumns
)

// selected is what a record is read from: jobColumns, and in place of NULL the zero
// time of a record.
func selected() string {
	columns := strings.Split(jobColumns, ",")
	for i, c := range columns {
		columns[i] = "jobs." + strings.TrimSpace(c)
		switch strings.TrimSpace(c) {
		case "enqueued", "not_before", "deadline", "lease_until", "started", "finished", "keep", "result_until", "hook_due":
			columns[i] = fmt.Sprintf("ifnull(%s, %d)", columns[i], int64(noTime))
		}
	}
	return strings.Join(columns, ", ")
}

// queueLogPages is how many pages are in the log, by estimate, when it is copied into
// the file: 16 MiB. With 8 MiB a cycle costs some 3 % more; with 64 the writes that
// wait for the copying wait four times as long.
const queueLogPages = 2000

// queueLayout is what queue.db consists of: one table of statements, long on purpose:
// they are read beside one another.
func queueLayout() sqlfile.Layout {
	set := strings.Join(strings.Split(statusColumns, ","), "=?,") + "=?"
	// The last arguments say what the job has to have for the change to be made.
	const unmoved = ` WHERE id = ? AND state = ? AND attempt = ? AND (? IS NULL OR lease_until = ?)`
	places := func(columns string) string { return strings.Repeat("?,", strings.Count(columns, ",")) + "?" }
	return sqlfile.Layout{
		Application: queueApplication, Version: queueVersion, Schema: queueSchema,
		LogPages: queueLogPages, Precious: true,
		CheckedWhole: []string{"paused", "damaged", "totals"},
		Writes: []string{
			insertJob: `INSERT INTO jobs (` + jobColumns + `) VALUES (` + places(jobColumns) + `)`,
			// A payload whose job is gone can only be there if the file was damaged.
			insertPayload: `INSERT OR REPLACE INTO payloads (id, sealed) VALUES (?,?)`,
			// SQLite looks after the indexes whose columns a statement names, whether they
			// change or not; a claim changes none.
			setStatus:    `UPDATE jobs SET ` + set + unmoved + ` AND hook_due IS NULL AND due = 0`,
			setAll:       `UPDATE jobs SET ` + set + `, hook_due=?, due=?, payload=CASE WHEN ? THEN 'gone' ELSE payload END, result=CASE WHEN ? THEN 'kept' ELSE result END` + unmoved,
			insertResult: `INSERT OR REPLACE INTO results (id, sealed) VALUES (?,?)`,

			deleteJob:     `DELETE FROM jobs WHERE id = ?`,
			deletePayload: `DELETE FROM payloads WHERE id = ?`,
			deleteResult:  `DELETE FROM results WHERE id = ?`,
			dropContents:  `UPDATE jobs SET payload='gone', result=CASE result WHEN 'none' THEN 'none' ELSE 'gone' END, due=? WHERE id = ?`,
			setDue:        `UPDATE jobs SET due=? WHERE id = ?`,

			writeTotals:  `INSERT OR REPLACE INTO totals VALUES (1,?,?,?,?,?,?,?,?,?)`,
			noteDamage:   `INSERT OR IGNORE INTO damaged (id, found, reason) VALUES (?,?,?)`,
			forgetDamage: `DELETE FROM damaged WHERE id = ?`,

			pauseOperation:  `INSERT OR IGNORE INTO paused (operation) VALUES (?)`,
			resumeOperation: `DELETE FROM paused WHERE operation = ?`,

			writerJob:        `SELECT ` + selected() + ` FROM jobs WHERE id = ?`,
			writerIdempotent: underKey(),
			writerDue: `SELECT id FROM jobs INDEXED BY jobs_due
				WHERE due > 0 AND due <= ? AND id NOT IN (SELECT id FROM damaged) ORDER BY due LIMIT ?`,
			writerPages: `SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count`,
			begin:       `BEGIN IMMEDIATE`,
			commit:      `COMMIT`,
		},
		Reads: []string{
			readJob:         `SELECT ` + selected() + ` FROM jobs WHERE id = ?`,
			readWithPayload: withContent("payloads"),
			readWithResult:  withContent("results"),
			readUnfinished:  `SELECT 1 FROM jobs INDEXED BY jobs_due WHERE due = 0 AND id = ?`,
			readIdempotent:  underKey(),
			readPaused:      `SELECT operation FROM paused ORDER BY operation`,
		},
	}
}

// underKey selects the job under an idempotency key that was enqueued last, if that was
// later than the second argument.
func underKey() string {
	return `SELECT ` + selected() + ` FROM jobs INDEXED BY jobs_idempotency
		WHERE idempotency = ? AND enqueued > ? ORDER BY enqueued DESC, id DESC LIMIT 1`
}

// withContent selects a job with one of its contents, in one statement, so that they
// belong together.
func withContent(table string) string {
	return `SELECT ` + selected() + `, c.id IS NOT NULL, c.sealed FROM jobs LEFT JOIN ` + table + ` AS c ON c.id = jobs.id WHERE jobs.id = ?`
}
