-- Revisions, made anew: `closed_by` has two more words. What is decided about a closed revision, and when again:
-- `due_at`: rules wait, and are decided again then or when another series of the study closes, which moves it to now.
-- `later_explanation`: of the latest decision after the first.
CREATE TABLE revisions_anew (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    series_id       INTEGER NOT NULL REFERENCES series (id),
    number          INTEGER NOT NULL CHECK (number >= 1),
    opened_at       INTEGER NOT NULL,
    last_arrival_at INTEGER NOT NULL,
    released_at     INTEGER,
    instances       INTEGER NOT NULL,
    arrivals        INTEGER NOT NULL DEFAULT 0,
    closed_at       INTEGER,
    closed_by       TEXT CHECK (closed_by IN ('quiet', 'quiet-after-release', 'operator', 'expected-count',
                                              'stable-series', 'api')),
    geometry        TEXT CHECK (json_valid(geometry)),
    summary         TEXT CHECK (json_valid(summary)),
    explanation     TEXT CHECK (json_valid(explanation)),
    rules_revision  TEXT,
    expected        INTEGER,
    counted_at      INTEGER,
    unmatched       INTEGER NOT NULL DEFAULT 0 CHECK (unmatched IN (0, 1)),
    due_at          INTEGER,
    later_explanation TEXT CHECK (json_valid(later_explanation)),
    UNIQUE (series_id, number),
    CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
    CHECK (closed_at IS NULL OR (geometry IS NOT NULL AND summary IS NOT NULL AND explanation IS NOT NULL))
) STRICT;

INSERT INTO revisions_anew
SELECT id, series_id, number, opened_at, last_arrival_at, released_at, instances, arrivals, closed_at, closed_by, geometry,
       summary, explanation, rules_revision, expected, counted_at, 0, NULL, NULL
FROM revisions;
DROP TABLE revisions;
ALTER TABLE revisions_anew RENAME TO revisions;

CREATE UNIQUE INDEX revisions_one_open ON revisions (series_id) WHERE closed_at IS NULL;
CREATE INDEX revisions_due ON revisions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX revisions_unmatched ON revisions (closed_at) WHERE unmatched = 1;
CREATE INDEX revisions_by_patient ON revisions (json_extract(summary, '$.attributes."0010,0020".distinct[0][0]'))
    WHERE summary IS NOT NULL;

-- A rule makes one job of a revision, however often it is decided.
CREATE TABLE fired_rules (
    revision_id INTEGER NOT NULL REFERENCES revisions (id),
    rule        TEXT NOT NULL,
    PRIMARY KEY (revision_id, rule)
) STRICT, WITHOUT ROWID;

-- Revisions that a rule keeps for an operator.
CREATE TABLE holds (
    revision_id INTEGER PRIMARY KEY REFERENCES revisions (id),
    rule        TEXT NOT NULL,
    reason      TEXT NOT NULL,
    since       INTEGER NOT NULL,
    ended_at    INTEGER,
    outcome     TEXT CHECK (outcome IN ('released', 'dropped', 'superseded')),
    who         TEXT,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX holds_open ON holds (since) WHERE ended_at IS NULL;

-- The rules of whole studies: what was decided last, and when it is decided again.
CREATE TABLE study_decisions (
    study       TEXT PRIMARY KEY,
    due_at      INTEGER,
    decided_at  INTEGER,
    explanation TEXT CHECK (json_valid(explanation))
) STRICT;

CREATE INDEX study_decisions_due ON study_decisions (due_at) WHERE due_at IS NOT NULL;

-- Of a job that was not made when its revision closed: the rules and the explanation that made it. `accept`: geometry
-- verdicts taken instead of the pipeline's. `inputs_key`: all its inputs, so that the same ones make it once.
ALTER TABLE jobs ADD COLUMN rules_revision TEXT;
ALTER TABLE jobs ADD COLUMN explanation TEXT CHECK (json_valid(explanation));
ALTER TABLE jobs ADD COLUMN accept TEXT CHECK (json_valid(accept));
ALTER TABLE jobs ADD COLUMN inputs_key TEXT;

-- Named inputs of a job of a study rule, in the order of the rule; the first is `jobs.revision_id`.
CREATE TABLE job_inputs (
    job_id      INTEGER NOT NULL REFERENCES jobs (id),
    position    INTEGER NOT NULL,
    name        TEXT NOT NULL,
    revision_id INTEGER NOT NULL REFERENCES revisions (id),
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_inputs_by_revision ON job_inputs (revision_id);
