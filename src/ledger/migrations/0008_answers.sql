-- What destinations said of each object of a delivery, the latest word only; what was acknowledged is not sent again.
CREATE TABLE verdicts (
    job_id       INTEGER NOT NULL REFERENCES jobs (id),
    sop_instance TEXT NOT NULL,
    attempt      INTEGER NOT NULL,
    answer       TEXT NOT NULL CHECK (answer IN ('stored', 'warned', 'refused', 'missing', 'reported')),
    -- DIMSE status, DICOMweb reason or HTTP status
    status       INTEGER,
    comment      TEXT,
    answered_at  INTEGER NOT NULL,
    PRIMARY KEY (job_id, sop_instance)
) STRICT, WITHOUT ROWID;

-- What a destination's associations told: whether it takes a SOP class in a transfer syntax.
CREATE TABLE capabilities (
    destination     TEXT NOT NULL,
    sop_class       TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    accepted        INTEGER NOT NULL CHECK (accepted IN (0, 1)),
    seen_at         INTEGER NOT NULL,
    PRIMARY KEY (destination, sop_class, transfer_syntax)
) STRICT, WITHOUT ROWID;

-- In which form a destination got a segmentation, and which forms were passed over.
CREATE TABLE choices (
    job_id INTEGER PRIMARY KEY REFERENCES jobs (id),
    choice TEXT NOT NULL CHECK (json_valid(choice))
) STRICT;

-- A delivery that only says what would have been sent ends well without having sent anything: a third value of `delivered`.
-- A CHECK cannot be altered, so the table is made anew (SQLite, "ALTER TABLE", section 7).
CREATE TABLE new_jobs (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind                TEXT NOT NULL CHECK (kind IN ('infer', 'deliver')),
    state               TEXT NOT NULL CHECK (state IN
                            ('available', 'running', 'retryable', 'completed', 'discarded', 'cancelled', 'held')),
    priority            INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    revision_id         INTEGER NOT NULL REFERENCES revisions (id),
    parent_id           INTEGER REFERENCES jobs (id),
    rule                TEXT NOT NULL,
    pipeline            TEXT NOT NULL,
    destinations        TEXT NOT NULL CHECK (json_valid(destinations)),
    destination         TEXT,
    shadow              INTEGER NOT NULL CHECK (shadow IN (0, 1)),
    attempt             INTEGER NOT NULL DEFAULT 0,
    charged             INTEGER NOT NULL DEFAULT 0,
    max_attempts        INTEGER NOT NULL CHECK (max_attempts >= 1),
    rescues             INTEGER NOT NULL DEFAULT 0,
    worker              TEXT,
    lease_until         INTEGER,
    scheduled_at        INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    finished_at         INTEGER,
    analysis_started_at INTEGER,
    delivered           TEXT CHECK (delivered IN ('confirmed', 'sent-unconfirmed', 'reported')),
    last_error          TEXT,
    rules_revision      TEXT,
    explanation         TEXT CHECK (json_valid(explanation)),
    accept              TEXT CHECK (json_valid(accept)),
    inputs_key          TEXT,
    CHECK (charged BETWEEN 0 AND attempt),
    CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'discarded', 'cancelled'))),
    CHECK ((lease_until IS NOT NULL) = (state = 'running')),
    CHECK ((worker IS NOT NULL) = (state = 'running')),
    CHECK ((kind = 'deliver') = (destination IS NOT NULL)),
    CHECK ((kind = 'deliver') = (parent_id IS NOT NULL)),
    CHECK ((delivered IS NOT NULL) = (kind = 'deliver' AND state = 'completed'))
) STRICT;
-- ids that retention removed are not given out again
INSERT INTO sqlite_sequence SELECT 'new_jobs', seq FROM sqlite_sequence WHERE name = 'jobs';
INSERT INTO new_jobs (
    id, kind, state, priority, revision_id, parent_id, rule, pipeline, destinations, destination, shadow, attempt, charged,
    max_attempts, rescues, worker, lease_until, scheduled_at, created_at, finished_at, analysis_started_at, delivered, last_error,
    rules_revision, explanation, accept, inputs_key)
SELECT
    id, kind, state, priority, revision_id, parent_id, rule, pipeline, destinations, destination, shadow, attempt, charged,
    max_attempts, rescues, worker, lease_until, scheduled_at, created_at, finished_at, analysis_started_at, delivered, last_error,
    rules_revision, explanation, accept, inputs_key
FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;

CREATE INDEX jobs_claimable ON jobs (kind, priority, scheduled_at, id) WHERE state IN ('available', 'retryable');
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_by_parent ON jobs (parent_id);
CREATE INDEX jobs_by_revision ON jobs (revision_id);
