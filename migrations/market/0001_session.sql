-- The file of bulk data has tables of its own making only; these two are the store's.
CREATE TABLE "_session" (
  "id" INTEGER PRIMARY KEY CHECK ("id" = 1),
  "sequence" INTEGER NOT NULL DEFAULT 0,
  "failures" TEXT NOT NULL DEFAULT '[]',
  "unitsDone" INTEGER
) STRICT;

INSERT INTO "_session" ("id") VALUES (1);

CREATE TABLE "_collections" (
  "name" TEXT PRIMARY KEY,
  "spec" TEXT NOT NULL
) STRICT, WITHOUT ROWID;
