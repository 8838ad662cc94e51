-- Artifacts: versions of named contents, made of chunks that they share. A chunk's content is sealed in a file in blobs/;
-- what opens it is here alone, so that who deletes the row has shredded it.

CREATE TABLE "_artifactChunks" (
  "id" INTEGER PRIMARY KEY,
  -- HMAC-SHA-256 of the content, by which it is found again.
  "address" BLOB NOT NULL UNIQUE CHECK (length("address") = 32),
  -- Name of the file: random, never used twice. Chunks that came together share it.
  "file" BLOB NOT NULL CHECK (length("file") = 16),
  -- Where in the file it begins.
  "offset" INTEGER NOT NULL,
  -- Wrapped.
  "key" BLOB NOT NULL,
  "bytes" INTEGER NOT NULL,
  -- 1 when it was found missing or damaged: the next put of this content writes it anew.
  "damaged" INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX "_artifactChunks.file" ON "_artifactChunks" ("file");

-- A content under way or whole. A put makes one, under an id that makes it happen once.
CREATE TABLE "_artifactContents" (
  "id" INTEGER PRIMARY KEY,
  "upload" TEXT NOT NULL UNIQUE,
  "touchedAt" INTEGER NOT NULL,
  -- Of chunks that this put was the first to bring.
  "newBytes" INTEGER NOT NULL
) STRICT;

CREATE TABLE "_artifactParts" (
  "content" INTEGER NOT NULL REFERENCES "_artifactContents"("id") ON DELETE CASCADE,
  "at" INTEGER NOT NULL,
  "chunk" INTEGER NOT NULL REFERENCES "_artifactChunks"("id"),
  PRIMARY KEY ("content", "at")
) STRICT, WITHOUT ROWID;

CREATE INDEX "_artifactParts.chunk" ON "_artifactParts" ("chunk");

-- The last version an artifact has had: numbers don't come back.
CREATE TABLE "_artifacts" (
  "name" TEXT PRIMARY KEY,
  "lastVersion" INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE "_artifactVersions" (
  "name" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  "content" INTEGER NOT NULL UNIQUE REFERENCES "_artifactContents"("id"),
  "createdAt" INTEGER NOT NULL,
  "bytes" INTEGER NOT NULL,
  "metadata" TEXT NOT NULL,
  "metrics" TEXT NOT NULL,
  PRIMARY KEY ("name", "version")
) STRICT;

CREATE TABLE "_artifactTags" (
  "name" TEXT NOT NULL,
  "tag" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name", "tag"),
  FOREIGN KEY ("name", "version") REFERENCES "_artifactVersions"("name", "version") ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX "_artifactTags.version" ON "_artifactTags" ("name", "version");

-- Stays when either of the two is deleted: what something was made from is history.
CREATE TABLE "_artifactLineage" (
  "name" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  "parentName" TEXT NOT NULL,
  "parentVersion" INTEGER NOT NULL,
  PRIMARY KEY ("name", "version", "parentName", "parentVersion")
) STRICT, WITHOUT ROWID;

CREATE INDEX "_artifactLineage.parent" ON "_artifactLineage" ("parentName", "parentVersion");
