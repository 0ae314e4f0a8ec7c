-- What readers are told of in the study itself, and whether they were: that a job was given up or is late (`inform_at`), and
-- that nothing was found.
ALTER TABLE jobs ADD COLUMN inform_failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN inform_nothing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN inform_at INTEGER;
ALTER TABLE jobs ADD COLUMN informed_at INTEGER;
CREATE INDEX jobs_unanswered ON jobs (id)
    WHERE inform_failed = 1 AND informed_at IS NULL AND state NOT IN ('completed', 'cancelled');

-- A deliver job of the placeholder that there is no result; all others bring results.
ALTER TABLE jobs ADD COLUMN placeholder INTEGER NOT NULL DEFAULT 0;
