package sqlite

// cacheApplication marks a database as a cache of this program ("FBch"), so that
// somebody else's file of the same name is left alone.
const cacheApplication = 0x46426368

// cacheVersion is the version of cacheSchema. A change of the schema raises it.
const cacheVersion = 2

// The statements say to those who open the file by hand what is in it.
//
// entries is an ordinary table with an index on the key beside it: with the key as
// the primary key of a table WITHOUT ROWID the records would lie in the order of
// random keys, and a put would cost twice as much. It has no index on keep either: a
// put would cost 35 us instead of 21, the replacement of a record 68 instead of 26
// and a deletion 30 instead of 20, while walking the table for what has expired takes
// about 1 us a record, and is needed for what is invalidated anyway.
const cacheSchema = `
CREATE TABLE entries (
  id        INTEGER PRIMARY KEY, -- ascending in the order of writing
  key       BLOB    NOT NULL,    -- SHA-256
  expires   INTEGER NOT NULL,    -- nanoseconds since 1970, as all times here
  since     INTEGER NOT NULL,    -- the last invalidation that was known
  keep      INTEGER NOT NULL,    -- until when the entry may be read
  tenant    INTEGER NOT NULL,    -- keyed hashes
  operation INTEGER NOT NULL,
  user      INTEGER NOT NULL,
  model     INTEGER NOT NULL,
  namespace INTEGER NOT NULL,
  sealed    BLOB    NOT NULL     -- compressed and encrypted; last, so that the rest is read without it
);
CREATE UNIQUE INDEX entries_key ON entries (key);
CREATE TABLE invalidations (
  number    INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
  at        INTEGER NOT NULL,
  mask      INTEGER NOT NULL,    -- which of the following count
  tenant    INTEGER NOT NULL,
  operation INTEGER NOT NULL,
  user      INTEGER NOT NULL,
  model     INTEGER NOT NULL,
  namespace INTEGER NOT NULL,
  key       BLOB    NOT NULL
);
`
