//! `sagittal rules`: what the rules do and did, and why.
//!
//! Prints attribute values of patients on standard output, and never logs one.

mod cases;
mod explain;
mod files;
mod lint;
mod past;
mod replay;
mod study;

use std::io::Write;
use std::path::PathBuf;

pub use cases::TestArgs;
pub use explain::ExplainArgs;
pub(super) use files::{files_under, series_in};
pub use lint::LintArgs;
pub(super) use lint::findings;
pub use replay::ReplayArgs;

use super::Failure;
use crate::config::ConfigFaults;
use crate::ledger::LedgerError;

#[derive(Debug, clap::Subcommand)]
pub enum RulesCommand {
    /// Say what the rules do with a series, or did with one that was received, and why.
    Explain(ExplainArgs),
    /// Try a draft of the rules on the series that were received: which jobs would be gained, lost, changed.
    Replay(ReplayArgs),
    /// Say what looks like a mistake: rules that are never reached, contradict themselves or match nothing.
    Lint(LintArgs),
    /// Run the cases of rules.test.toml.
    Test(TestArgs),
}

#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("{0}")]
    Config(#[from] ConfigFaults),
    #[error("{path}: {source}", path = path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    /// Which ones and why is on `out` already.
    #[error("{count} of {total} files could not be read, see above")]
    Unreadable { count: usize, total: usize },
    #[error("{path}: the folder holds no file", path = .0.display())]
    Empty(PathBuf),
    #[error("{0:?} is no file or folder here, no Series Instance UID and no job id")]
    NoSuchTarget(String),
    #[error("no finished series {0} is in the ledger; `sagittal series list` shows those still being received")]
    NoSuchSeries(String),
    #[error("the ledger's {what} of series {series} cannot be read by this program (character {})", source.column())]
    Stored { what: &'static str, series: String, source: serde_json::Error },
    #[error("{0} finished series of the ledger could not be read by this program; the others are above")]
    UnreadableHistory(usize),
    #[error("the draft would not do the same, see above")]
    NotTheSame,
    #[error("{0} warnings, see above")]
    Suspicious(usize),
    #[error("{failed} cases failed and {faults} faults are to mend, see above")]
    CasesFailed { failed: usize, faults: usize },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("the result could not be printed: {0}")]
    Output(#[from] std::io::Error),
}

impl RulesError {
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            RulesError::Output(_)
            | RulesError::Ledger(_)
            | RulesError::NoSuchSeries(_)
            | RulesError::Stored { .. }
            | RulesError::NotTheSame
            | RulesError::Suspicious(_)
            | RulesError::CasesFailed { .. } => 1,
            RulesError::Config(_) | RulesError::NoSuchTarget(_) => 2,
            RulesError::Folder { .. }
            | RulesError::Unreadable { .. }
            | RulesError::Empty(_)
            | RulesError::UnreadableHistory(_) => 3,
            RulesError::Failed(failure) => failure.exit_code(),
        }
    }
}

/// Runs a subcommand, printing to `out`.
///
/// # Errors
/// [`RulesError::Unreadable`] also after all that could be read was explained.
pub fn run(command: &RulesCommand, out: &mut dyn Write) -> Result<(), RulesError> {
    match command {
        RulesCommand::Explain(args) => explain::run(args, out),
        RulesCommand::Replay(args) => replay::run(args, out),
        RulesCommand::Lint(args) => lint::run(args, out),
        RulesCommand::Test(args) => cases::run(args, out),
    }
}
