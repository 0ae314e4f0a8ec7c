//! When a series is finished, and what is decided then: geometry, rules, jobs; one transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use rayon::prelude::*;

use super::decide::{Case, Decided, decide, has_study_rules, json, waiting_in};
use super::{IntakeError, arrive};
use crate::clock::Millis;
use crate::config::{Config, LatePolicy, NodeConfig};
use crate::dicom::{Dataset, GeometryVerdict, Plane, SeriesKey, check_geometry, frames};
use crate::ledger::{ClosedBy, Closing, InstanceRow, Ledger, LedgerError, OpenRevision, Verdict};
use crate::rules::{Explanation, Outcome, RuleExplanation, SeriesFacts, SeriesSummary};
use crate::spool::{Location, Spool};

/// What closing a revision brought.
#[derive(Debug, Clone)]
pub struct Closed {
    pub series: SeriesKey,
    pub revision: i64,
    pub by: ClosedBy,
    pub geometry: GeometryVerdict,
    pub jobs: Vec<i64>,
}

/// Quiet time after a release when all are there that the headers announce.
const COMPLETE: Duration = Duration::from_secs(1);

/// When `open` is finished if nothing more comes, and by which condition. A count that is reached closes at once; one
/// that is not says that more is to come on another association. `announced`: by the headers.
pub(super) fn due(open: &OpenRevision, node: &NodeConfig, announced: Option<u64>) -> (Millis, ClosedBy) {
    let quiet = (open.last_arrival_at.plus(node.quiet), ClosedBy::Quiet);
    match (open.expected, open.released_at) {
        (Some(expected), _) if open.instances >= expected => (open.last_arrival_at, ClosedBy::ExpectedCount),
        (Some(_), _) | (None, None) => quiet,
        (None, Some(released)) => {
            let since = released.max(open.last_arrival_at);
            let after_release = (since.plus(node.quiet_after_release), ClosedBy::QuietAfterRelease);
            let complete = announced.filter(|count| open.instances >= *count);
            let complete = complete.map(|_| (since.plus(COMPLETE), ClosedBy::ExpectedCount));
            [complete.unwrap_or(after_release), after_release, quiet]
                .into_iter()
                .min_by_key(|(at, _)| *at)
                .unwrap_or(quiet)
        }
    }
}

/// Closes `open`; `None` when it stays open: an instance came in between, or the rest of the series is to be fetched first.
pub(super) fn close(
    ledger: &Ledger,
    spool: &Spool,
    config: &Config,
    open: &OpenRevision,
    by: ClosedBy,
    now: Millis,
) -> Result<Option<Closed>, IntakeError> {
    let instances = ledger.revision_instances(open.id)?;
    let headers = read_headers(spool, &instances)?;
    let planes: Vec<Option<Plane>> = headers.iter().flat_map(frames::planes).collect();
    let geometry = check_geometry(&planes);
    let summary = summarize(&instances, &headers, &geometry, planes.len());
    drop(headers);
    let (verdict, explanation, study_rules) = decided(ledger, config, now, open, &instances, &summary)?;
    if !matches!(by, ClosedBy::Operator | ClosedBy::Api)
        && ledger.want_series(open.id, &open.series, &fetching(config, &verdict, &explanation, study_rules))?
    {
        return Ok(None);
    }
    if let Some(hold) = &verdict.hold {
        tracing::warn!(series = %open.series.series, rule = hold.rule, "series held: {}", hold.reason);
    }
    let closing = Closing {
        revision: open.id,
        arrivals: open.arrivals,
        by,
        geometry: json(&geometry),
        summary: json(&summary),
        explanation: json(&explanation),
        rules_revision: config.rules.revision().to_owned(),
        verdict,
        study_rules,
    };
    match ledger.close_revision(&closing) {
        Ok(jobs) => Ok(Some(Closed { series: open.series.clone(), revision: open.number, by, geometry, jobs })),
        Err(LedgerError::RevisionMoved { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_headers(spool: &Spool, instances: &[InstanceRow]) -> Result<Vec<Dataset>, IntakeError> {
    instances
        .par_iter()
        .map(|row| {
            let reader = spool.open_reader(&Location(row.location.clone()))?;
            arrive::read_header(reader)
        })
        .collect()
}

fn summarize(
    instances: &[InstanceRow],
    headers: &[Dataset],
    geometry: &GeometryVerdict,
    slices: usize,
) -> SeriesSummary {
    let first = instances.first();
    let of_first = |value: fn(&InstanceRow) -> &String| first.map(|row| value(row).clone()).unwrap_or_default();
    let last = instances.iter().map(|row| row.received_at).max();
    let facts = SeriesFacts {
        calling_ae: of_first(|row| &row.calling_ae),
        called_ae: of_first(|row| &row.called_ae),
        sender: of_first(|row| &row.sender),
        received_at: last.map(|at| at.0),
        utc_offset: last.map_or(0, Millis::utc_offset),
        ..SeriesFacts::default()
    };
    SeriesSummary::of(headers, facts.with_geometry(geometry, slices))
}

/// What the rules say, and whether those of whole studies are to look; nothing is done with our own results (invariant 9)
/// and with what was fetched as an earlier study. Of a late instance that is only to be kept, those rules make jobs that had not been decided before.
fn decided(
    ledger: &Ledger,
    config: &Config,
    now: Millis,
    open: &OpenRevision,
    instances: &[InstanceRow],
    summary: &SeriesSummary,
) -> Result<(Verdict, Explanation, bool), IntakeError> {
    let late = open.number > 1 && config.node.late == LatePolicy::Ignore;
    let waiting = if late { ledger.still_waiting(open.id)?.map(|text| waiting_in(&text)) } else { None };
    let only = late.then(|| waiting.unwrap_or_default());
    let case =
        Case { study: &open.series.study, revision: None, summary, fired: &[], released: None, only: only.as_ref() };
    let Decided { verdict, explanation } = decide(ledger, config, now, case)?;
    let own = instances.first().map(|first| ledger.is_own_result(&first.sop_instance)).transpose()?;
    if own != Some(false) || ledger.is_prior(&open.series)? {
        return Ok((Verdict::default(), explanation, false));
    }
    Ok((verdict, explanation, has_study_rules(config)))
}

/// The pipelines that the rules have in mind for the series and that want it as whole as a PACS has it.
fn fetching(config: &Config, verdict: &Verdict, explanation: &Explanation, study_rules: bool) -> Vec<String> {
    let mut names: BTreeSet<&str> = verdict.jobs.iter().map(|job| job.pipeline.as_str()).collect();
    let minded = |rule: &&RuleExplanation| match &rule.outcome {
        Outcome::Waits { .. } => verdict.due.is_some(),
        Outcome::Study { inputs } => study_rules && !inputs.is_empty(),
        _ => false,
    };
    names.extend(explanation.rules.iter().filter(minded).filter_map(|rule| config.pipeline_of(&rule.name)));
    let wants = |name: &&str| {
        let pipeline = config.pipelines.get(*name);
        pipeline.and_then(|pipeline| pipeline.retrieve.as_ref()).is_some_and(|fetch| fetch.series)
    };
    names.into_iter().filter(wants).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::dicom::Uid;

    #[test]
    fn the_first_condition_that_holds_closes() {
        let title = crate::dicom::AeTitle::parse("SAGITTAL").unwrap();
        let mut node = NodeConfig::new(title, std::path::Path::new("."));
        node.quiet = std::time::Duration::from_secs(30);
        node.quiet_after_release = std::time::Duration::from_secs(5);
        let uid = || Uid::derived(&["x"]);
        let check_announced = |(arrival, released, expected): (i64, Option<i64>, Option<u64>), announced, at, by| {
            let open = OpenRevision {
                id: 1,
                series: SeriesKey { study: uid(), series: uid() },
                number: 1,
                opened_at: Millis(0),
                last_arrival_at: Millis(arrival),
                released_at: released.map(Millis),
                instances: 5,
                arrivals: 5,
                expected,
            };
            assert_eq!(
                due(&open, &node, announced),
                (Millis(at), by),
                "{arrival} {released:?} {expected:?} {announced:?}"
            );
        };
        let check = |state, at: i64, by: ClosedBy| check_announced(state, None, at, by);
        check_announced((0, Some(1_000), None), Some(5), 2_000, ClosedBy::ExpectedCount);
        check_announced((0, Some(1_000), None), Some(6), 6_000, ClosedBy::QuietAfterRelease);
        check_announced((0, None, None), Some(5), 30_000, ClosedBy::Quiet);
        check_announced((0, Some(1_000), Some(6)), Some(5), 30_000, ClosedBy::Quiet);
        check((0, None, None), 30_000, ClosedBy::Quiet);
        check((0, Some(1_000), None), 6_000, ClosedBy::QuietAfterRelease);
        check((4_000, Some(1_000), None), 9_000, ClosedBy::QuietAfterRelease);
        check((0, Some(26_000), None), 30_000, ClosedBy::Quiet);
        check((0, None, Some(5)), 0, ClosedBy::ExpectedCount);
        check((0, Some(1_000), Some(4)), 0, ClosedBy::ExpectedCount);
        check((0, Some(1_000), Some(6)), 30_000, ClosedBy::Quiet);
    }
}
