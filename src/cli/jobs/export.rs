//! Jobs as CSV (RFC 4180), for a spreadsheet or a database: one line a job, no patient attribute.

use std::io::Write;

use super::JobsError;
use crate::clock::Millis;
use crate::ledger::{JobFilter, JobRow, Ledger};

/// Jobs read at a time.
const PAGE: usize = 1000;

/// In this order; `docs/operations.md` explains them.
pub(super) const COLUMNS: [&str; 18] = [
    "job",
    "kind",
    "state",
    "delivered",
    "priority",
    "rule",
    "pipeline",
    "destination",
    "study_uid",
    "series_uid",
    "revision",
    "attempts",
    "max_attempts",
    "created_at",
    "due_at",
    "finished_at",
    "stage",
    "last_error",
];

pub(super) fn print(ledger: &Ledger, filter: &JobFilter, out: &mut dyn Write) -> Result<(), JobsError> {
    line(out, &COLUMNS.map(str::to_owned))?;
    for page in ledger.matching_jobs(filter)?.chunks(PAGE) {
        for job in ledger.jobs_by_id(page)? {
            line(out, &cells(&job))?;
        }
    }
    Ok(())
}

fn cells(job: &JobRow) -> [String; COLUMNS.len()] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let at = |time: Option<Millis>| time.map(rfc3339).unwrap_or_default();
    [
        job.id.to_string(),
        job.kind.to_string(),
        job.state.to_string(),
        job.delivered.map(|delivered| delivered.to_string()).unwrap_or_default(),
        job.priority.to_string(),
        job.rule.clone(),
        job.pipeline.clone(),
        text(&job.destination),
        job.study.to_string(),
        job.series.to_string(),
        job.revision.to_string(),
        job.attempt.to_string(),
        job.max_attempts.to_string(),
        at(Some(job.created_at)),
        at(job.finished_at.is_none().then_some(job.scheduled_at)),
        at(job.finished_at),
        text(&job.stage),
        text(&job.last_error),
    ]
}

fn rfc3339(at: Millis) -> String {
    at.utc().map_or_else(|| at.0.to_string(), |utc| utc.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

fn line(out: &mut dyn Write, cells: &[String]) -> Result<(), JobsError> {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    Ok(write!(out, "{}\r\n", cells.join(","))?)
}

/// A cell that begins like a formula is kept from being one where a spreadsheet opens the file.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@']);
    if is_formula || cell.contains([',', '"', '\n', '\r']) {
        let guard = if is_formula { "'" } else { "" };
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let check = |cell: &str, expected: &str| assert_eq!(quoted(cell), expected);
        check("plain", "plain");
        check("brain, chest", "\"brain, chest\"");
        check("said \"no\"\nand left", "\"said \"\"no\"\"\nand left\"");
        check("=cmd()", "\"'=cmd()\"");
    }
}
