// Package sqlite keeps what has to outlast the process in SQLite files of one
// directory, for a single gateway. Store is the directory: it belongs to one process
// at a time. Store.Cache gives the part that is there, cache.db, which implements
// cache.Store, cache.Journal and envelope.KeyStore.
//
// # Files
//
//	lock      held while the store is open; has the process's id in it
//	cache.db  entries, invalidations and wrapped keys (schema in schema.go), with its -wal and -shm
//	cache.db.damaged-SECONDS  a damaged cache.db that was set aside at the Unix time SECONDS; at most two
//	cache.db.suspect          says that cache.db was found damaged and is to be set aside at the next start
//
// All files have mode 0600. People may read them with the sqlite3 shell while the
// gateway runs; whoever holds a transaction open there holds up Shred.
//
// # What is certain
//
// The cache's file runs with synchronous=NORMAL: entries outlast the process, and a
// power cut may undo the last ones. Invalidations and keys are written with
// synchronous=FULL: SQLite then syncs the write-ahead log at the commit, and with it
// everything that was written before. What is in the log is found again in order:
// nothing that was deleted comes back while something later is kept.
//
// A cache may be lost, but never stops the gateway: a damaged cache.db is set aside
// and a new one begun, keys and invalidations included. They only mean something
// together with the entries that went with them.
//
// # What it is not
//
// It is not for several processes, and not for network file systems, whose locks
// cannot be relied on. It sees neither keys nor answers in the clear.
package sqlite
