-- Jobs that wait for an operator are counted for metrics every few seconds, whatever the length of the history.
CREATE INDEX jobs_stuck ON jobs (state) WHERE state IN ('held', 'discarded');
