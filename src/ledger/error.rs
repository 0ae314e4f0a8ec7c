//! What can go wrong at the ledger's seam, one variant a situation.
//!
//! A job that is no longer a claim's own is no error: those operations answer `false`. No message carries
//! an attribute value.

use std::path::PathBuf;

use super::state::Illegal;
use crate::dicom::Uid;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("cannot open the ledger {}: {source}; check that its folder exists and is writable", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "the ledger {} has schema {found}, this program knows up to {known}; use the newer program or a copy made before it ran",
        path.display()
    )]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error(
        "the ledger {} cannot be brought up to date: rows of {table} refer to nothing; go back to the program before this one and report it",
        path.display()
    )]
    Dangling { path: PathBuf, table: String },
    #[error("the ledger's database failed: {0}; check the disk that holds the data folder")]
    Database(#[from] rusqlite::Error),
    // serde's own words would quote the value, which may be a patient's
    #[error("the ledger holds {column} that is no JSON of the expected shape (character {})", source.column())]
    Unreadable { column: &'static str, source: serde_json::Error },
    #[error("there is no job {0}; `sagittal jobs list` shows those that exist")]
    NoSuchJob(i64),
    #[error("job {job} {source}")]
    NotAllowed { job: i64, source: Illegal },
    #[error("job {0} has no results to send: it made none, or they were dropped to make room")]
    NothingToSend(i64),
    #[error("results of job {job} are on their way to {destination:?} already")]
    OnItsWay { job: i64, destination: String },
    #[error("there is no revision {0} in the ledger")]
    NoSuchRevision(i64),
    #[error("revision {0} is closed already")]
    RevisionClosed(i64),
    #[error("revision {revision} moved on while it was being closed ({seen} arrivals seen, {now} now); decide again")]
    RevisionMoved { revision: i64, seen: u64, now: u64 },
    #[error("job {job} made result {sop_instance} twice with different bytes; its pipeline is not deterministic")]
    ResultDiffers { job: i64, sop_instance: Uid },
}
