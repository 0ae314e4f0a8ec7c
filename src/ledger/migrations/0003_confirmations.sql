-- Our own requests for storage commitment (PS3.4 annex J): one a delivery that a destination is to commit to. A row is
-- there before the request leaves; `due_at` is when the report is waited for no longer.
CREATE TABLE confirmations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_uid TEXT NOT NULL UNIQUE,
    job_id          INTEGER NOT NULL REFERENCES jobs (id),
    due_at          INTEGER NOT NULL,
    -- The destination took the objects and the request.
    sent            INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1)),
    answered_at     INTEGER,
    -- Why it does not commit to all of them.
    refused         TEXT,
    CHECK (refused IS NULL OR answered_at IS NOT NULL)
) STRICT;

CREATE INDEX confirmations_by_job ON confirmations (job_id);
