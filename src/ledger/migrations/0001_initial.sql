CREATE TABLE series (
    id     INTEGER PRIMARY KEY,
    study  TEXT NOT NULL,
    series TEXT NOT NULL,
    UNIQUE (study, series)
) STRICT;

-- A state of a series. `instances` counts distinct SOP instances (earlier revisions included), `arrivals` every
-- arrival that changed this revision: closing is guarded by it.
CREATE TABLE revisions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    series_id       INTEGER NOT NULL REFERENCES series (id),
    number          INTEGER NOT NULL CHECK (number >= 1),
    opened_at       INTEGER NOT NULL,
    last_arrival_at INTEGER NOT NULL,
    released_at     INTEGER,
    instances       INTEGER NOT NULL,
    arrivals        INTEGER NOT NULL DEFAULT 0,
    closed_at       INTEGER,
    closed_by       TEXT CHECK (closed_by IN ('quiet', 'quiet-after-release', 'operator', 'expected-count')),
    geometry        TEXT CHECK (json_valid(geometry)),
    summary         TEXT CHECK (json_valid(summary)),
    explanation     TEXT CHECK (json_valid(explanation)),
    rules_revision  TEXT,
    UNIQUE (series_id, number),
    CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
    CHECK (closed_at IS NULL OR (geometry IS NOT NULL AND summary IS NOT NULL AND explanation IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX revisions_one_open ON revisions (series_id) WHERE closed_at IS NULL;

-- Bytes received. Several rows of one SOP instance: the newest counts from its revision on.
CREATE TABLE instances (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    series_id       INTEGER NOT NULL REFERENCES series (id),
    revision_id     INTEGER NOT NULL REFERENCES revisions (id),
    sop_class       TEXT NOT NULL,
    sop_instance    TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    location        TEXT NOT NULL UNIQUE,
    length          INTEGER NOT NULL,
    sha256          TEXT NOT NULL,
    calling_ae      TEXT NOT NULL,
    called_ae       TEXT NOT NULL,
    sender          TEXT NOT NULL,
    received_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX instances_by_sop ON instances (series_id, sop_instance);

-- `attempt` counts claims and only grows: with the id it is the proof every transition is guarded by.
-- `charged` counts the claims that weigh against `max_attempts` (a snooze or a lost lease is given back).
CREATE TABLE jobs (
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
    delivered           TEXT CHECK (delivered IN ('confirmed', 'sent-unconfirmed')),
    last_error          TEXT,
    CHECK (charged BETWEEN 0 AND attempt),
    CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'discarded', 'cancelled'))),
    CHECK ((lease_until IS NOT NULL) = (state = 'running')),
    CHECK ((worker IS NOT NULL) = (state = 'running')),
    CHECK ((kind = 'deliver') = (destination IS NOT NULL)),
    CHECK ((kind = 'deliver') = (parent_id IS NOT NULL)),
    CHECK ((delivered IS NOT NULL) = (kind = 'deliver' AND state = 'completed'))
) STRICT;

CREATE INDEX jobs_claimable ON jobs (kind, priority, scheduled_at, id) WHERE state IN ('available', 'retryable');
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_by_parent ON jobs (parent_id);
CREATE INDEX jobs_by_revision ON jobs (revision_id);

CREATE TABLE attempts (
    job_id     INTEGER NOT NULL REFERENCES jobs (id),
    number     INTEGER NOT NULL,
    worker     TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    TEXT CHECK (outcome IN
                   ('completed', 'retry', 'snoozed', 'gave-up', 'held', 'lease-expired', 'cancelled')),
    error      TEXT,
    PRIMARY KEY (job_id, number),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE results (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id          INTEGER NOT NULL REFERENCES jobs (id),
    sop_class       TEXT NOT NULL,
    sop_instance    TEXT NOT NULL,
    study           TEXT NOT NULL,
    series          TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    kind            TEXT NOT NULL,
    location        TEXT NOT NULL UNIQUE,
    length          INTEGER NOT NULL,
    sha256          TEXT NOT NULL,
    UNIQUE (job_id, sop_instance)
) STRICT;

CREATE INDEX results_by_sop ON results (sop_instance);
