//! `sagittal rules unmatched`: series that no rule had anything to do with, and what kept the nearest rule away.
//!
//! Prints attribute values, as `rules explain` does.

use std::io::Write;
use std::time::Duration;

use super::jobs::time;
use super::{ConfigFolder, Failure};
use crate::clock::{Clock, Millis, SystemClock};
use crate::intake::unmatched;
use crate::rules::{Nearest, quantity};

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
    let rows = unmatched(&args.config.ledger_alone()?, since, args.limit);
    let rows = rows.map_err(|error| Failure::Failed(error.to_string()))?;
    if args.json {
        writeln!(out, "{:#}", serde_json::to_value(rows).unwrap_or_default())?;
        return Ok(());
    }
    for row in &rows {
        writeln!(out, "{}  {}  revision {}", time(row.closed_at), row.series, row.revision)?;
        match &row.nearest {
            Some(nearest) => writeln!(out, "    {}", sentence(nearest))?,
            None => writeln!(out, "    there was no rule to match")?,
        }
    }
    Ok(())
}

fn sentence(nearest: &Nearest) -> String {
    let Nearest { rule, line, failed, conditions, condition } = nearest;
    let found = condition.found.as_ref().map(|found| format!("; found {found}")).unwrap_or_default();
    let (key, expected) = (&condition.key, &condition.expected);
    format!("nearest: {rule} (line {line}), {failed} of {conditions} conditions fail: {key}: {expected}{found}")
}
