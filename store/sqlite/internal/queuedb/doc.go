// Package queuedb keeps durable jobs in one SQLite file, for a single process. It is the
// part of package sqlite that implements backlog.Store, and has no other use.
//
// # How it writes
//
// One goroutine writes. It takes the writes that wait, up to 256, makes them in one
// transaction, and answers them when its commit is synced. A write whose condition
// fails changes nothing and does not undo the others. A transaction of nothing but
// relaxed changes is not synced. Reads go on beside it, and wait for it only where
// they would not see a change that was answered, or whose caller went away.
//
// # What is certain
//
// A job that was taken in and a change that was answered outlast a power cut, unless
// the change was relaxed. After a write or a sync that failed nothing is written until
// Recover, which closes the file without syncing it again and opens it anew: after a
// failed sync the system may take for written what is not. SQLite's own copying of its
// log says nothing of a sync that failed, so the goroutine that writes does it.
//
// On a full disk new jobs are refused, and a file that only takes up space, queue.db.reserve,
// is given up part by part so that jobs which are running can end. It is taken again when
// there is room.
//
// # Damage
//
// Every row has checksums over all that matters for running the job. A row that is
// not what was written, or whose page SQLite cannot read, is set apart: it stays in the
// file, is listed and counted, and all others are served. The indexes have no
// checksums: at the start SQLite looks up each job in each of them, and one that does not
// have what the table has is written anew and told of. That takes some 3 us a job. An
// index that cannot even be written anew is done without: what it serves walks the table.
// Damage that comes while the file is open is found at the next start.
package queuedb
