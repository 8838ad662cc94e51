-- The session cache: its bars are in sealed files below cache/, and here is what opens and vouches for each. Deleting a row
-- shreds its file.
CREATE TABLE "_sessionCache" (
  "symbol" TEXT NOT NULL,
  "interval" TEXT NOT NULL,
  -- Its name, which tells nothing: 32 random hex digits.
  "file" TEXT NOT NULL UNIQUE,
  -- Wrapped.
  "key" BLOB NOT NULL,
  -- What the file had on disk when this row was written; it may have more by now, never less.
  "generation" INTEGER NOT NULL,
  "records" INTEGER NOT NULL,
  "checksum" BLOB NOT NULL CHECK (length("checksum") = 32),
  "bytes" INTEGER NOT NULL,
  -- In all records; a bar that came again counts again until the file is compacted.
  "rows" INTEGER NOT NULL,
  "lastTs" REAL,
  "updatedAt" INTEGER NOT NULL,
  PRIMARY KEY ("symbol", "interval")
) STRICT, WITHOUT ROWID;
