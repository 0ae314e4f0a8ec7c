//! The command as it is typed, on a ledger of a few jobs.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use super::*;
use crate::clock::TestClock;
use crate::dicom::{SeriesKey, Uid};
use crate::ledger::{
    ArrivedInstance, ClosedBy, Closing, Delivered, JobKind, LedgerOptions, NewInferJob, ResultRow, Setback, Verdict,
};

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
    let done = print(&line.jobs, ledger, &["pacs".to_owned(), "archive".to_owned()], &mut out);
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
        text.contains("1  gave-up  2023-11-14 22:13:20Z  2023-11-14 22:13:20Z  w1      -       model digest"),
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

/// Job 2 is done and delivers to the PACS as job 3, which has waited since.
fn delivered(ledger: &Ledger) {
    let uid = |text| Uid::parse(text).unwrap();
    let result = ResultRow {
        sop_class: uid("1.4"),
        sop_instance: uid("2.25.1"),
        study: uid("1.2"),
        series: uid("2.25.2"),
        transfer_syntax: uid("1.6"),
        kind: "seg".to_owned(),
        location: "results/1".to_owned(),
        length: 1,
        sha256: "00".to_owned(),
        form: None,
    };
    let infer = ledger.claim(JobKind::Infer, "w1", Duration::from_secs(9), 1, &[]).unwrap().remove(0);
    ledger.complete_infer(&infer, &[result]).unwrap();
    let deliver = ledger.claim(JobKind::Deliver, "w1", Duration::from_secs(9), 1, &[]).unwrap().remove(0);
    ledger.complete_deliver(&deliver, Delivered::Confirmed).unwrap();
}

#[test]
fn many_jobs_are_changed_only_when_their_number_is_said() {
    let (_folder, ledger) = ledger();
    let before = ledger.events(9).unwrap();
    let (listed, done) = say(&ledger, "retry --rule brain --dry-run");
    assert!(listed.contains("discarded  routine") && listed.ends_with("1 jobs would be retried\n"), "{listed}");
    done.unwrap();
    let fails = |line: &str, expected: &str| {
        let refused = say(&ledger, line).1.unwrap_err().to_string();
        assert!(refused.contains(expected), "{line}: {refused}");
    };
    fails("retry --rule brain", "1 jobs would be retried; --dry-run lists them, --count 1 goes ahead");
    fails("retry --rule brain --count 2", "1 jobs are chosen now, not 2");
    fails("retry", "no jobs are named");
    fails("resend 2", "job 2 has no results to send");
    fails("resend 2 --to nowhere", "\"nowhere\" is no destination; destinations.toml has pacs, archive");
    assert_eq!(ledger.events(9).unwrap(), before);
    assert_eq!(say(&ledger, "retry --rule brain --count 1").0, "1 jobs retried, 0 passed over\n");
    let told = ledger.events(9).unwrap().pop().unwrap();
    assert_eq!(told.detail, "1 jobs retried: rule brain");
    assert_eq!(say(&ledger, "cancel --until 1d --count 2").0, "2 jobs cancelled, 0 passed over\n");
    assert_eq!(say(&ledger, "cancel --until 1d --count 0").0, "0 jobs cancelled, 0 passed over\n");
}

#[test]
fn numbers_and_filters_do_not_go_together() {
    for line in ["retry 1 --state discarded", "cancel 1 --count 1", "resend 1 --dry-run"] {
        let words = std::iter::once("jobs").chain(line.split(' '));
        assert!(CommandLine::try_parse_from(words).is_err(), "{line}");
    }
}

#[test]
fn results_are_sent_again_to_where_they_went_or_elsewhere() {
    let (_folder, ledger) = ledger();
    delivered(&ledger);
    assert_eq!(say(&ledger, "resend 3").0, "results of job 3 are sent again by job 4\n");
    let refused = say(&ledger, "resend 2").1.unwrap_err().to_string();
    assert_eq!(refused, "results of job 2 are on their way to \"pacs\" already");
    assert_eq!(say(&ledger, "resend 2 --to archive").0, "results of job 2 are sent again by job 5\n");
    let moved = say(&ledger, "resend --destination pacs --to archive --count 1").0;
    assert_eq!(moved, "0 jobs sent again, 1 passed over\n");
    let job = ledger.job(5).unwrap().unwrap();
    assert_eq!((job.job.destination.as_deref(), job.results.len()), (Some("archive"), 1));
}

#[test]
fn jobs_are_exported_as_csv() {
    let (_folder, ledger) = ledger();
    delivered(&ledger);
    let text = say(&ledger, "export --series 1.3").0;
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[0], export::COLUMNS.join(","));
    let of_delivery = "3,deliver,completed,confirmed,routine,brain,deepbet,pacs,1.2,1.3,1,1,5,\
                       2023-11-14T22:13:20.000Z,,2023-11-14T22:13:20.000Z,,";
    assert_eq!(lines[1], of_delivery);
    assert!(lines[3].ends_with("\"model digest differs\nlong story\""), "{}", lines[3]);
    assert_eq!(lines.len(), 5, "{text}");
    let manual = include_str!("../../../docs/operations.md");
    let undocumented: Vec<_> = export::COLUMNS.iter().filter(|name| !manual.contains(&format!("`{name}`"))).collect();
    assert!(undocumented.is_empty(), "docs/operations.md lacks {undocumented:?}");
}

#[test]
fn statistics_are_by_pipeline_destination_and_rule() {
    let (_folder, ledger) = ledger();
    delivered(&ledger);
    let long_ago = "stats --since 9000d";
    let (text, done) = say(&ledger, long_ago);
    done.unwrap();
    let row = |begin: &str| {
        let line = text.lines().find(|line| line.starts_with(begin));
        line.unwrap_or_default().split_whitespace().skip(2).take(4).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("destination  pacs"), "0 0 0 1", "{text}");
    assert_eq!(row("pipeline     meshnet"), "0 0 1 0", "{text}");
    assert_eq!(row("rule         brain"), "0 0 1 2", "{text}");
    let value: serde_json::Value = serde_json::from_str(&say(&ledger, &format!("{long_ago} --json")).0).unwrap();
    let targets = value["targets"].as_array().unwrap();
    let pacs = targets.iter().find(|target| target["name"] == "pacs").unwrap();
    assert_eq!((&pacs["states"]["completed"], &pacs["stages"]["series"]["count"]), (&1.into(), &1.into()));
}
