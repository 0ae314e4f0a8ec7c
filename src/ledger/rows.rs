//! The values that cross the ledger's seam.

use std::time::Duration;

use serde::Serialize;

use super::VerdictRow;
use crate::clock::Millis;
use crate::dicom::ladder::Form;
use crate::dicom::{SeriesKey, Uid};

/// An instance whose bytes are durable in the spool, about to be recorded.
#[derive(Debug, Clone)]
pub struct ArrivedInstance {
    pub series: SeriesKey,
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    /// Where the spool keeps the Part 10 file.
    pub location: String,
    pub length: u64,
    /// Says of two copies whether they may be the same; any text that follows from the data set alone.
    pub digest: String,
    pub calling_ae: String,
    pub called_ae: String,
    /// IP address of the sender, or `cli`, `http`.
    pub sender: String,
}

/// What recording an instance meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// First time this SOP Instance UID is seen in its series.
    New { revision: i64 },
    /// The same bytes are held already: the new copy can be removed from the spool.
    Identical,
    /// Other bytes under the same SOP Instance UID, and the first count: not recorded.
    Differs,
    /// Other bytes under the same SOP Instance UID: the newest bytes count from this revision on.
    Replaced { revision: i64 },
}

/// A revision that is still open.
#[derive(Debug, Clone)]
pub struct OpenRevision {
    pub id: i64,
    pub series: SeriesKey,
    pub number: i64,
    pub opened_at: Millis,
    pub last_arrival_at: Millis,
    /// The association that fed it last was released at this time (and no instance came since).
    pub released_at: Option<Millis>,
    /// Distinct SOP instances, those of earlier revisions included.
    pub instances: u64,
    /// Grows with every arrival that changed this revision (new or replaced bytes): the proof that
    /// [`Closing`] is guarded by.
    pub arrivals: u64,
    /// Instances that the sender says it holds of the series: announced, or counted in this state of the revision.
    pub expected: Option<u64>,
}

/// An open revision whose sender is to be asked how many instances it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncounted {
    pub revision: i64,
    pub arrivals: u64,
    pub series: SeriesKey,
    /// Who sent its latest instance.
    pub calling_ae: String,
}

/// Why a revision closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClosedBy {
    Quiet,
    QuietAfterRelease,
    Operator,
    ExpectedCount,
    /// Orthanc said that the series is stable.
    StableSeries,
    Api,
}

/// An instance of a revision, for reading.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceRow {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    pub location: String,
    pub length: u64,
    pub calling_ae: String,
    pub called_ae: String,
    pub sender: String,
    pub received_at: Millis,
}

/// An infer job to be made when a revision closes, or later.
#[derive(Debug, Clone, Default)]
pub struct NewInferJob {
    pub rule: String,
    pub pipeline: String,
    pub destinations: Vec<String>,
    pub priority: Priority,
    /// `true`: results are kept and nothing is sent (rule mode `shadow`).
    pub shadow: bool,
    /// Geometry verdicts taken instead of the pipeline's.
    pub accept: Option<Vec<String>>,
    /// Why it cannot run: it is discarded from the start, to be seen.
    pub refused: Option<String>,
    pub inform: Inform,
    /// Of a study rule; empty: the revision alone.
    pub inputs: Vec<JobInput>,
}

/// What the readers are told of in the study itself when there is no result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inform {
    /// That the job was given up.
    pub failed: bool,
    /// That it has not ended so long after it was made; only beside `failed`.
    pub after: Option<Duration>,
    /// That the model found nothing.
    pub nothing_found: bool,
}

impl NewInferJob {
    /// All inputs in one text, `None` for the revision alone.
    pub(super) fn inputs_key(&self) -> Option<String> {
        let inputs: Vec<String> = self.inputs.iter().map(|i| format!("{}={}", i.name, i.revision)).collect();
        (!inputs.is_empty()).then(|| inputs.join("\n"))
    }
}

/// A named input of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobInput {
    pub name: String,
    /// `revisions.id`.
    pub revision: i64,
}

/// A series on which a rule says hold.
#[derive(Debug, Clone)]
pub struct NewHold {
    pub rule: String,
    pub reason: String,
}

/// A rule that waited in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGiveUp {
    pub rule: String,
    /// What did not come, without attribute values.
    pub reason: String,
}

/// What a decision means for a closed revision.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub jobs: Vec<NewInferJob>,
    /// Names of the rules that made the jobs; they make no others of this revision.
    pub fired: Vec<String>,
    /// When the rules that wait are to be decided again.
    pub due: Option<Millis>,
    pub hold: Option<NewHold>,
    pub gave_up: Vec<NewGiveUp>,
    /// No rule had anything to do with the series.
    pub unmatched: bool,
}

/// Everything that is decided at closing, written in one transaction.
#[derive(Debug, Clone)]
pub struct Closing {
    pub revision: i64,
    /// `arrivals` of the [`OpenRevision`] that the decision was made on; read before its instances.
    pub arrivals: u64,
    pub by: ClosedBy,
    /// `GeometryVerdict` as JSON.
    pub geometry: String,
    /// `SeriesSummary` as JSON, for replay.
    pub summary: String,
    /// `Explanation` as JSON.
    pub explanation: String,
    /// Digest of the rules text that decided.
    pub rules_revision: String,
    pub verdict: Verdict,
    /// There are rules of whole studies, and this series may be an input of them.
    pub study_rules: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    Stat,
    Urgent,
    #[default]
    Routine,
    OffPeak,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    Infer,
    Deliver,
}

/// A job's state. `Completed`, `Discarded`, `Cancelled` are final until an operator acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Ready to be claimed at `scheduled_at`.
    Available,
    /// Claimed by a worker whose lease runs.
    Running,
    /// Failed, to be tried again at `scheduled_at`.
    Retryable,
    Completed,
    /// Given up: the last attempt says why. An operator can retry it.
    Discarded,
    Cancelled,
    /// Shadow or quarantine: waits for an operator.
    Held,
}

/// A claimed job: the proof (`id`, `attempt`) that every later transition is guarded by.
#[derive(Debug, Clone)]
pub struct Claim {
    pub job: i64,
    /// 1-based number of this attempt.
    pub attempt: u32,
    /// Since when it could have been claimed.
    pub due_at: Millis,
    pub claimed_at: Millis,
    /// When its series was finished.
    pub series_closed_at: Option<Millis>,
    pub work: Work,
    /// How long each stage of the attempt took so far, in order: written down with its end.
    pub stages: Vec<StageTime>,
}

/// How long a stage of an attempt took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct StageTime {
    /// A word of [`AttemptRow::stage`].
    pub stage: String,
    pub milliseconds: u64,
}

/// What a claimed job asks for.
#[derive(Debug, Clone)]
pub enum Work {
    Infer {
        revision: i64,
        series: SeriesKey,
        pipeline: String,
        rule: String,
        destinations: Vec<String>,
        shadow: bool,
        /// Geometry verdicts taken instead of the pipeline's.
        accept: Option<Vec<String>>,
        /// In the order of the rule; empty: the revision alone.
        inputs: Vec<JobInput>,
        /// That nothing was found is to be told by a report.
        tells_nothing_found: bool,
        /// Fixed at the first claim: ContentDate/Time of every result, however often the job is tried.
        analysis_started_at: Millis,
    },
    Deliver {
        destination: String,
        /// Results of the infer job, in sending order.
        results: Vec<ResultRow>,
    },
}

/// A result object whose bytes are durable in the spool.
#[derive(Debug, Clone, Serialize)]
pub struct ResultRow {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub study: Uid,
    pub series: Uid,
    pub transfer_syntax: Uid,
    /// What it is, in the words of the configuration: `seg`.
    pub kind: String,
    /// The form of the segmentation that it is or refers to, where there are several: a destination gets those of one form,
    /// and all without.
    pub form: Option<Form>,
    pub location: String,
    pub length: u64,
    pub sha256: String,
}

/// How a delivery ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivered {
    /// The peer said that it has the objects (query, Orthanc's answer, stored file).
    Confirmed,
    /// The peer answered success to the transfer, nobody asked it again.
    SentUnconfirmed,
    /// Nothing was sent: the destination only says what would have been.
    Reported,
}

/// How an attempt ended badly, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setback {
    /// Try again after this; counts as an attempt.
    Retry { error: String, after: Duration },
    /// Not now (device busy, shutdown): the attempt is given back.
    Snooze { reason: String, after: Duration },
    /// Trying again cannot help.
    GiveUp { error: String },
    /// A fault of the result itself (referee): kept, not sent, waits for an operator.
    Hold { error: String },
}

/// A job as listed and shown.
#[derive(Debug, Clone, Serialize)]
pub struct JobRow {
    pub id: i64,
    pub kind: JobKind,
    pub state: JobState,
    pub priority: Priority,
    pub pipeline: String,
    pub rule: String,
    /// Of a deliver job.
    pub destination: Option<String>,
    pub study: Uid,
    pub series: Uid,
    pub revision: i64,
    /// Attempts that count; snoozes and lost leases were given back.
    pub attempt: u32,
    pub max_attempts: u32,
    pub scheduled_at: Millis,
    pub created_at: Millis,
    pub finished_at: Option<Millis>,
    pub delivered: Option<Delivered>,
    pub last_error: Option<String>,
    /// What the attempt that ended with `last_error` was at.
    pub stage: Option<String>,
}

/// What jobs have in common, and how many they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobSort {
    pub kind: JobKind,
    pub state: JobState,
    pub pipeline: String,
    pub rule: String,
    pub destination: Option<String>,
    /// What the last attempt was at when it ended badly.
    pub stage: Option<String>,
    pub jobs: u64,
    /// When the oldest of them was made.
    pub oldest: Millis,
}

/// How much there is of everything, for metrics and the console.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs without a job are absent.
    pub jobs: std::collections::BTreeMap<(JobKind, JobState), u64>,
    pub open_revisions: u64,
    pub closed_revisions: u64,
    /// Closed revisions that no rule had anything to do with.
    pub unmatched: u64,
    /// Series on hold.
    pub held: u64,
    /// Revisions and studies on which rules wait.
    pub waiting: u64,
}

/// A closed revision as the rules saw it, for replay.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    pub series: SeriesKey,
    /// Number of the revision within its series, from 1.
    pub number: i64,
    pub closed_at: Millis,
    /// `SeriesSummary` as JSON.
    pub summary: String,
}

/// What was decided about a revision, or why a job was made.
#[derive(Debug, Clone)]
pub struct Decision {
    pub series: SeriesKey,
    /// Number of the revision within its series, from 1.
    pub number: i64,
    pub instances: u64,
    pub closed_at: Millis,
    pub closed_by: ClosedBy,
    /// `SeriesSummary` as JSON.
    pub summary: String,
    /// `Explanation` as JSON, or `StudyRouting`.
    pub explanation: String,
    /// Digest of the rules text that decided.
    pub rules_revision: String,
    /// A rule of the whole study decided.
    pub of_study: bool,
    /// Of a series: `StudyRouting` as JSON, what was decided last about its study.
    pub study_explanation: Option<String>,
}

/// One try of a job.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRow {
    /// Number of the claim. Of snoozed attempts only the latest is kept, so numbers may be missing.
    pub number: u32,
    pub worker: String,
    pub started_at: Millis,
    pub ended_at: Option<Millis>,
    /// `completed`, `retry`, `snoozed`, `gave-up`, `held`, `lease-expired`, `cancelled`; `None` while running.
    pub outcome: Option<String>,
    pub error: Option<String>,
    /// What it was at when it ended badly: `read`, `model`, `write`, `verify`, `connect`, `negotiate`, `send`, `confirm`.
    pub stage: Option<String>,
    /// How long each stage took, as far as it came.
    pub stages: Vec<StageTime>,
}

/// Everything about one job.
#[derive(Debug, Clone, Serialize)]
pub struct JobDetail {
    pub job: JobRow,
    pub closed_by: Option<String>,
    pub geometry: Option<serde_json::Value>,
    pub explanation: Option<serde_json::Value>,
    pub rules_revision: Option<String>,
    /// Of a study rule's job, in its order.
    pub inputs: Vec<InputRow>,
    pub attempts: Vec<AttemptRow>,
    pub results: Vec<ResultRow>,
    /// In which form the destination of a deliver job gets a segmentation.
    pub choice: Option<serde_json::Value>,
    /// What the destination of a deliver job said of each object, the latest word.
    pub answers: Vec<VerdictRow>,
    /// Deliver jobs of an infer job.
    pub deliveries: Vec<JobRow>,
}

/// A named input of a job, as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputRow {
    pub name: String,
    pub study: Uid,
    pub series: Uid,
    /// Number of the revision within its series.
    pub revision: i64,
}

/// A series that no rule had anything to do with.
#[derive(Debug, Clone)]
pub struct UnmatchedRow {
    pub series: SeriesKey,
    /// Number of the revision within its series.
    pub number: i64,
    pub closed_at: Millis,
    /// `Explanation` as JSON.
    pub explanation: String,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub states: Vec<JobState>,
    pub kind: Option<JobKind>,
    pub pipeline: Option<String>,
    /// One of the rules that asked for the job.
    pub rule: Option<String>,
    pub study: Option<Uid>,
    pub series: Option<Uid>,
    pub destination: Option<String>,
    /// What the last attempt was at when it ended badly.
    pub stage: Option<String>,
    /// Made at this time or later.
    pub since: Option<Millis>,
    /// Made before this time.
    pub until: Option<Millis>,
    /// At most this many, newest first; `None`: 100.
    pub limit: Option<u32>,
}
