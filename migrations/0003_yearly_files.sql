-- Which rows of the yearly trade files count: those of moves up to this one. It is raised in the transaction that takes
-- the same rows out of the tables here, so that at any moment each is in exactly one place.
CREATE TABLE "_yearlyFiles" (
  "year" INTEGER PRIMARY KEY,
  "move" INTEGER NOT NULL
) STRICT;
