-- Every text of the rules that came into force, in order. `revision` is the SHA-256 of `text`, the one that revisions of
-- series and jobs name.
CREATE TABLE rules_history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    revision TEXT NOT NULL,
    since    INTEGER NOT NULL,
    source   TEXT NOT NULL CHECK (source IN ('start', 'file', 'signal', 'rollback', 'api')),
    who      TEXT NOT NULL,
    why      TEXT NOT NULL,
    text     TEXT NOT NULL
) STRICT;

CREATE INDEX rules_history_by_revision ON rules_history (revision);
