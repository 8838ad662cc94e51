-- The indexes of the built-in collections, as src/worker/table-sql.ts derives them (a test compares).

CREATE INDEX "orders.state" ON "orders" ("state");
CREATE INDEX "orders.symbol" ON "orders" ("symbol");
CREATE INDEX "orders.positionId" ON "orders" ("positionId");
CREATE UNIQUE INDEX "orders.clientOrderId" ON "orders" ("clientOrderId");
CREATE INDEX "fills.orderId" ON "fills" ("orderId");
CREATE INDEX "fills.symbol" ON "fills" ("symbol");
CREATE INDEX "fills.filledAt" ON "fills" ("filledAt");
CREATE INDEX "trades.symbol" ON "trades" ("symbol");
CREATE INDEX "trades.strategy" ON "trades" ("strategy");
CREATE INDEX "trades.openedAt" ON "trades" ("openedAt");
CREATE INDEX "trades.closedAt" ON "trades" ("closedAt");
CREATE UNIQUE INDEX "users.email" ON "users" ("email");
CREATE INDEX "users.role" ON "users" ("role");
CREATE INDEX "wallets.chain" ON "wallets" ("chain");
CREATE INDEX "wallets.userId" ON "wallets" ("userId");
CREATE INDEX "algorithmMetrics.algorithm" ON "algorithmMetrics" ("algorithm");
CREATE INDEX "algorithmMetrics.symbol" ON "algorithmMetrics" ("symbol");
CREATE INDEX "algorithmMetrics.recordedAt" ON "algorithmMetrics" ("recordedAt");
CREATE INDEX "recoveryMetrics.startedAt" ON "recoveryMetrics" ("startedAt");
CREATE INDEX "recoveryMetrics.outcome" ON "recoveryMetrics" ("outcome");
