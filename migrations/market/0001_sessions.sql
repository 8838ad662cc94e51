-- The file of bulk data has tables of its own making only; these two are the store's.
CREATE TABLE "_sessions" (
  "session" INTEGER PRIMARY KEY,
  "sequence" INTEGER NOT NULL DEFAULT 0,
  "failures" TEXT NOT NULL DEFAULT '[]',
  "unitsDone" INTEGER
) STRICT;

CREATE TABLE "_collections" (
  "name" TEXT PRIMARY KEY,
  "spec" TEXT NOT NULL
) STRICT, WITHOUT ROWID;
