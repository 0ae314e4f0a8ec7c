-- Results whose bytes were dropped: they stay known as ours, and are not taken for somebody's images when they come back.
CREATE TABLE former_results (sop_instance TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TRIGGER results_gone AFTER DELETE ON results BEGIN
    INSERT INTO former_results VALUES (old.sop_instance) ON CONFLICT DO NOTHING;
END;
