//! Retry, cancel and resend: of jobs named by their numbers, or of all that a filter chooses.
//!
//! Many are changed only when their number is said (`--count`), so that a filter that chooses more than was thought of changes
//! nothing.

use std::io::Write;

use super::shown::job_table;
use super::{JobsError, Which};
use crate::clock::Millis;
use crate::ledger::{Act, JobFilter, JobKind, JobState, Ledger, LedgerError};

#[derive(Debug, clap::Args)]
pub struct Chosen {
    /// Numbers of jobs; or choose them by the options below
    #[arg(value_name = "ID", conflicts_with_all = ["states", "kind", "rule", "pipeline", "destination", "stage", "study",
        "series", "since", "until", "dry_run", "count"])]
    ids: Vec<i64>,
    #[command(flatten)]
    which: Which,
    /// List the jobs that would be changed, and change none
    #[arg(long)]
    dry_run: bool,
    /// How many jobs are to be changed; if others are chosen by now, none is
    #[arg(long, value_name = "N", conflicts_with = "dry_run")]
    count: Option<usize>,
}

impl Chosen {
    pub(super) fn act(&self, ledger: &Ledger, act: &Act, now: Millis, out: &mut dyn Write) -> Result<(), JobsError> {
        if !self.ids.is_empty() {
            return one_by_one(&self.ids, out, |id| done_to(ledger, act, id));
        }
        if self.which.is_empty() {
            return Err(JobsError::NobodyNamed);
        }
        let jobs = ledger.matching_jobs(&meant(act, self.which.filter(now)))?;
        if self.dry_run {
            out.write_all(job_table(&ledger.jobs_by_id(&jobs)?).as_bytes())?;
            return Ok(writeln!(out, "{} jobs would be {}", jobs.len(), participle(act))?);
        }
        match self.count {
            Some(expected) if expected != jobs.len() => Err(JobsError::Moved { found: jobs.len(), expected }),
            None if !jobs.is_empty() => Err(JobsError::Unconfirmed { count: jobs.len(), participle: participle(act) }),
            _ => {
                let acted = ledger.act_on(&jobs, act, &self.which.shown())?;
                writeln!(out, "{} jobs {}, {} passed over", acted.changed, participle(act), acted.passed_over)?;
                Ok(())
            }
        }
    }
}

const fn participle(act: &Act) -> &'static str {
    match act {
        Act::Retry => "retried",
        Act::Cancel => "cancelled",
        Act::Resend { .. } => "sent again",
    }
}

/// A filter that names no state means those that the act is for.
fn meant(act: &Act, filter: JobFilter) -> JobFilter {
    if !filter.states.is_empty() {
        return filter;
    }
    let states = match act {
        Act::Retry => vec![JobState::Retryable, JobState::Discarded],
        Act::Cancel => vec![JobState::Available, JobState::Running, JobState::Retryable, JobState::Held],
        Act::Resend { .. } => vec![JobState::Completed],
    };
    let is_resent = matches!(act, Act::Resend { .. });
    let kind = filter.kind.or(is_resent.then_some(JobKind::Deliver));
    JobFilter { states, kind, ..filter }
}

/// What a job is now.
fn done_to(ledger: &Ledger, act: &Act, id: i64) -> Result<String, LedgerError> {
    let is_now = |state: JobState| format!("job {id} is {state} now");
    match act {
        Act::Retry => ledger.retry_job(id).map(is_now),
        Act::Cancel => ledger.cancel_job(id).map(is_now),
        Act::Resend { to } => {
            let made: Vec<String> = ledger.resend_job(id, to.as_deref())?.iter().map(ToString::to_string).collect();
            Ok(format!("results of job {id} are sent again by job {}", made.join(", ")))
        }
    }
}

/// Changes every job that can be changed; one refusal does not keep the others back.
fn one_by_one(
    ids: &[i64],
    out: &mut dyn Write,
    change: impl Fn(i64) -> Result<String, LedgerError>,
) -> Result<(), JobsError> {
    let mut refused = Vec::new();
    for id in ids {
        match change(*id) {
            Ok(done) => writeln!(out, "{done}")?,
            Err(error) => refused.push(error),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(JobsError::Refused(refused)) }
}
