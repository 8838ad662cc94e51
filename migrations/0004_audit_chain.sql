-- The audit trail becomes a chain: each entry carries the MAC of the one before it and its own (docs/audit.md). A MAC
-- takes a key, which SQL has not: what there is moves aside, and the open that applied this chains it.

DROP TRIGGER "_audit_no_update";
DROP TRIGGER "_audit_no_delete";

-- Entries that the next open of the owner puts into the chain.
CREATE TABLE "_auditWaiting" (
  "id" INTEGER PRIMARY KEY,
  "at" INTEGER NOT NULL,
  "actor" TEXT NOT NULL,
  "event" TEXT NOT NULL,
  "data" TEXT NOT NULL
) STRICT;

INSERT INTO "_auditWaiting" SELECT "id", "at", "actor", "event", "data" FROM "_audit";

DROP TABLE "_audit";

CREATE TABLE "_audit" (
  "id" INTEGER PRIMARY KEY,
  "at" INTEGER NOT NULL,
  "actor" TEXT NOT NULL,
  "event" TEXT NOT NULL,
  "data" TEXT NOT NULL,
  "causationId" TEXT,
  -- Of the note it was made from, so that none is taken in twice.
  "note" TEXT,
  -- Of the last batch that appended, here or before.
  "sequence" INTEGER NOT NULL,
  "previous" BLOB NOT NULL CHECK (length("previous") = 32),
  "mac" BLOB NOT NULL CHECK (length("mac") = 32)
) STRICT;

CREATE UNIQUE INDEX "_audit.note" ON "_audit" ("note") WHERE "note" IS NOT NULL;

CREATE TRIGGER "_audit_no_update" BEFORE UPDATE ON "_audit" BEGIN
  SELECT RAISE(ABORT, 'audit entries are never changed');
END;

CREATE TRIGGER "_audit_no_delete" BEFORE DELETE ON "_audit" BEGIN
  SELECT RAISE(ABORT, 'audit entries are never removed');
END;

-- REPLACE removes the row in its way without asking the trigger above (https://sqlite.org/lang_conflict.html).
CREATE TRIGGER "_audit_append_only" BEFORE INSERT ON "_audit"
WHEN NEW."id" IS NOT (SELECT coalesce(max("id"), 0) + 1 FROM "_audit")
  OR EXISTS (SELECT 1 FROM "_audit" WHERE "note" = NEW."note")
BEGIN
  SELECT RAISE(ABORT, 'audit entries are appended one by one');
END;

-- A migration is recorded by the transaction that applies it.
CREATE TRIGGER "_migrations_audit" AFTER INSERT ON "_migrations" BEGIN
  INSERT INTO "_auditWaiting" ("at", "actor", "event", "data")
  VALUES (
    NEW."appliedAt",
    'holdfast',
    'migration.applied',
    json_object('file', 'state', 'name', NEW."name", 'origin', NEW."origin")
  );
END;
