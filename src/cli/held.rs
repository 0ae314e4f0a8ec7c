//! `sagittal series held | waiting | release | drop`: what does not go on by itself, and what an operator does with it.

use serde_json::Value;

use super::jobs::time;
use super::{ConfigFolder, Failure, history};
use crate::ledger::WaitingRow;

/// Series that a rule keeps for an operator.
pub fn list(config: &ConfigFolder, json: bool) -> Result<(), Failure> {
    let rows = config.ledger_alone()?.holds()?;
    if json {
        println!("{:#}", serde_json::to_value(rows).unwrap_or_default());
        return Ok(());
    }
    for row in rows {
        println!("{}  revision {}  since {}", row.series, row.revision, time(row.since));
        println!("    {}: {}", row.rule, row.reason);
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
    let Some(Value::Array(rules)) = row.explanation.as_ref().and_then(|explained| explained.get("rules")) else {
        return Vec::new();
    };
    let line = |rule: &Value| {
        let name = rule["name"].as_str()?;
        let of_series = rule["outcome"]["lacking"].as_str().filter(|_| rule["outcome"]["outcome"] == "waits");
        if let Some(lacking) = of_series {
            return Some(format!("{name}: {lacking}"));
        }
        let missing = rule["verdict"]["missing"].as_array().filter(|_| rule["verdict"]["verdict"] == "waits")?;
        let names: Vec<&str> = missing.iter().filter_map(Value::as_str).collect();
        let lacking = if names.is_empty() { "quiet".to_owned() } else { format!("input {}", names.join(", ")) };
        Some(format!("{name}: {lacking}"))
    };
    rules.iter().filter_map(line).collect()
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
