// Package sqlite keeps what has to outlast the process in SQLite files of one
// directory, for a single gateway. Store is the directory: it belongs to one process
// at a time. Store.Cache gives cache.db, which implements cache.Store and cache.Journal;
// Store.Backlog gives queue.db, which implements backlog.Store; Store.Keys gives keys.db,
// which implements envelope.KeyStore for both; Store.Log gives log.db, which implements
// requestlog.Store, series.Store and alarm.Store; Store.Ledger gives ledger.db, which
// implements ledger.Store.
//
// # Files
//
//	lock      held while the store is open; has the process's id in it
//	keys.db   the wrapped data keys of all that is sealed here, with its -wal and -shm
//	cache.db  entries and invalidations (schema in schema.go), with its -wal and -shm
//	queue.db  durable jobs and the checksums of their records, with its -wal and -shm
//	log.db   the log of calls, series and alarms, with its -wal and -shm
//	ledger.db  the books of costs and the reservations in progress, with its -wal and -shm
//	queue.db.reserve  space that is given up when the disk is full
//	cache.db.damaged-SECONDS  a damaged cache.db that was set aside at the Unix time SECONDS; at most two
//	cache.db.suspect          says that cache.db was found damaged and is to be set aside at the next start
//	log.db.damaged-SECONDS, log.db.suspect  the same of log.db
//
// All files have mode 0600. People may read them with the sqlite3 shell while the
// gateway runs; whoever holds a transaction open there holds up Shred.
//
// # What is certain
//
// The cache's file runs with synchronous=NORMAL: entries outlast the process, and a
// power cut may undo the last ones. Invalidations are written with synchronous=FULL: SQLite then syncs the write-ahead log at the commit, and with it
// everything that was written before. What is in the log is found again in order:
// nothing that was deleted comes back while something later is kept.
//
// A cache may be lost, but never stops the gateway: a damaged cache.db is set aside
// and a new one begun, invalidations included. They only mean something together with
// the entries that went with them.
//
// The queue's file runs with synchronous=FULL: jobs and their changes outlast a power
// cut as soon as they are answered. It is never set aside: where SQLite cannot open
// it, Open fails and says what to do, and where a part of it is damaged, the jobs there are
// set apart and all others served. So are the keys, of which every write is synced.
//
// The log's file runs with synchronous=NORMAL and is treated like the cache: a power cut
// may undo the last batches, and damage costs the log and not the start. The ledger's runs
// with synchronous=FULL and is never set aside, like the queue's: its amounts have
// checksums, and a sum that would have a changed amount in it is an error.
//
// # What it is not
//
// It is not for several processes, and not for network file systems, whose locks
// cannot be relied on. It sees neither keys nor answers in the clear. The names of
// tenants, users and callers' keys stand in log.db and ledger.db in the clear.
package sqlite
