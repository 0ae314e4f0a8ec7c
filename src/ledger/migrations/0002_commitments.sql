-- Requests for storage commitment (PS3.4 annex J), kept until the peer took the report. `due_at` is when the
-- next try of a report is due, NULL once one was taken.
CREATE TABLE commitments (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_uid TEXT NOT NULL,
    calling_ae      TEXT NOT NULL,
    called_ae       TEXT NOT NULL,
    sender          TEXT NOT NULL,
    duplicate       INTEGER NOT NULL CHECK (duplicate IN (0, 1)),
    requested_at    INTEGER NOT NULL,
    due_at          INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    reported_at     INTEGER,
    last_error      TEXT,
    CHECK ((due_at IS NULL) = (reported_at IS NOT NULL))
) STRICT;

CREATE INDEX commitments_due ON commitments (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX commitments_by_transaction ON commitments (calling_ae, transaction_uid);

CREATE TABLE commitment_references (
    commitment_id INTEGER NOT NULL REFERENCES commitments (id),
    position      INTEGER NOT NULL,
    sop_class     TEXT NOT NULL,
    sop_instance  TEXT NOT NULL,
    PRIMARY KEY (commitment_id, position)
) STRICT, WITHOUT ROWID;

-- A request names instances without their series.
CREATE INDEX instances_by_uid ON instances (sop_instance);
