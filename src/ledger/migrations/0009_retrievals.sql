-- What pipelines want fetched from a PACS before their series count as finished: the rest of a series, or (`series` is
-- NULL) earlier studies of the patient. `due_at` is NULL when it is over, well or not.
CREATE TABLE retrievals (
    id          INTEGER PRIMARY KEY,
    pipeline    TEXT NOT NULL,
    study       TEXT NOT NULL,
    series      TEXT,
    revision_id INTEGER NOT NULL DEFAULT 0,
    wanted_at   INTEGER NOT NULL,
    due_at      INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    fetched     INTEGER,
    last_error  TEXT,
    CHECK ((series IS NULL) = (revision_id = 0)),
    UNIQUE (pipeline, study, revision_id)
) STRICT;

CREATE INDEX retrievals_due ON retrievals (due_at) WHERE due_at IS NOT NULL;

-- Series that were fetched as earlier studies: inputs of rules, never a reason for one.
CREATE TABLE prior_series (
    study  TEXT NOT NULL,
    series TEXT NOT NULL,
    PRIMARY KEY (study, series)
) STRICT, WITHOUT ROWID;
