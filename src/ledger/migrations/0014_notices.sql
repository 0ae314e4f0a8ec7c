-- Events may be about a revision, and have a subject that is no job: a rule or a destination.
CREATE TABLE events_new (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    what        TEXT NOT NULL CHECK (what IN ('delivered', 'given-up', 'held', 'acted', 'rules', 'series-held', 'rule-gave-up',
                                              'unreachable', 'reachable')),
    job_id      INTEGER,
    who         TEXT,
    detail      TEXT NOT NULL,
    -- The rule or the destination, where there is no job that says it.
    subject     TEXT,
    study       TEXT,
    revision_id INTEGER
) STRICT;
INSERT INTO events_new (id, at, what, job_id, who, detail) SELECT id, at, what, job_id, who, detail FROM events;
INSERT INTO sqlite_sequence (name, seq) SELECT 'events_new', seq FROM sqlite_sequence
    WHERE name = 'events' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events_new');
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'events') WHERE name = 'events_new';
DROP TABLE events;
ALTER TABLE events_new RENAME TO events;

-- What somebody is to be told: made of events, one row a recipient, kept until it was told or given up, and for a while longer.
CREATE TABLE notices (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The same for every try, so that a recipient knows one that came twice.
    message     TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    -- The body, as JSON.
    body        TEXT NOT NULL CHECK (json_valid(body)),
    made_at     INTEGER NOT NULL,
    -- When it is tried next; NULL: told or given up.
    due_at      INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    told_at     INTEGER,
    given_up_at INTEGER,
    last_error  TEXT,
    UNIQUE (message, recipient),
    CHECK ((due_at IS NULL) = (told_at IS NOT NULL OR given_up_at IS NOT NULL))
) STRICT;
CREATE INDEX notices_due ON notices (recipient, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notices_given_up ON notices (recipient) WHERE given_up_at IS NOT NULL;
CREATE INDEX notices_over ON notices (coalesce(told_at, given_up_at)) WHERE due_at IS NULL;

-- Rules that waited in vain, so that it is told once; `what` is a study's UID or "revision ID".
CREATE TABLE gave_up (
    what TEXT NOT NULL,
    rule TEXT NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (what, rule)
) STRICT, WITHOUT ROWID;
