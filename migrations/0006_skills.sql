-- Skills: what a strategy has learned, as code or text, in versions that never change.
CREATE TABLE "_skills" (
  "id" INTEGER PRIMARY KEY,
  "name" TEXT NOT NULL UNIQUE,
  -- The current one; of a deleted skill the last: a number is never given twice.
  "version" INTEGER NOT NULL,
  "createdAt" INTEGER NOT NULL,
  "updatedAt" INTEGER NOT NULL,
  "deletedAt" INTEGER,
  -- Which call deleted it, for one that is sent again.
  "deletedBy" BLOB,
  -- Of the newest performance record that has one.
  "sharpe" REAL,
  "sharpeAt" INTEGER
) STRICT;

-- Content last: what stands before it is read without it.
CREATE TABLE "_skillVersions" (
  "skill" INTEGER NOT NULL REFERENCES "_skills" ("id"),
  "version" INTEGER NOT NULL,
  "kind" TEXT NOT NULL,
  "savedAt" INTEGER NOT NULL,
  -- SHA-256 of everything a version is made of: the same again makes no new one.
  "hash" BLOB NOT NULL,
  -- Which call saved it, for one that is sent again.
  "operation" BLOB NOT NULL,
  "tags" TEXT NOT NULL,
  "note" TEXT,
  "bytes" INTEGER NOT NULL,
  "description" TEXT NOT NULL,
  "metadata" TEXT NOT NULL,
  -- The words of identifiers such as meanReversion, which the tokenizer takes for one.
  "identifiers" TEXT NOT NULL,
  "content" TEXT NOT NULL,
  PRIMARY KEY ("skill", "version")
) STRICT;

CREATE INDEX "_skillVersions.operation" ON "_skillVersions" ("operation");

CREATE TABLE "_skillDependencies" (
  "skill" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  "position" INTEGER NOT NULL,
  "dependency" INTEGER NOT NULL REFERENCES "_skills" ("id"),
  -- Null follows the current version.
  "pinned" INTEGER,
  PRIMARY KEY ("skill", "version", "position"),
  FOREIGN KEY ("skill", "version") REFERENCES "_skillVersions" ("skill", "version"),
  FOREIGN KEY ("dependency", "pinned") REFERENCES "_skillVersions" ("skill", "version")
) STRICT, WITHOUT ROWID;

CREATE INDEX "_skillDependencies.dependency" ON "_skillDependencies" ("dependency", "pinned");

-- Of the current version.
CREATE TABLE "_skillTags" (
  "tag" TEXT NOT NULL COLLATE NOCASE,
  "skill" INTEGER NOT NULL REFERENCES "_skills" ("id"),
  PRIMARY KEY ("tag", "skill")
) STRICT, WITHOUT ROWID;

CREATE INDEX "_skillTags.skill" ON "_skillTags" ("skill");

CREATE TABLE "_skillPerformance" (
  "id" INTEGER PRIMARY KEY,
  "skill" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  "at" INTEGER NOT NULL,
  "metrics" TEXT NOT NULL,
  "operation" BLOB NOT NULL UNIQUE,
  FOREIGN KEY ("skill", "version") REFERENCES "_skillVersions" ("skill", "version")
) STRICT;

CREATE INDEX "_skillPerformance.at" ON "_skillPerformance" ("skill", "at");
CREATE INDEX "_skillPerformance.version" ON "_skillPerformance" ("skill", "version");

-- What is searched, and what the index is built anew from.
CREATE VIEW "_currentSkills" AS
SELECT s."id", s."name", v."tags", v."description", v."identifiers", v."content"
FROM "_skills" s JOIN "_skillVersions" v ON v."skill" = s."id" AND v."version" = s."version"
WHERE s."deletedAt" IS NULL;

CREATE VIRTUAL TABLE "_skillSearch" USING fts5 (
  "name", "tags", "description", "identifiers", "content",
  content = '_currentSkills', content_rowid = 'id',
  tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);

-- The words of what was replaced or deleted leave the index at once (https://sqlite.org/fts5.html#the_secure_delete_configuration_option).
INSERT INTO "_skillSearch" ("_skillSearch", "rank") VALUES ('secure-delete', 1);
INSERT INTO "_skillSearch" ("_skillSearch", "rank") VALUES ('rank', 'bm25(10.0, 6.0, 4.0, 2.0, 1.0)');
