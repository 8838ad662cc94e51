-- How long series are kept and as what they live on, as JSON. See docs/series-rules.md.
CREATE TABLE "_seriesRules" (
  "name" TEXT PRIMARY KEY,
  "rule" TEXT NOT NULL
) STRICT;
