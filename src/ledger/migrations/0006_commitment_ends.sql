-- A report that nobody took is given up some time (its `due_at` is no longer looked at), and what was committed to is
-- kept: `committed_at` is when an instance of the series was last reported as held.
ALTER TABLE commitments ADD COLUMN given_up_at INTEGER;
ALTER TABLE series ADD COLUMN committed_at INTEGER;
