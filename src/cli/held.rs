//! `sagittal series held | waiting | release | drop`: what does not go on by itself, and what an operator does with it.

use super::jobs::time;
use super::{ConfigFolder, Failure, history};
use crate::ledger::WaitingRow;
use crate::rules::{Explanation, Outcome, StudyRouting, StudyVerdict};

/// Series that a rule keeps for an operator; with `all` also those that it kept.
pub fn list(config: &ConfigFolder, all: bool, json: bool) -> Result<(), Failure> {
    let rows = config.ledger_alone()?.holds(all)?;
    if json {
        println!("{:#}", serde_json::to_value(rows).unwrap_or_default());
        return Ok(());
    }
    for row in rows {
        println!("{}  revision {}  since {}", row.series, row.revision, time(row.since));
        println!("    {}: {}", row.rule, row.reason);
        if let (Some(outcome), Some(at)) = (row.outcome, row.ended_at) {
            println!("    {outcome} at {} by {}", time(at), row.who.as_deref().unwrap_or("a newer revision"));
        }
    }
    Ok(())
}

/// Series and studies on which rules wait.
pub fn waiting(config: &ConfigFolder, json: bool) -> Result<(), Failure> {
    let rows = config.ledger_alone()?.waiting()?;
    if json {
        println!("{:#}", serde_json::to_value(rows).unwrap_or_default());
        return Ok(());
    }
    for row in rows {
        let what = row.series.as_ref().map_or_else(|| format!("study {}", row.study), ToString::to_string);
        println!("{what}  decided again at {} or when a series of the study is finished", time(row.due_at));
        for line in lines(&row) {
            println!("    {line}");
        }
    }
    Ok(())
}

/// A line for each rule that waits.
fn lines(row: &WaitingRow) -> Vec<String> {
    let explained = row.explanation.clone().unwrap_or_default();
    if row.series.is_none() {
        let routing: StudyRouting = serde_json::from_value(explained).unwrap_or_default();
        let waits = routing.rules.iter().filter(|rule| matches!(rule.verdict, StudyVerdict::Waits { .. }));
        return waits.map(|rule| format!("{}: {}", rule.name, rule.verdict)).collect();
    }
    let explanation: Explanation = serde_json::from_value(explained).unwrap_or_default();
    let waits = explanation.rules.iter().filter(|rule| matches!(rule.outcome, Outcome::Waits { .. }));
    waits.map(|rule| format!("{}: {}", rule.name, rule.outcome)).collect()
}

pub fn release(folder: &ConfigFolder, series: &str) -> Result<(), Failure> {
    let jobs =
        folder.intake()?.release(series, &history::user()).map_err(|error| Failure::Failed(error.to_string()))?;
    println!("{series} goes on, {} jobs", jobs.len());
    Ok(())
}

pub fn drop_held(folder: &ConfigFolder, series: &str) -> Result<(), Failure> {
    let intake = folder.intake()?;
    intake.drop_held(series, &history::user()).map_err(|error| Failure::Failed(error.to_string()))?;
    println!("{series} is dropped: nothing is run on it");
    Ok(())
}
