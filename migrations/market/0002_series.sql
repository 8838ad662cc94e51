-- Series: points of a symbol in time. See docs/series.md and docs/decisions/0017-series-storage.md.
CREATE TABLE "_series" (
  "id" INTEGER PRIMARY KEY,
  "kind" TEXT NOT NULL,
  "symbol" TEXT NOT NULL,
  "interval" TEXT NOT NULL,
  "identity" TEXT NOT NULL,
  "columns" TEXT NOT NULL,
  UNIQUE ("kind", "symbol", "interval")
) STRICT;

-- Recent points, and late ones and corrections until they are merged into blocks: these win over a block. SQLite's REAL
-- has no NaN and no -0, so values are little-endian doubles in a BLOB.
CREATE TABLE "_points" (
  "series" INTEGER NOT NULL,
  "ts" REAL NOT NULL,
  "tie" ANY NOT NULL,
  "values" BLOB NOT NULL,
  PRIMARY KEY ("series", "ts", "tie")
) STRICT, WITHOUT ROWID;

-- Encoded columns of many points. Blocks of a series don't overlap, and no time is in two of them.
CREATE TABLE "_blocks" (
  "id" INTEGER PRIMARY KEY,
  "series" INTEGER NOT NULL,
  "fromTs" REAL NOT NULL,
  "toTs" REAL NOT NULL,
  "count" INTEGER NOT NULL,
  "maxStep" REAL NOT NULL,
  "stats" BLOB NOT NULL,
  "data" BLOB NOT NULL
) STRICT;

-- Answers for counts and gaps without touching a block.
CREATE INDEX "_blocks_series" ON "_blocks" ("series", "toTs", "fromTs", "count", "maxStep");
