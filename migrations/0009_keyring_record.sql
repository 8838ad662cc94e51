-- The generation of the keyring that this store was last opened or changed with: an older one put back in its place is found
-- out. Written after the keyring, so a crash between the two is no alarm.
CREATE TABLE "_keyring" (
  "id" INTEGER PRIMARY KEY CHECK ("id" = 1),
  "generation" INTEGER NOT NULL,
  "recordedAt" INTEGER NOT NULL
) STRICT;
