-- The tables of the built-in collections, as src/worker/table-sql.ts derives them from their schemas (a test compares),
-- and the store's own tables.

CREATE TABLE "positions" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL
) STRICT;

CREATE TABLE "orders" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "state" ANY GENERATED ALWAYS AS ("_doc" ->> '$.state') VIRTUAL,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "positionId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.positionId') VIRTUAL,
  "clientOrderId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.clientOrderId') VIRTUAL
) STRICT;

CREATE TABLE "fills" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "orderId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.orderId') VIRTUAL REFERENCES "orders"("_key") DEFERRABLE INITIALLY DEFERRED,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "filledAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.filledAt') VIRTUAL
) STRICT;

CREATE TABLE "trades" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "strategy" ANY GENERATED ALWAYS AS ("_doc" ->> '$.strategy') VIRTUAL,
  "openedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.openedAt') VIRTUAL,
  "closedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.closedAt') VIRTUAL
) STRICT;

CREATE TABLE "kv" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL
) STRICT;

CREATE TABLE "preferences" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL
) STRICT;

CREATE TABLE "flags" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL
) STRICT;

CREATE TABLE "users" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "email" ANY GENERATED ALWAYS AS ("_doc" ->> '$.email') VIRTUAL,
  "role" ANY GENERATED ALWAYS AS ("_doc" ->> '$.role') VIRTUAL
) STRICT;

CREATE TABLE "wallets" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "chain" ANY GENERATED ALWAYS AS ("_doc" ->> '$.chain') VIRTUAL,
  "userId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.userId') VIRTUAL REFERENCES "users"("_key") DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TABLE "algorithmMetrics" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "algorithm" ANY GENERATED ALWAYS AS ("_doc" ->> '$.algorithm') VIRTUAL,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "recordedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.recordedAt') VIRTUAL
) STRICT;

CREATE TABLE "recoveryMetrics" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "startedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.startedAt') VIRTUAL,
  "outcome" ANY GENERATED ALWAYS AS ("_doc" ->> '$.outcome') VIRTUAL
) STRICT;

-- One row: how often the store was opened for writing, the last batch that was recorded here, and what failed in it.
CREATE TABLE "_session" (
  "id" INTEGER PRIMARY KEY CHECK ("id" = 1),
  "session" INTEGER NOT NULL DEFAULT 0,
  "sequence" INTEGER NOT NULL DEFAULT 0,
  "failures" TEXT NOT NULL DEFAULT '[]',
  "unitsDone" INTEGER
) STRICT;

INSERT INTO "_session" ("id") VALUES (1);

-- Definitions of the user's collections.
CREATE TABLE "_collections" (
  "name" TEXT PRIMARY KEY,
  "spec" TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What was done that somebody may ask about later; entries are never changed.
CREATE TABLE "_audit" (
  "id" INTEGER PRIMARY KEY,
  "at" INTEGER NOT NULL,
  "actor" TEXT NOT NULL,
  "event" TEXT NOT NULL,
  "data" TEXT NOT NULL
) STRICT;

CREATE TRIGGER "_audit_no_update" BEFORE UPDATE ON "_audit" BEGIN
  SELECT RAISE(ABORT, 'audit entries are never changed');
END;

CREATE TRIGGER "_audit_no_delete" BEFORE DELETE ON "_audit" BEGIN
  SELECT RAISE(ABORT, 'audit entries are never removed');
END;
