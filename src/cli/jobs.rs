//! `sagittal jobs`: lists jobs, shows one in full, retries and cancels.
//!
//! Works on the ledger beside a running node: every change is one of the ledger's own transitions. Shows
//! UIDs and names of rules and destinations, never a patient attribute.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::clock::Millis;
use crate::dicom::Uid;
use crate::ledger::{Delivered, JobDetail, JobFilter, JobKind, JobRow, JobState, Ledger, LedgerError};

#[derive(Debug, clap::Args)]
pub struct JobsArgs {
    #[command(subcommand)]
    pub command: JobsCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum JobsCommand {
    /// List jobs, newest first
    List(ListArgs),
    /// Show one job: why it was made, every attempt, its results and deliveries
    Show {
        id: i64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make jobs available again, with a fresh number of attempts
    Retry {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
    },
    /// End jobs that are not final yet; running ones are stopped
    Cancel {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
    },
}

#[derive(Debug, Default, clap::Args)]
pub struct ListArgs {
    /// Only jobs in this state: available, running, retryable, completed, discarded, cancelled, held; may be repeated
    #[arg(long = "state", value_name = "STATE")]
    pub states: Vec<JobState>,
    /// Only jobs of this kind: infer, deliver
    #[arg(long)]
    pub kind: Option<JobKind>,
    /// Only jobs of this study, by Study Instance UID
    #[arg(long, value_name = "UID", value_parser = Uid::parse)]
    pub study: Option<Uid>,
    /// Only jobs of this series, by Series Instance UID
    #[arg(long, value_name = "UID", value_parser = Uid::parse)]
    pub series: Option<Uid>,
    /// Only deliveries to this destination
    #[arg(long, value_name = "NAME")]
    pub destination: Option<String>,
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
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
    #[error("cannot print as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Runs the subcommand on `ledger`, printing to standard output.
pub fn run(args: &JobsArgs, ledger: &Ledger) -> Result<(), JobsError> {
    match print(args, ledger, &mut io::stdout().lock()) {
        // `sagittal jobs list | head` is no fault
        Err(JobsError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn print(args: &JobsArgs, ledger: &Ledger, out: &mut dyn Write) -> Result<(), JobsError> {
    match &args.command {
        JobsCommand::List(list) => {
            let jobs = ledger.jobs(&filter(list))?;
            if list.json { json(out, &jobs) } else { Ok(out.write_all(job_table(&jobs).as_bytes())?) }
        }
        JobsCommand::Show { id, json: as_json } => {
            let detail = ledger.job(*id)?.ok_or(LedgerError::NoSuchJob(*id))?;
            if *as_json { json(out, &detail) } else { Ok(out.write_all(shown(&detail).as_bytes())?) }
        }
        JobsCommand::Retry { ids } => change(ids, out, |id| ledger.retry_job(id)),
        JobsCommand::Cancel { ids } => change(ids, out, |id| ledger.cancel_job(id)),
    }
}

fn filter(list: &ListArgs) -> JobFilter {
    JobFilter {
        states: list.states.clone(),
        kind: list.kind,
        study: list.study.clone(),
        series: list.series.clone(),
        destination: list.destination.clone(),
        limit: Some(list.limit),
    }
}

fn json(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), JobsError> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(out, "{text}")?)
}

/// Changes every job that can be changed; one refusal does not keep the others back.
fn change(
    ids: &[i64],
    out: &mut dyn Write,
    transition: impl Fn(i64) -> Result<JobState, LedgerError>,
) -> Result<(), JobsError> {
    let mut refused = Vec::new();
    for id in ids {
        match transition(*id) {
            Ok(state) => writeln!(out, "job {id} is {state} now")?,
            Err(error) => refused.push(error),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(JobsError::Refused(refused)) }
}

fn job_table(jobs: &[JobRow]) -> String {
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

fn shown(detail: &JobDetail) -> String {
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
            attempt.error.clone().unwrap_or_default(),
        ]
    });
    section("attempts", ["#", "OUTCOME", "STARTED", "ENDED", "WORKER", "ERROR"], rows)
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

pub(super) fn section<const N: usize>(title: &str, head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows);
    if all.len() == 1 { String::new() } else { format!("\n{title}\n{}", aligned(&all)) }
}

/// Columns as wide as their widest cell, two spaces between, no blanks at line ends.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
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

pub(super) fn time(at: Millis) -> String {
    at.utc().map_or_else(|| at.0.to_string(), |utc| utc.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::clock::TestClock;
    use crate::dicom::SeriesKey;
    use crate::ledger::{ArrivedInstance, ClosedBy, Closing, LedgerOptions, NewInferJob, Setback, Verdict};

    #[derive(Debug, clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        jobs: JobsArgs,
    }

    /// A ledger with one discarded job (id 1) and one available job (id 2).
    fn ledger() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(1_700_000_000_000));
        let ledger = Ledger::open(&folder.path().join("ledger.sqlite"), clock, LedgerOptions::default()).unwrap();
        let uid = |text| Uid::parse(text).unwrap();
        let key = SeriesKey { study: uid("1.2"), series: uid("1.3") };
        let arrived = ArrivedInstance {
            series: key.clone(),
            sop_class: uid("1.4"),
            sop_instance: uid("1.5"),
            transfer_syntax: uid("1.6"),
            location: "1.2/1.3/1.5.dcm".to_owned(),
            length: 1,
            digest: "00".to_owned(),
            calling_ae: "A".to_owned(),
            called_ae: "B".to_owned(),
            sender: "cli".to_owned(),
        };
        ledger.record_instances(&[arrived]).unwrap();
        let open = ledger.series_revision(&key).unwrap().unwrap();
        let job = NewInferJob {
            rule: "brain".to_owned(),
            pipeline: "meshnet".to_owned(),
            destinations: vec!["pacs".to_owned()],
            ..NewInferJob::default()
        };
        let second = NewInferJob { pipeline: "deepbet".to_owned(), ..job.clone() };
        let closing = Closing {
            revision: open.id,
            arrivals: open.arrivals,
            by: ClosedBy::Operator,
            geometry: "\"regular\"".to_owned(),
            summary: "{}".to_owned(),
            explanation: "{}".to_owned(),
            rules_revision: "r1".to_owned(),
            verdict: Verdict { jobs: vec![job, second], ..Verdict::default() },
            study_rules: false,
        };
        ledger.close_revision(&closing).unwrap();
        let claim = ledger.claim(JobKind::Infer, "w1", Duration::from_secs(9), 1, &[]).unwrap().remove(0);
        ledger.set_back(&claim, &Setback::GiveUp { error: "model digest differs\nlong story".to_owned() }).unwrap();
        (folder, ledger)
    }

    fn say(ledger: &Ledger, line: &str) -> (String, Result<(), JobsError>) {
        let line = CommandLine::try_parse_from(std::iter::once("jobs").chain(line.split(' '))).unwrap();
        let mut out = Vec::new();
        let done = print(&line.jobs, ledger, &mut out);
        (String::from_utf8(out).unwrap(), done)
    }

    #[test]
    fn a_list_is_an_aligned_table() {
        let (_folder, ledger) = ledger();
        let expected = "\
ID  KIND   STATE      PRIORITY  PIPELINE  DESTINATION  TRIES  WHEN                  SERIES  LAST ERROR
2   infer  available  routine   deepbet   -            0/5    2023-11-14 22:13:20Z  1.3 r1
1   infer  discarded  routine   meshnet   -            1/5    2023-11-14 22:13:20Z  1.3 r1  model digest differs
";
        assert_eq!(say(&ledger, "list").0, expected);
        assert_eq!(say(&ledger, "list --state held --kind deliver").0, "no jobs\n");
    }

    #[test]
    fn json_is_what_a_program_reads() {
        let (_folder, ledger) = ledger();
        let rows: serde_json::Value = serde_json::from_str(&say(&ledger, "list --json --state discarded").0).unwrap();
        assert_eq!(rows[0]["id"], 1);
        assert_eq!(rows.as_array().unwrap().len(), 1);
        let detail: serde_json::Value = serde_json::from_str(&say(&ledger, "show 1 --json").0).unwrap();
        assert_eq!(detail["attempts"][0]["outcome"], "gave-up");
    }

    #[test]
    fn a_job_is_shown_with_its_attempts() {
        let (_folder, ledger) = ledger();
        let text = say(&ledger, "show 1").0;
        for line in
            ["job               1 (infer, discarded)", "series closed by  operator", "geometry          \"regular\""]
        {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
        assert!(
            text.contains("1  gave-up  2023-11-14 22:13:20Z  2023-11-14 22:13:20Z  w1      model digest"),
            "{text}"
        );
        let unknown = say(&ledger, "show 77").1.unwrap_err();
        assert!(matches!(unknown, JobsError::Ledger(LedgerError::NoSuchJob(77))), "{unknown}");
    }

    #[test]
    fn one_refusal_does_not_keep_the_others_back() {
        let (_folder, ledger) = ledger();
        let (text, done) = say(&ledger, "cancel 1 2 77");
        assert_eq!(text, "job 2 is cancelled now\n");
        let refusals = done.unwrap_err().to_string();
        assert!(refusals.starts_with("job 1 is discarded and cannot be cancelled; it can be retried\n"), "{refusals}");
        assert!(refusals.contains("no job 77"), "{refusals}");
        assert_eq!(say(&ledger, "retry 1 2").0, "job 1 is available now\njob 2 is available now\n");
    }
}
