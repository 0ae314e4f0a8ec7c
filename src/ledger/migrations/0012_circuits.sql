-- Destinations that failed as a whole, several times in a row: nothing is tried while one is open, until a probe at `probe_at`
-- finds it answering.
CREATE TABLE circuits (
    destination TEXT PRIMARY KEY,
    failures    INTEGER NOT NULL,
    opened_at   INTEGER,
    probe_at    INTEGER,
    probes      INTEGER NOT NULL DEFAULT 0,
    last_error  TEXT NOT NULL,
    CHECK ((opened_at IS NULL) = (probe_at IS NULL))
) STRICT, WITHOUT ROWID;

-- What an attempt was at when it ended badly.
ALTER TABLE attempts ADD COLUMN stage TEXT;
ALTER TABLE jobs ADD COLUMN stage TEXT;

-- The objects that the destination was asked to commit to, a list of UIDs.
ALTER TABLE confirmations ADD COLUMN asked TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(asked));
UPDATE confirmations SET asked = (
    SELECT json_group_array(r.sop_instance) FROM results r JOIN jobs j ON r.job_id = j.parent_id WHERE j.id = confirmations.job_id);

-- A queue for each destination, and one for what has none; in it the order of claims: a priority lower waits half an hour
-- longer (`claims.rs`), so that none waits for ever.
DROP INDEX jobs_claimable;
CREATE INDEX jobs_claimable ON jobs (kind, coalesce(destination, ''), created_at + priority * 1800000, id)
    WHERE state IN ('available', 'retryable');
