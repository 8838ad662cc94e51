-- The indexes of the built-in collections, as src/worker/table-sql.ts derives them (a test compares).

CREATE INDEX "orders_state" ON "orders" ("state");
CREATE INDEX "orders_symbol" ON "orders" ("symbol");
CREATE INDEX "orders_positionId" ON "orders" ("positionId");
CREATE UNIQUE INDEX "orders_clientOrderId" ON "orders" ("clientOrderId");
CREATE INDEX "fills_orderId" ON "fills" ("orderId");
CREATE INDEX "fills_symbol" ON "fills" ("symbol");
CREATE INDEX "fills_filledAt" ON "fills" ("filledAt");
CREATE INDEX "trades_symbol" ON "trades" ("symbol");
CREATE INDEX "trades_strategy" ON "trades" ("strategy");
CREATE INDEX "trades_openedAt" ON "trades" ("openedAt");
CREATE INDEX "trades_closedAt" ON "trades" ("closedAt");
CREATE UNIQUE INDEX "users_email" ON "users" ("email");
CREATE INDEX "users_role" ON "users" ("role");
CREATE INDEX "wallets_chain" ON "wallets" ("chain");
CREATE INDEX "wallets_userId" ON "wallets" ("userId");
CREATE INDEX "algorithmMetrics_algorithm" ON "algorithmMetrics" ("algorithm");
CREATE INDEX "algorithmMetrics_symbol" ON "algorithmMetrics" ("symbol");
CREATE INDEX "algorithmMetrics_recordedAt" ON "algorithmMetrics" ("recordedAt");
CREATE INDEX "recoveryMetrics_startedAt" ON "recoveryMetrics" ("startedAt");
CREATE INDEX "recoveryMetrics_outcome" ON "recoveryMetrics" ("outcome");
