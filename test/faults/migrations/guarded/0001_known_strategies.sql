-- A constraint that the store knows nothing of and that SQLite checks only at COMMIT: trades of an unknown strategy.
CREATE TABLE "known_strategies" ("name" TEXT PRIMARY KEY) STRICT;
INSERT INTO "known_strategies" VALUES ('trend'), ('carry');

CREATE TABLE "strategy_uses" (
  "trade" TEXT PRIMARY KEY,
  "strategy" TEXT REFERENCES "known_strategies"("name") DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TRIGGER "trades_insert_strategy" AFTER INSERT ON "trades" BEGIN
  INSERT INTO "strategy_uses" VALUES (new."_key", new."_doc" ->> '$.strategy');
END;

CREATE TRIGGER "trades_update_strategy" AFTER UPDATE ON "trades" BEGIN
  UPDATE "strategy_uses" SET "strategy" = new."_doc" ->> '$.strategy' WHERE "trade" = new."_key";
END;
