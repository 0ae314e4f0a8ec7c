//! `sagittal jobs stats`: what waits, what failed, how long the work takes.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::shown::seconds;
use super::{JobsError, aligned, section, time};
use crate::clock::Millis;
use crate::ledger::{JobState, Ledger, Statistics};

pub(super) fn print(
    ledger: &Ledger,
    now: Millis,
    since: Duration,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), JobsError> {
    let from = Millis(now.0.saturating_sub(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)));
    let found: Vec<_> = ledger.statistics(from)?.into_iter().collect();
    if as_json {
        let targets: Vec<Value> = found.iter().map(|((by, name), one)| as_value(by, name, one, since)).collect();
        return super::json(out, &json!({ "since": from, "seconds": since.as_secs(), "targets": targets }));
    }
    let head = ["BY", "NAME", "WAITING", "HELD", "GIVEN UP", "COMPLETED", "PER HOUR", "OLDEST"].map(str::to_owned);
    let counts = found.iter().map(|((by, name), one)| counted(by, name, one, since));
    let counts: Vec<_> = std::iter::once(head).chain(counts).collect();
    let stages = found.iter().flat_map(|((by, name), one)| timed(by, name, one));
    let title = format!("durations of jobs that ended since {}", time(from));
    let stages = section(&title, ["BY", "NAME", "STAGE", "COUNT", "MEDIAN", "95 %", "LONGEST"], stages);
    Ok(out.write_all((aligned(&counts) + &stages).as_bytes())?)
}

fn as_value(by: &str, name: &str, one: &Statistics, since: Duration) -> Value {
    json!({
        "by": by, "name": name, "states": one.states, "oldest": one.oldest, "completed": one.completed,
        "per_hour": per_hour(one, since), "stages": one.stages,
    })
}

fn counted(by: &str, name: &str, one: &Statistics, since: Duration) -> [String; 8] {
    let count = |states: &[JobState]| states.iter().filter_map(|state| one.states.get(state)).sum::<u64>().to_string();
    [
        by.to_owned(),
        name.to_owned(),
        count(&[JobState::Available, JobState::Running, JobState::Retryable]),
        count(&[JobState::Held]),
        count(&[JobState::Discarded]),
        one.completed.to_string(),
        format!("{:.1}", per_hour(one, since)),
        one.oldest.map_or_else(|| "-".to_owned(), time),
    ]
}

fn per_hour(one: &Statistics, since: Duration) -> f64 {
    one.completed as f64 * 3600.0 / since.as_secs_f64().max(1.0)
}

fn timed(by: &str, name: &str, one: &Statistics) -> Vec<[String; 7]> {
    let row = |(stage, spread): (&String, &crate::ledger::Spread)| {
        let [median, p95, longest] = [spread.median, spread.p95, spread.longest].map(seconds);
        [by.to_owned(), name.to_owned(), stage.clone(), spread.count.to_string(), median, p95, longest]
    };
    one.stages.iter().map(row).collect()
}
