//! Jobs as tables: the list, and one job in full.

use std::fmt::Write as _;

use crate::clock::Millis;
use crate::ledger::{Delivered, JobDetail, JobRow, StageTime};

pub(super) fn job_table(jobs: &[JobRow]) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let head = ["ID", "KIND", "STATE", "PRIORITY", "PIPELINE", "DESTINATION", "TRIES", "WHEN", "SERIES", "LAST ERROR"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(jobs.iter().map(|job| {
        [
            job.id.to_string(),
            job.kind.to_string(),
            state_text(job),
            job.priority.to_string(),
            job.pipeline.clone(),
            job.destination.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{}/{}", job.attempt, job.max_attempts),
            time(job.finished_at.unwrap_or(job.scheduled_at)),
            format!("{} r{}", job.series, job.revision),
            job.last_error.as_deref().map(first_line).unwrap_or_default(),
        ]
    }));
    aligned(&rows)
}

/// A delivery that nobody asked the peer about says so.
fn state_text(job: &JobRow) -> String {
    match job.delivered {
        Some(Delivered::Confirmed) => "confirmed".to_owned(),
        Some(Delivered::SentUnconfirmed) => "sent, unconfirmed".to_owned(),
        Some(Delivered::Reported) => "reported, not sent".to_owned(),
        None => job.state.to_string(),
    }
}

pub(super) fn shown(detail: &JobDetail) -> String {
    let job = &detail.job;
    let mut facts = vec![
        ["job".to_owned(), format!("{} ({}, {})", job.id, job.kind, state_text(job))],
        ["rule".to_owned(), job.rule.clone()],
        ["pipeline".to_owned(), job.pipeline.clone()],
        ["priority".to_owned(), job.priority.to_string()],
        ["study".to_owned(), job.study.to_string()],
        ["series".to_owned(), format!("{}, revision {}", job.series, job.revision)],
        ["tries".to_owned(), format!("{} of {}", job.attempt, job.max_attempts)],
        ["created".to_owned(), time(job.created_at)],
    ];
    let mut add = |name: &str, value: Option<String>| facts.extend(value.map(|value| [name.to_owned(), value]));
    add("destination", job.destination.clone());
    add("finished", job.finished_at.map(time));
    add("due", job.finished_at.is_none().then(|| time(job.scheduled_at)));
    add("last error", job.last_error.clone());
    add("series closed by", detail.closed_by.clone());
    add("form", detail.choice.as_ref().map(form));
    add("geometry", detail.geometry.as_ref().map(ToString::to_string));
    add("rules revision", detail.rules_revision.clone());
    aligned(&facts) + &inputs(detail) + &attempts(detail) + &results(detail) + &answers(detail) + &deliveries(detail)
}

fn inputs(detail: &JobDetail) -> String {
    let rows = detail
        .inputs
        .iter()
        .map(|input| [input.name.clone(), format!("{} r{}", input.series, input.revision), input.study.to_string()]);
    section("inputs", ["NAME", "SERIES", "STUDY"], rows)
}

fn attempts(detail: &JobDetail) -> String {
    let rows = detail.attempts.iter().map(|attempt| {
        [
            attempt.number.to_string(),
            attempt.outcome.clone().unwrap_or_else(|| "running".to_owned()),
            time(attempt.started_at),
            attempt.ended_at.map_or_else(|| "-".to_owned(), time),
            attempt.worker.clone(),
            stages(&attempt.stages, attempt.stage.as_deref()),
            attempt.error.clone().unwrap_or_default(),
        ]
    });
    section("attempts", ["#", "OUTCOME", "STARTED", "ENDED", "WORKER", "STAGES", "ERROR"], rows)
}

/// `read 0.120 s, model 5.300 s, failed at write`
fn stages(times: &[StageTime], failed: Option<&str>) -> String {
    let mut words: Vec<String> =
        times.iter().map(|time| format!("{} {}", time.stage, seconds(time.milliseconds))).collect();
    words.extend(failed.map(|stage| format!("failed at {stage}")));
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// Milliseconds as seconds.
pub(super) fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000)
}

fn results(detail: &JobDetail) -> String {
    let rows = detail
        .results
        .iter()
        .map(|result| [result.kind.clone(), result.sop_instance.to_string(), result.length.to_string()]);
    section("results", ["KIND", "SOP INSTANCE", "BYTES"], rows)
}

/// The form chosen for the destination, and those passed over with the reason.
fn form(choice: &serde_json::Value) -> String {
    let word = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let passed = choice["passed_over"].as_array().map(Vec::as_slice).unwrap_or_default();
    let passed: Vec<String> = passed.iter().map(|one| format!("{}: {}", word(&one[0]), word(&one[1]))).collect();
    let chosen = word(&choice["chosen"]);
    if passed.is_empty() { chosen } else { format!("{chosen} ({})", passed.join(", ")) }
}

/// What the destination said of each object.
fn answers(detail: &JobDetail) -> String {
    let rows = detail.answers.iter().map(|row| {
        [
            row.verdict.answer.to_string(),
            row.verdict.status.map_or_else(|| "-".to_owned(), |status| format!("{status:04x}")),
            row.verdict.sop_instance.to_string(),
            row.attempt.to_string(),
            time(row.answered_at),
            row.verdict.comment.clone().unwrap_or_default(),
        ]
    });
    section("answers", ["ANSWER", "STATUS", "SOP INSTANCE", "ATTEMPT", "WHEN", "COMMENT"], rows)
}

fn deliveries(detail: &JobDetail) -> String {
    if detail.deliveries.is_empty() {
        String::new()
    } else {
        format!("\ndeliveries\n{}", job_table(&detail.deliveries))
    }
}

pub(in crate::cli) fn section<const N: usize>(
    title: &str,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows);
    if all.len() == 1 { String::new() } else { format!("\n{title}\n{}", aligned(&all)) }
}

/// Columns as wide as their widest cell, two spaces between, no blanks at line ends.
pub(in crate::cli) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn first_line(error: &str) -> String {
    const WIDTH: usize = 80;
    let line = error.lines().next().unwrap_or_default();
    if line.chars().count() <= WIDTH { line.to_owned() } else { line.chars().take(WIDTH - 1).chain(['…']).collect() }
}

pub(in crate::cli) fn time(at: Millis) -> String {
    at.utc().map_or_else(|| at.0.to_string(), |utc| utc.format("%Y-%m-%d %H:%M:%SZ").to_string())
}
