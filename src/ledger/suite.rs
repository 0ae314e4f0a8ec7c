//! One suite of exercises for the ledger's seam, run on every form of it; SQLite is the only one now.
//!
//! An exercise sees a [`Stand`]: named operations, a clock that it moves, a second handle, a crash. What
//! only SQLite has (its file, its settings) is tested beside the code that makes it.
#![allow(clippy::unwrap_used)]

mod arrivals;
mod circuits;
mod claims;
mod commitments;
mod confirmations;
mod counts;
mod lists;
mod machine;
mod notices;
mod operator;
mod outcomes;
mod pending;
mod restart;
mod retrievals;
mod revisions;
mod rules;
mod unanswered;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::TestClock;
use crate::dicom::{SeriesKey, Uid};

const START: Millis = Millis(1_000_000);
const LEASE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// Something that keeps a ledger and can lose its process.
trait Store {
    fn open(&self, clock: &TestClock, options: LedgerOptions) -> Ledger;
    /// From now on `open` sees what was durable at this moment; open handles lose their meaning.
    fn crash(&mut self);
}

struct Stand {
    make: fn() -> Box<dyn Store>,
    store: Box<dyn Store>,
    clock: TestClock,
    options: LedgerOptions,
    ledger: Ledger,
}

impl Stand {
    fn new(make: fn() -> Box<dyn Store>) -> Stand {
        let store = make();
        let clock = TestClock::at(START.0);
        let options = LedgerOptions {
            max_attempts: 3,
            destination_attempts: [("slow".to_owned(), 7)].into(),
            max_rescues: 4,
            ..LedgerOptions::default()
        };
        let ledger = store.open(&clock, options.clone());
        Stand { make, store, clock, options, ledger }
    }

    /// An empty stand of the same form.
    fn another(&self) -> Stand {
        Stand::new(self.make)
    }

    /// Another handle on the same store, as of a second process.
    fn second_handle(&self) -> Ledger {
        self.store.open(&self.clock, self.options.clone())
    }

    fn crash(&mut self) {
        self.store.crash();
        self.ledger = self.second_handle();
    }

    /// Receives one instance of series `n` and closes the revision with `jobs`; returns their ids.
    /// Each job has a pipeline of its own: those of one pipeline would be one job.
    fn close_with(&self, n: u32, mut jobs: Vec<NewInferJob>) -> Vec<i64> {
        for (number, job) in jobs.iter_mut().enumerate().skip(1) {
            job.pipeline = format!("{} {number}", job.pipeline);
        }
        self.ledger.record_instances(&[arrived(n, 1, "bytes")]).unwrap();
        let open = self.ledger.series_revision(&series(n)).unwrap().unwrap();
        self.ledger.close_revision(&closing(&open, jobs)).unwrap()
    }

    fn claim_one(&self, kind: JobKind) -> Claim {
        let mut claims = self.ledger.claim(kind, "worker-1", LEASE, 1, &[]).unwrap();
        assert_eq!(claims.len(), 1, "no {kind} job to claim");
        claims.remove(0)
    }

    fn detail(&self, job: i64) -> JobDetail {
        self.ledger.job(job).unwrap().unwrap()
    }

    fn state(&self, job: i64) -> JobState {
        self.detail(job).job.state
    }

    fn outcomes(&self, job: i64) -> Vec<String> {
        self.detail(job).attempts.into_iter().map(|attempt| attempt.outcome.unwrap_or_default()).collect()
    }
}

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn series(n: u32) -> SeriesKey {
    SeriesKey { study: uid("1.2.3"), series: uid(&format!("1.2.3.{n}")) }
}

fn arrived(n: u32, instance: u32, bytes: &str) -> ArrivedInstance {
    ArrivedInstance {
        series: series(n),
        sop_class: uid("1.2.840.10008.5.1.4.1.1.4"),
        sop_instance: uid(&format!("1.2.3.{n}.{instance}")),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        location: format!("{n}/{instance}/{bytes}"),
        length: bytes.len() as u64,
        digest: bytes.to_owned(),
        calling_ae: "MODALITY".to_owned(),
        called_ae: "SAGITTAL".to_owned(),
        sender: "127.0.0.1".to_owned(),
    }
}

fn infer_job(destinations: &[&str]) -> NewInferJob {
    NewInferJob {
        rule: "brain".to_owned(),
        pipeline: "meshnet".to_owned(),
        destinations: destinations.iter().map(|&name| name.to_owned()).collect(),
        ..NewInferJob::default()
    }
}

fn closing(open: &OpenRevision, jobs: Vec<NewInferJob>) -> Closing {
    Closing {
        revision: open.id,
        arrivals: open.arrivals,
        by: ClosedBy::Quiet,
        geometry: r#""regular""#.to_owned(),
        summary: r#"{"slices":2}"#.to_owned(),
        explanation: r#"{"rules":[]}"#.to_owned(),
        rules_revision: "r1".to_owned(),
        verdict: Verdict { jobs, ..Verdict::default() },
        study_rules: false,
    }
}

fn result(n: u32, bytes: &str) -> ResultRow {
    ResultRow {
        sop_class: uid("1.2.840.10008.5.1.4.1.1.66.4"),
        sop_instance: uid(&format!("2.25.{n}")),
        study: uid("1.2.3"),
        series: uid("2.25.99"),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        kind: "seg".to_owned(),
        form: None,
        location: format!("results/{n}/{bytes}"),
        length: bytes.len() as u64,
        sha256: bytes.to_owned(),
    }
}

fn retry(error: &str) -> Setback {
    Setback::Retry { error: error.to_owned(), after: SECOND }
}

fn snooze() -> Setback {
    Setback::Snooze { reason: "device busy".to_owned(), after: SECOND }
}

/// A ledger file; a crash copies it with its journal, as a power cut would leave them.
struct SqliteFile {
    folder: tempfile::TempDir,
    crashes: u32,
}

impl SqliteFile {
    fn make() -> Box<dyn Store> {
        Box::new(SqliteFile { folder: tempfile::tempdir().unwrap(), crashes: 0 })
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("{}.sqlite{ending}", self.crashes))
    }
}

impl Store for SqliteFile {
    fn open(&self, clock: &TestClock, options: LedgerOptions) -> Ledger {
        Ledger::open(&self.path(""), Arc::new(clock.clone()), options).unwrap()
    }

    fn crash(&mut self) {
        let before = ["", "-wal"].map(|ending| self.path(ending));
        self.crashes += 1;
        for (from, ending) in before.iter().zip(["", "-wal"]) {
            std::fs::copy(from, self.path(ending)).unwrap();
        }
    }
}

macro_rules! exercises {
    ($($group:ident: $($name:ident)+;)+) => {
        mod sqlite {
            $($(
                #[test]
                fn $name() {
                    super::$group::$name(super::Stand::new(super::SqliteFile::make));
                }
            )+)+
        }
    };
}

exercises! {
    arrivals: a_first_instance_opens_revision_1
        identical_bytes_change_nothing
        other_bytes_replace_from_their_revision_on
        a_late_instance_opens_revision_2_with_all_earlier_ones
        a_batch_is_recorded_whole_or_not_at_all
        a_release_counts_until_the_next_arrival
        concurrent_arrivals_share_one_revision;
    revisions: closing_makes_the_jobs_in_order
        a_revision_that_moved_on_is_not_closed
        a_revision_closes_once
        a_closing_that_cannot_be_stored_leaves_the_revision_open;
    claims: jobs_are_claimed_by_priority_then_age
        a_job_that_waited_long_enough_overtakes_newer_ones_of_a_higher_priority
        off_peak_models_run_in_their_hours_only
        a_destination_out_of_service_costs_the_others_nothing
        a_clock_that_jumps_loses_and_doubles_nothing
        excluded_destinations_are_passed_over
        the_analysis_time_is_that_of_the_first_claim
        a_heartbeat_keeps_the_lease_and_reports_a_lost_one
        a_lost_lease_is_taken_over_and_the_first_worker_is_refused
        concurrent_claims_never_share_a_job;
    outcomes: a_completed_infer_job_makes_one_deliver_job_for_each_destination
        a_shadow_job_or_one_without_results_delivers_nothing
        the_same_result_twice_is_one_and_different_bytes_are_refused
        one_failing_destination_delays_no_other
        the_last_failed_attempt_discards_and_keeps_the_error
        a_snooze_gives_the_attempt_back
        giving_up_and_holding_wait_for_an_operator
        a_job_that_kills_its_worker_again_and_again_is_given_up
        a_delivery_that_no_worker_lives_through_lets_others_go_first_and_is_never_given_up;
    circuits: three_failures_in_a_row_open_a_circuit_and_an_answer_closes_it
        what_waited_is_due_at_once_the_most_urgent_first;
    machine: every_operation_in_every_state_does_what_the_table_says;
    pending: what_waits_is_due_at_its_time_and_decided_once_even_after_a_crash
        another_series_of_the_study_brings_the_time_forward
        a_newer_revision_ends_what_waited_or_was_held
        a_hold_is_ended_once_and_by_one_person
        a_job_is_made_once_and_other_rules_join_it
        a_study_is_decided_on_what_was_there_and_makes_its_job_once;
    operator: a_retry_gives_a_fresh_budget
        a_cancelled_running_job_keeps_nothing_of_its_worker
        a_held_job_is_not_claimed_until_it_is_released
        a_stat_job_overtakes
        many_jobs_are_changed_and_the_others_passed_over
        results_are_sent_again_without_running_a_model
        refusals_name_the_job_its_state_and_what_is_allowed;
    confirmations: a_waiting_delivery_goes_on_when_its_report_comes_even_after_a_crash
        a_report_may_come_before_the_delivery_waits
        what_a_report_does_not_name_is_not_committed_to
        what_was_not_asked_for_is_not_missed
        a_report_that_never_comes_is_waited_for_no_longer_than_said;
    rules: a_text_in_force_is_recorded_once_and_again_when_it_comes_back
        rules_are_found_by_number_and_by_the_beginning_of_their_revision;
    notices: what_rules_and_destinations_come_to_is_an_event_once
        a_notice_is_due_until_it_was_taken_or_given_up_even_after_a_crash;
    counts: a_count_is_good_until_the_next_arrival;
    retrievals: a_series_is_fetched_once_for_a_revision
        a_study_is_decided_when_its_earlier_ones_came;
    commitments: a_report_says_what_is_held_and_why_the_rest_is_not
        a_report_is_due_until_it_is_taken_whatever_happens
        a_report_that_was_given_up_waits_for_the_operator
        a_transaction_uid_stands_for_one_request
        a_peer_gets_one_report_at_a_time;
    lists: filters_select_and_limit
        jobs_are_counted_by_sort_however_they_move
        the_way_of_the_work_is_told_by_stage
        a_job_is_shown_in_full
        counts_are_by_kind_and_state
        what_waits_and_what_went_through_is_measured
        events_are_kept_until_they_were_told_even_after_a_crash
        a_copy_holds_what_was_committed
        own_results_and_their_bytes_are_known
        the_past_is_told_in_pages
        a_decision_is_found_by_series_and_by_job;
    unanswered: readers_are_told_once_of_a_job_that_was_given_up
        a_late_job_is_told_of_and_may_still_end_well
        nobody_is_told_of_what_ended_well_was_cancelled_or_was_not_asked_for;
    restart: a_crash_after_any_call_loses_and_repeats_nothing
        a_second_process_sees_what_was_committed;
}
