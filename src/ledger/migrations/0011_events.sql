-- What an audit trail and those who asked for notice are to be told; a row goes when it was handed on.
CREATE TABLE events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    what   TEXT NOT NULL CHECK (what IN ('delivered', 'given-up', 'held', 'acted', 'rules')),
    job_id INTEGER,
    who    TEXT,
    detail TEXT NOT NULL
) STRICT;
