//! The families of `/metrics`; `docs/operations.md` says what to do about them.
//!
//! Counters and histograms begin at 0 with each start; gauges are looked up when the page is asked for.

use super::page::{Family, Kind, Page};
use crate::clock::Millis;
use crate::ledger::{JobState, Ledger, LedgerError, Queue, Totals};

/// What the rest of the node measures; bytes where nothing else is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub started_at: Option<Millis>,
    pub disk_free: Option<u64>,
    pub disk_size: Option<u64>,
    /// Below this much free, instances are refused.
    pub keep_free: u64,
    /// Files of the spool, reserved space included.
    pub spool: u64,
    /// The ledger and its journal.
    pub ledger: u64,
    /// Resident memory of the process.
    pub memory: Option<u64>,
    pub permits: u64,
    pub permits_used: u64,
    /// Networks that are loaded.
    pub networks: u64,
    pub rules_revision: String,
    /// The files of the configuration folder are what is in force.
    pub configuration_in_force: bool,
}

/// The page. Blocking.
///
/// # Errors
/// When the ledger cannot be read.
pub fn metrics(ledger: &Ledger, figures: &Figures, now: Millis) -> Result<String, LedgerError> {
    let mut page = Page::default();
    queue(&mut page, &ledger.queue()?, now);
    totals(&mut page, &ledger.tally().totals());
    machine(&mut page, figures);
    Ok(page.text())
}

fn queue(page: &mut Page, queue: &Queue, now: Millis) {
    let mut jobs =
        page.family("sagittal_jobs", Kind::Gauge, "Jobs that are not over or were given up (state discarded).");
    for row in &queue.jobs {
        let labels = [("kind", row.kind.word()), ("state", row.state.word()), ("target", row.target.as_str())];
        jobs.sample(&labels, row.count);
    }
    let mut oldest =
        page.family("sagittal_oldest_job_seconds", Kind::Gauge, "Age of the oldest of the jobs that are not over.");
    for row in queue.jobs.iter().filter(|row| row.state != JobState::Discarded) {
        let labels = [("kind", row.kind.word()), ("state", row.state.word()), ("target", row.target.as_str())];
        oldest.sample(&labels, (now.0 - row.oldest.0).max(0) / 1000);
    }
    let mut series = page.family(
        "sagittal_series",
        Kind::Gauge,
        "Series: open (being received), waiting (a rule waits), held (for an operator), unmatched (no rule fits).",
    );
    for (state, count) in &queue.series {
        series.sample(&[("state", state)], count);
    }
    let help = "Reports of storage commitment: due (to a peer), awaited (from a destination).";
    let mut reports = page.family("sagittal_commitment_reports", Kind::Gauge, help);
    reports.sample(&[("state", "due")], queue.reports_due);
    reports.sample(&[("state", "awaited")], queue.reports_awaited);
    let help = "Notices that nobody took: due (tried again), given-up.";
    let mut notices = page.family("sagittal_notices", Kind::Gauge, help);
    for (recipient, state, count) in &queue.notices {
        notices.sample(&[("recipient", recipient), ("state", state)], count);
    }
}

fn totals(page: &mut Page, totals: &Totals) {
    let help = "Instances received, by what they were: new, replaced, identical, differs.";
    let mut instances = page.family("sagittal_instances_received_total", Kind::Counter, help);
    for (outcome, count) in &totals.instances {
        instances.sample(&[("outcome", outcome)], count);
    }
    page.family("sagittal_instance_bytes_received_total", Kind::Counter, "Bytes of the instances received.")
        .sample(&[], totals.bytes);
    let mut refused =
        page.family("sagittal_instances_refused_total", Kind::Counter, "Instances refused, by DIMSE status.");
    for (status, count) in &totals.refused {
        refused.sample(&[("status", &format!("{status:04X}"))], count);
    }
    let mut closed = page.family("sagittal_series_finished_total", Kind::Counter, "Series finished, by why.");
    for (by, count) in &totals.closed {
        closed.sample(&[("by", by)], count);
    }
    let mut waits =
        page.family("sagittal_job_wait_seconds", Kind::Histogram, "From when a job was due until it was taken.");
    for ((kind, target), histogram) in &totals.waits {
        waits.histogram(&[("kind", kind.word()), ("target", target)], histogram);
    }
    let help =
        "Attempts of jobs by how they ended: completed, sent (waits for a report), retry, snoozed, gave-up, held.";
    let mut attempts = page.family("sagittal_attempt_seconds", Kind::Histogram, help);
    for (((kind, target), outcome), histogram) in &totals.attempts {
        attempts.histogram(&[("kind", kind.word()), ("target", target), ("outcome", outcome)], histogram);
    }
    let help = "Stages of attempts: read, model, write; read, connect, send, confirm.";
    let mut stages = page.family("sagittal_stage_seconds", Kind::Histogram, help);
    for (((kind, target), stage), histogram) in &totals.stages {
        stages.histogram(&[("kind", kind.word()), ("target", target), ("stage", stage)], histogram);
    }
    let help = "From the end of a series until its results were delivered: confirmed, sent-unconfirmed, reported.";
    let mut results = page.family("sagittal_result_seconds", Kind::Histogram, help);
    for ((destination, delivered), histogram) in &totals.results {
        results.histogram(&[("destination", destination), ("delivered", delivered)], histogram);
    }
}

fn machine(page: &mut Page, figures: &Figures) {
    let gauges: [(&'static str, &str, Option<u64>); 7] = [
        ("sagittal_disk_free_bytes", "Free on the disk of the data folder.", figures.disk_free),
        ("sagittal_disk_size_bytes", "Size of the disk of the data folder.", figures.disk_size),
        (
            "sagittal_disk_keep_free_bytes",
            "Below this much free, instances are refused (keep_free).",
            Some(figures.keep_free),
        ),
        ("sagittal_spool_bytes", "Files of the spool, reserved space included.", Some(figures.spool)),
        ("sagittal_ledger_bytes", "The ledger and its journal.", Some(figures.ledger)),
        ("sagittal_networks_loaded", "Networks of models that are in memory.", Some(figures.networks)),
        ("process_resident_memory_bytes", "Resident memory of the process.", figures.memory),
    ];
    for (name, help, value) in gauges {
        optional(&mut page.family(name, Kind::Gauge, help), value);
    }
    let mut permits =
        page.family("sagittal_device_permits", Kind::Gauge, "Models that may run at a time, and that do.");
    permits.sample(&[("state", "total")], figures.permits);
    permits.sample(&[("state", "used")], figures.permits_used);
    let help = "1: the files of the configuration folder are in force; 0: they are faulty, or wait for a start.";
    page.family("sagittal_configuration_in_force", Kind::Gauge, help)
        .sample(&[], u8::from(figures.configuration_in_force));
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("rules", figures.rules_revision.as_str())];
    page.family("sagittal_info", Kind::Gauge, "Always 1; says which version runs and which rules are in force.")
        .sample(&labels, 1);
    let started = figures.started_at.map(|at| at.0 / 1000);
    optional(
        &mut page.family("process_start_time_seconds", Kind::Gauge, "When the process started, since 1970 (UTC)."),
        started,
    );
}

fn optional(family: &mut Family<'_>, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        family.sample(&[], value);
    }
}
