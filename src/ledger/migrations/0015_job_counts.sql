-- How many jobs there are of each sort, kept by triggers, and an index in which each sort lies by age: lists, counts and metrics
-- cost the same whatever the length of the history. No destination and no stage are ''.
CREATE TABLE job_counts (
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    pipeline    TEXT NOT NULL,
    rule        TEXT NOT NULL,
    destination TEXT NOT NULL,
    stage       TEXT NOT NULL,
    jobs        INTEGER NOT NULL CHECK (jobs >= 0),
    PRIMARY KEY (kind, state, pipeline, rule, destination, stage)
) STRICT, WITHOUT ROWID;

INSERT INTO job_counts
SELECT kind, state, pipeline, rule, coalesce(destination, ''), coalesce(stage, ''), count(*) FROM jobs
GROUP BY 1, 2, 3, 4, 5, 6;

CREATE TRIGGER jobs_count_new AFTER INSERT ON jobs BEGIN
    INSERT INTO job_counts
    VALUES (new.kind, new.state, new.pipeline, new.rule, coalesce(new.destination, ''), coalesce(new.stage, ''), 1)
    ON CONFLICT DO UPDATE SET jobs = jobs + 1;
END;

CREATE TRIGGER jobs_count_gone AFTER DELETE ON jobs BEGIN
    UPDATE job_counts SET jobs = jobs - 1
    WHERE kind = old.kind AND state = old.state AND pipeline = old.pipeline AND rule = old.rule
      AND destination = coalesce(old.destination, '') AND stage = coalesce(old.stage, '');
END;

CREATE TRIGGER jobs_count_moved AFTER UPDATE OF state, rule, stage ON jobs
WHEN old.state <> new.state OR old.rule <> new.rule OR old.stage IS NOT new.stage
BEGIN
    UPDATE job_counts SET jobs = jobs - 1
    WHERE kind = old.kind AND state = old.state AND pipeline = old.pipeline AND rule = old.rule
      AND destination = coalesce(old.destination, '') AND stage = coalesce(old.stage, '');
    INSERT INTO job_counts
    VALUES (new.kind, new.state, new.pipeline, new.rule, coalesce(new.destination, ''), coalesce(new.stage, ''), 1)
    ON CONFLICT DO UPDATE SET jobs = jobs + 1;
END;

CREATE INDEX jobs_by_sort ON jobs (kind, state, pipeline, rule, coalesce(destination, ''), coalesce(stage, ''), created_at);
DROP INDEX jobs_stuck;

CREATE INDEX series_by_uid ON series (series);

-- How long each stage of an attempt took: a list of stages and milliseconds, in their order.
ALTER TABLE attempts ADD COLUMN stages TEXT CHECK (json_valid(stages));
