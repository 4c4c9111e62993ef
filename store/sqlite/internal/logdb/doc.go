// Package logdb has the two files in which a store keeps what is told of calls: log.db
// and ledger.db.
//
// Log is log.db: the log of calls (requestlog.Store), measurements over time
// (series.Store) and the states and history of alarms (alarm.Store). It runs with
// synchronous=NORMAL: what is answered outlasts the process, and a power cut may undo
// the last of it, always whole batches. Like a cache it may be lost: one that is damaged is
// set aside at the next start.
//
// Ledger is ledger.db: the books and the reservations in progress (ledger.Store). It runs
// with synchronous=FULL, so that a batch outlasts a power cut as soon as it is answered.
// Its amounts have a checksum that adds up as they do, so that no sum is given that has a
// changed amount in it. It is never set aside: where SQLite cannot open it, OpenLedger
// says what to do.
//
// Each call of a writing method is one transaction. Nothing waits for several to come
// together: their callers are one goroutine each that writes a batch several times a second.
//
// Both files have names of tenants, keys and users in the clear, and nothing of prompts or
// answers.
package logdb
