//! `sagittal rules unmatched`: series that no rule had anything to do with, and what kept the nearest rule away.
//!
//! Prints attribute values, as `rules explain` does.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::jobs::time;
use super::{ConfigFolder, Failure};
use crate::clock::{Clock, Millis, SystemClock};
use crate::ledger::UnmatchedRow;
use crate::rules::{Explanation, Nearest, quantity};

#[derive(Debug, clap::Args)]
pub struct UnmatchedArgs {
    /// Only series finished in this time, such as "12 h" or "7 d"
    #[arg(long, value_name = "TIME", default_value = "7 d", value_parser = quantity::span)]
    since: Duration,
    /// At most this many, newest first
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFolder,
}

pub fn run(args: &UnmatchedArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let since = Millis(SystemClock.now().0.saturating_sub(args.since.as_millis() as i64));
    let rows = args.config.ledger_alone()?.unmatched(since, args.limit)?;
    let rows: Vec<(UnmatchedRow, Explanation)> = rows
        .into_iter()
        .map(|row| {
            let explanation = serde_json::from_str(&row.explanation).unwrap_or_default();
            (row, explanation)
        })
        .collect();
    if args.json {
        let rows: Vec<_> = rows.iter().map(|(row, explanation)| as_json(row, explanation.nearest())).collect();
        writeln!(out, "{:#}", serde_json::Value::Array(rows))?;
        return Ok(());
    }
    for (row, explanation) in &rows {
        writeln!(out, "{}  {}  revision {}", time(row.closed_at), row.series.series, row.number)?;
        match explanation.nearest() {
            Some(nearest) => writeln!(out, "    {}", sentence(&nearest))?,
            None => writeln!(out, "    there was no rule to match")?,
        }
    }
    Ok(())
}

fn sentence(nearest: &Nearest<'_>) -> String {
    let Nearest { rule, line, failed, conditions, condition } = nearest;
    let found = condition.found.as_ref().map(|found| format!("; found {found}")).unwrap_or_default();
    let (key, expected) = (&condition.key, &condition.expected);
    format!("nearest: {rule} (line {line}), {failed} of {conditions} conditions fail: {key}: {expected}{found}")
}

fn as_json(row: &UnmatchedRow, nearest: Option<Nearest<'_>>) -> serde_json::Value {
    let nearest = nearest.map(|nearest| {
        json!({
            "rule": nearest.rule, "line": nearest.line, "failed": nearest.failed, "conditions": nearest.conditions,
            "condition": nearest.condition,
        })
    });
    json!({
        "study": row.series.study, "series": row.series.series, "revision": row.number, "closed_at": row.closed_at,
        "nearest": nearest,
    })
}
