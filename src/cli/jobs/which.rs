//! Which jobs a command is about: the options that `list`, `retry`, `cancel`, `resend` and `export` have in common.

use std::time::Duration;

use chrono::{Local, NaiveDate, NaiveDateTime, TimeZone};

use crate::clock::Millis;
use crate::dicom::Uid;
use crate::ledger::{JobFilter, JobKind, JobState};
use crate::rules::quantity::span;

#[derive(Debug, Default, clap::Args)]
pub struct Which {
    /// Only jobs in this state: available, running, retryable, completed, discarded, cancelled, held; may be repeated
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<JobState>,
    /// Only jobs of this kind: infer, deliver
    #[arg(long)]
    kind: Option<JobKind>,
    /// Only jobs that this rule asked for
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only jobs of this pipeline and deliveries of its results
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only deliveries to this destination
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Only jobs that failed at this stage last: read, model, write, verify, connect, negotiate, send, confirm
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Only jobs of this study, by Study Instance UID
    #[arg(long, value_name = "UID", value_parser = Uid::parse)]
    study: Option<Uid>,
    /// Only jobs of this series, by Series Instance UID
    #[arg(long, value_name = "UID", value_parser = Uid::parse)]
    series: Option<Uid>,
    /// Only jobs made since: an age (90min, 2d), a day or a time (2026-11-20, 2026-11-20T08:30) of the local clock
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Moment>,
    /// Only jobs made before, in the same form: `--until 7d` are those older than a week
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Ago(Duration),
    At(Millis),
}

impl Moment {
    fn seen_from(self, now: Millis) -> Millis {
        match self {
            Moment::Ago(age) => Millis(now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))),
            Moment::At(at) => at,
        }
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    let day = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
    let minute = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").ok();
    let local = day().or_else(minute).or_else(|| text.parse().ok());
    // an hour that the clocks leave out or repeat has an earliest reading, or none
    match local.map(|local| Local.from_local_datetime(&local).earliest()) {
        Some(Some(at)) => Ok(Moment::At(Millis(at.timestamp_millis()))),
        _ => span(text).map(Moment::Ago).map_err(|age| format!("{age}, or a day or time such as 2026-11-20T08:30")),
    }
}

impl Which {
    /// Without any condition every job would be meant.
    pub(super) fn is_empty(&self) -> bool {
        self.shown().is_empty()
    }

    pub(super) fn filter(&self, now: Millis) -> JobFilter {
        JobFilter {
            states: self.states.clone(),
            kind: self.kind,
            pipeline: self.pipeline.clone(),
            rule: self.rule.clone(),
            study: self.study.clone(),
            series: self.series.clone(),
            destination: self.destination.clone(),
            stage: self.stage.clone(),
            since: self.since.map(|moment| moment.seen_from(now)),
            until: self.until.map(|moment| moment.seen_from(now)),
            limit: None,
        }
    }

    /// As it stood on the command line, for the audit trail.
    pub(super) fn shown(&self) -> String {
        let mut words: Vec<String> = self.states.iter().map(|state| format!("state {state}")).collect();
        let mut add = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {value}")));
        add("kind", self.kind.map(|kind| kind.to_string()));
        add("rule", self.rule.clone());
        add("pipeline", self.pipeline.clone());
        add("destination", self.destination.clone());
        add("stage", self.stage.clone());
        add("study", self.study.as_ref().map(ToString::to_string));
        add("series", self.series.as_ref().map(ToString::to_string));
        add("since", self.since.map(Moment::shown));
        add("until", self.until.map(Moment::shown));
        words.join(", ")
    }
}

impl Moment {
    fn shown(self) -> String {
        match self {
            Moment::Ago(age) => format!("{} s ago", age.as_secs()),
            Moment::At(at) => super::time(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_age_a_day_or_a_time() {
        let at = |text: &str| text.parse().map(|local| Local.from_local_datetime(&local).earliest());
        let check = |text: &str, expected: &str| {
            let expected = at(expected).ok().flatten().map(|at| Moment::At(Millis(at.timestamp_millis())));
            assert_eq!(moment(text).ok(), expected, "{text}");
        };
        assert_eq!(moment("90min"), Ok(Moment::Ago(Duration::from_mins(90))));
        check("2026-11-20", "2026-11-20T00:00:00");
        check("2026-11-20T08:30", "2026-11-20T08:30:00");
        check("2026-11-20T08:30:15", "2026-11-20T08:30:15");
        assert!(moment("yesterday").is_err());
        assert_eq!(Moment::Ago(Duration::from_secs(2)).seen_from(Millis(5000)), Millis(3000));
    }
}
