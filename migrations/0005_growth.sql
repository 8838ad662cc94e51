-- How large the store was, one sample a day: what growth is told from. Maintenance writes it and drops the oldest.
CREATE TABLE "_growth" (
  "day" INTEGER PRIMARY KEY, -- since 1970-01-01 UTC
  "at" INTEGER NOT NULL, -- Unix milliseconds
  "sizes" TEXT NOT NULL -- JSON: bytes of the files, and of the collections in them
) STRICT;
