-- The tables of the built-in collections, as src/worker/table-sql.ts derives them from their schemas (a test compares),
-- and the store's own tables.

CREATE TABLE "positions" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "id" ANY GENERATED ALWAYS AS ("_doc" ->> '$.id') VIRTUAL,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "side" ANY GENERATED ALWAYS AS ("_doc" ->> '$.side') VIRTUAL,
  "quantity" ANY GENERATED ALWAYS AS ("_doc" ->> '$.quantity') VIRTUAL,
  "entryPrice" ANY GENERATED ALWAYS AS ("_doc" ->> '$.entryPrice') VIRTUAL,
  "highestPrice" ANY GENERATED ALWAYS AS ("_doc" ->> '$.highestPrice') VIRTUAL,
  "lowestPrice" ANY GENERATED ALWAYS AS ("_doc" ->> '$.lowestPrice') VIRTUAL,
  "currentStop" ANY GENERATED ALWAYS AS ("_doc" ->> '$.currentStop') VIRTUAL,
  "stopOrderId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.stopOrderId') VIRTUAL,
  "openedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.openedAt') VIRTUAL,
  "updatedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.updatedAt') VIRTUAL,
  "strategy" ANY GENERATED ALWAYS AS ("_doc" ->> '$.strategy') VIRTUAL,
  "metadata" ANY GENERATED ALWAYS AS ("_doc" ->> '$.metadata') VIRTUAL
) STRICT;

CREATE TABLE "orders" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "id" ANY GENERATED ALWAYS AS ("_doc" ->> '$.id') VIRTUAL,
  "clientOrderId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.clientOrderId') VIRTUAL,
  "exchangeOrderId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.exchangeOrderId') VIRTUAL,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "side" ANY GENERATED ALWAYS AS ("_doc" ->> '$.side') VIRTUAL,
  "type" ANY GENERATED ALWAYS AS ("_doc" ->> '$.type') VIRTUAL,
  "purpose" ANY GENERATED ALWAYS AS ("_doc" ->> '$.purpose') VIRTUAL,
  "state" ANY GENERATED ALWAYS AS ("_doc" ->> '$.state') VIRTUAL,
  "quantity" ANY GENERATED ALWAYS AS ("_doc" ->> '$.quantity') VIRTUAL,
  "price" ANY GENERATED ALWAYS AS ("_doc" ->> '$.price') VIRTUAL,
  "stopPrice" ANY GENERATED ALWAYS AS ("_doc" ->> '$.stopPrice') VIRTUAL,
  "filledQuantity" ANY GENERATED ALWAYS AS ("_doc" ->> '$.filledQuantity') VIRTUAL,
  "averagePrice" ANY GENERATED ALWAYS AS ("_doc" ->> '$.averagePrice') VIRTUAL,
  "reduceOnly" ANY GENERATED ALWAYS AS ("_doc" ->> '$.reduceOnly') VIRTUAL,
  "positionId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.positionId') VIRTUAL,
  "createdAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.createdAt') VIRTUAL,
  "updatedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.updatedAt') VIRTUAL,
  "metadata" ANY GENERATED ALWAYS AS ("_doc" ->> '$.metadata') VIRTUAL
) STRICT;

CREATE TABLE "fills" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "id" ANY GENERATED ALWAYS AS ("_doc" ->> '$.id') VIRTUAL,
  "orderId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.orderId') VIRTUAL REFERENCES "orders"("_key") DEFERRABLE INITIALLY DEFERRED,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "side" ANY GENERATED ALWAYS AS ("_doc" ->> '$.side') VIRTUAL,
  "price" ANY GENERATED ALWAYS AS ("_doc" ->> '$.price') VIRTUAL,
  "quantity" ANY GENERATED ALWAYS AS ("_doc" ->> '$.quantity') VIRTUAL,
  "fee" ANY GENERATED ALWAYS AS ("_doc" ->> '$.fee') VIRTUAL,
  "feeCurrency" ANY GENERATED ALWAYS AS ("_doc" ->> '$.feeCurrency') VIRTUAL,
  "liquidity" ANY GENERATED ALWAYS AS ("_doc" ->> '$.liquidity') VIRTUAL,
  "filledAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.filledAt') VIRTUAL,
  "metadata" ANY GENERATED ALWAYS AS ("_doc" ->> '$.metadata') VIRTUAL
) STRICT;

CREATE TABLE "trades" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "id" ANY GENERATED ALWAYS AS ("_doc" ->> '$.id') VIRTUAL,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "side" ANY GENERATED ALWAYS AS ("_doc" ->> '$.side') VIRTUAL,
  "quantity" ANY GENERATED ALWAYS AS ("_doc" ->> '$.quantity') VIRTUAL,
  "entryPrice" ANY GENERATED ALWAYS AS ("_doc" ->> '$.entryPrice') VIRTUAL,
  "exitPrice" ANY GENERATED ALWAYS AS ("_doc" ->> '$.exitPrice') VIRTUAL,
  "pnl" ANY GENERATED ALWAYS AS ("_doc" ->> '$.pnl') VIRTUAL,
  "pnlPercent" ANY GENERATED ALWAYS AS ("_doc" ->> '$.pnlPercent') VIRTUAL,
  "fees" ANY GENERATED ALWAYS AS ("_doc" ->> '$.fees') VIRTUAL,
  "openedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.openedAt') VIRTUAL,
  "closedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.closedAt') VIRTUAL,
  "exitReason" ANY GENERATED ALWAYS AS ("_doc" ->> '$.exitReason') VIRTUAL,
  "positionId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.positionId') VIRTUAL,
  "strategy" ANY GENERATED ALWAYS AS ("_doc" ->> '$.strategy') VIRTUAL,
  "metadata" ANY GENERATED ALWAYS AS ("_doc" ->> '$.metadata') VIRTUAL
) STRICT;

CREATE TABLE "kv" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "key" ANY GENERATED ALWAYS AS ("_doc" ->> '$.key') VIRTUAL,
  "value" ANY GENERATED ALWAYS AS ("_doc" ->> '$.value') VIRTUAL
) STRICT;

CREATE TABLE "preferences" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "key" ANY GENERATED ALWAYS AS ("_doc" ->> '$.key') VIRTUAL,
  "value" ANY GENERATED ALWAYS AS ("_doc" ->> '$.value') VIRTUAL
) STRICT;

CREATE TABLE "flags" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "key" ANY GENERATED ALWAYS AS ("_doc" ->> '$.key') VIRTUAL,
  "value" ANY GENERATED ALWAYS AS ("_doc" ->> '$.value') VIRTUAL,
  "description" ANY GENERATED ALWAYS AS ("_doc" ->> '$.description') VIRTUAL
) STRICT;

CREATE TABLE "users" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "id" ANY GENERATED ALWAYS AS ("_doc" ->> '$.id') VIRTUAL,
  "name" ANY GENERATED ALWAYS AS ("_doc" ->> '$.name') VIRTUAL,
  "email" ANY GENERATED ALWAYS AS ("_doc" ->> '$.email') VIRTUAL,
  "role" ANY GENERATED ALWAYS AS ("_doc" ->> '$.role') VIRTUAL,
  "createdAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.createdAt') VIRTUAL,
  "metadata" ANY GENERATED ALWAYS AS ("_doc" ->> '$.metadata') VIRTUAL
) STRICT;

CREATE TABLE "wallets" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "address" ANY GENERATED ALWAYS AS ("_doc" ->> '$.address') VIRTUAL,
  "label" ANY GENERATED ALWAYS AS ("_doc" ->> '$.label') VIRTUAL,
  "chain" ANY GENERATED ALWAYS AS ("_doc" ->> '$.chain') VIRTUAL,
  "publicKey" ANY GENERATED ALWAYS AS ("_doc" ->> '$.publicKey') VIRTUAL,
  "userId" ANY GENERATED ALWAYS AS ("_doc" ->> '$.userId') VIRTUAL REFERENCES "users"("_key") DEFERRABLE INITIALLY DEFERRED,
  "createdAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.createdAt') VIRTUAL,
  "metadata" ANY GENERATED ALWAYS AS ("_doc" ->> '$.metadata') VIRTUAL
) STRICT;

CREATE TABLE "algorithmMetrics" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "id" ANY GENERATED ALWAYS AS ("_doc" ->> '$.id') VIRTUAL,
  "algorithm" ANY GENERATED ALWAYS AS ("_doc" ->> '$.algorithm') VIRTUAL,
  "symbol" ANY GENERATED ALWAYS AS ("_doc" ->> '$.symbol') VIRTUAL,
  "recordedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.recordedAt') VIRTUAL,
  "metrics" ANY GENERATED ALWAYS AS ("_doc" ->> '$.metrics') VIRTUAL
) STRICT;

CREATE TABLE "recoveryMetrics" (
  "_id" INTEGER PRIMARY KEY,
  "_key" TEXT NOT NULL UNIQUE,
  "_doc" TEXT NOT NULL,
  "_version" INTEGER NOT NULL,
  "_createdAt" INTEGER NOT NULL,
  "_updatedAt" INTEGER NOT NULL,
  "_sequence" INTEGER NOT NULL,
  "id" ANY GENERATED ALWAYS AS ("_doc" ->> '$.id') VIRTUAL,
  "startedAt" ANY GENERATED ALWAYS AS ("_doc" ->> '$.startedAt') VIRTUAL,
  "durationMs" ANY GENERATED ALWAYS AS ("_doc" ->> '$.durationMs') VIRTUAL,
  "outcome" ANY GENERATED ALWAYS AS ("_doc" ->> '$.outcome') VIRTUAL,
  "counts" ANY GENERATED ALWAYS AS ("_doc" ->> '$.counts') VIRTUAL,
  "metadata" ANY GENERATED ALWAYS AS ("_doc" ->> '$.metadata') VIRTUAL
) STRICT;

-- One row for the session that owns the store: the last batch it recorded, and what failed in it.
CREATE TABLE "_sessions" (
  "session" INTEGER PRIMARY KEY,
  "sequence" INTEGER NOT NULL DEFAULT 0,
  "failures" TEXT NOT NULL DEFAULT '[]',
  "unitsDone" INTEGER
) STRICT;

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
