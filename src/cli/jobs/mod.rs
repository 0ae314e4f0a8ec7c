//! `sagittal jobs`: lists jobs, shows one in full; retries, cancels and sends again, one or many; tables for other programs.
//!
//! Works on the ledger beside a running node: every change is one of the ledger's own transitions. Shows
//! UIDs and names of rules and destinations, never a patient attribute.

mod bulk;
mod export;
mod shown;
mod statistics;
#[cfg(test)]
mod tests;
mod which;

use std::io::{self, Write};
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::ledger::{Act, JobFilter, Ledger, LedgerError};
use crate::rules::quantity::span;
use bulk::Chosen;
pub(super) use shown::{aligned, section, time};
use shown::{job_table, shown};
use which::Which;

#[derive(Debug, clap::Args)]
pub struct JobsArgs {
    #[command(subcommand)]
    pub command: JobsCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum JobsCommand {
    /// List jobs, newest first
    List(ListArgs),
    /// Show one job: why it was made, every attempt and its stages, its results and deliveries
    Show {
        id: i64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make jobs available again, with a fresh number of attempts; by filter, those that wait to be tried again or were given up
    Retry(Chosen),
    /// End jobs that are not final yet; running ones are stopped
    Cancel(Chosen),
    /// Deliver results once more, by their infer or deliver jobs; by filter, those of deliveries that ended well
    Resend {
        #[command(flatten)]
        chosen: Chosen,
        /// To this destination instead of where they went
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Print jobs as CSV (RFC 4180), newest first; docs/operations.md says what the columns are
    Export {
        #[command(flatten)]
        which: Which,
    },
    /// What waits and what failed, and how long the work takes, for each pipeline, destination and rule
    Stats {
        /// Durations are those of jobs that ended within this time: a number with ms, s, min, h or d
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
        since: Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Default, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// At most this many
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The others of the same command were changed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<LedgerError>),
    #[error("no jobs are named: give their numbers, or say which by --state, --destination and the like")]
    NobodyNamed,
    #[error("{count} jobs would be {participle}; --dry-run lists them, --count {count} goes ahead")]
    Unconfirmed { count: usize, participle: &'static str },
    #[error("{found} jobs are chosen now, not {expected}; nothing was changed, look again with --dry-run")]
    Moved { found: usize, expected: usize },
    #[error("{name:?} is no destination; destinations.toml has {known}")]
    NoDestination { name: String, known: String },
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
    #[error("cannot print as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl JobsError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            JobsError::NobodyNamed | JobsError::NoDestination { .. } => 2,
            _ => 1,
        }
    }
}

/// Runs the subcommand on `ledger`, printing to standard output; `destinations` are those configured.
pub fn run(args: &JobsArgs, ledger: &Ledger, destinations: &[String]) -> Result<(), JobsError> {
    match print(args, ledger, destinations, &mut io::stdout().lock()) {
        // `sagittal jobs list | head` is no fault
        Err(JobsError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn print(args: &JobsArgs, ledger: &Ledger, destinations: &[String], out: &mut dyn Write) -> Result<(), JobsError> {
    let now = SystemClock.now();
    match &args.command {
        JobsCommand::List(list) => {
            let jobs = ledger.jobs(&JobFilter { limit: Some(list.limit), ..list.which.filter(now) })?;
            if list.json { json(out, &jobs) } else { Ok(out.write_all(job_table(&jobs).as_bytes())?) }
        }
        JobsCommand::Show { id, json: as_json } => {
            let detail = ledger.job(*id)?.ok_or(LedgerError::NoSuchJob(*id))?;
            if *as_json { json(out, &detail) } else { Ok(out.write_all(shown(&detail).as_bytes())?) }
        }
        JobsCommand::Retry(chosen) => chosen.act(ledger, &Act::Retry, now, out),
        JobsCommand::Cancel(chosen) => chosen.act(ledger, &Act::Cancel, now, out),
        JobsCommand::Resend { chosen, to } => {
            must_be_known(to.as_deref(), destinations)?;
            chosen.act(ledger, &Act::Resend { to: to.clone() }, now, out)
        }
        JobsCommand::Export { which } => export::print(ledger, &which.filter(now), out),
        JobsCommand::Stats { since, json } => statistics::print(ledger, now, *since, *json, out),
    }
}

/// A destination that is not configured would only be found out by the worker.
fn must_be_known(name: Option<&str>, destinations: &[String]) -> Result<(), JobsError> {
    match name.filter(|name| !destinations.iter().any(|known| known == name)) {
        None => Ok(()),
        Some(name) => Err(JobsError::NoDestination { name: name.to_owned(), known: destinations.join(", ") }),
    }
}

fn json(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), JobsError> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(out, "{text}")?)
}
