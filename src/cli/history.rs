//! `sagittal rules history | show | rollback`: which rules were in force when, and going back to them.
//!
//! Works while the rules file is broken, which is when it is needed most: of the folder it reads `node.toml` alone.

use std::io::Write;

use similar::{ChangeTag, TextDiff};

use super::jobs::time;
use super::{ConfigFolder, Failure};
use crate::config::{self, ConfigFiles};
use crate::ledger::{Ledger, NewRules, RulesRow, RulesSource};

#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    config: ConfigFolder,
    /// At most this many, newest first
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Print JSON, texts and differences included
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Number in the history, or the first six or more characters of the revision
    revision: String,
    /// Print what changed against the rules before, instead of the text
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    config: ConfigFolder,
}

#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// Number in the history, or the first six or more characters of the revision
    revision: String,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    config: ConfigFolder,
}

pub fn list(args: &HistoryArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let ledger = args.config.ledger_alone()?;
    let rows = ledger.rules_history(args.limit)?;
    let mut listed = Vec::with_capacity(rows.len());
    for row in rows {
        let before = ledger.rules_before(row.number)?;
        let changes = difference(before.as_ref(), &row);
        listed.push((row, changes));
    }
    if args.json {
        let rows = listed.iter().map(|(row, diff)| {
            let mut value = serde_json::to_value(row).unwrap_or_default();
            value["diff"] = diff.as_str().into();
            value
        });
        writeln!(out, "{:#}", serde_json::Value::Array(rows.collect()))?;
        return Ok(());
    }
    for (row, diff) in listed {
        let count = |sign: char| diff.lines().filter(|line| line.starts_with(sign)).count();
        let (added, removed) = (count('+'), count('-'));
        writeln!(out, "{:>4}  {}  +{added} -{removed}  {}", row.number, short(&row.revision), origin(&row))?;
    }
    Ok(())
}

pub fn show(args: &ShowArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let ledger = args.config.ledger_alone()?;
    let row = find(&ledger, &args.revision)?;
    if !args.diff {
        return Ok(out.write_all(row.text.as_bytes())?);
    }
    let before = ledger.rules_before(row.number)?;
    writeln!(out, "revision {}, {}", row.revision, origin(&row))?;
    Ok(out.write_all(difference(before.as_ref(), &row).as_bytes())?)
}

/// Writes the old text into `rules.toml`. The history says so before the file does: a running node finds the text
/// known, and if this command dies in between, the next look records what the file really says.
pub fn rollback(args: &RollbackArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let ledger = args.config.ledger_alone()?;
    let row = find(&ledger, &args.revision)?;
    let files = ConfigFiles::read(args.config.folder());
    files.clone().with_rules(&row.text).check().map_err(|faults| {
        Failure::Configuration(format!("these rules no longer fit the other files, nothing is changed:\n{faults}"))
    })?;
    if files.rules() == row.text {
        return Err(Failure::Failed(format!("rules.toml already says what revision {} says", short(&row.revision))));
    }
    let given = args.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let why = format!("back to number {}{given}", row.number);
    let (who, text) = (user(), row.text.as_str());
    ledger.record_rules(&NewRules {
        revision: &row.revision,
        source: RulesSource::Rollback,
        who: &who,
        why: &why,
        text,
    })?;
    config::replace_rules(args.config.folder(), text)?;
    writeln!(out, "rules.toml is revision {} again; a running node takes it over by itself", short(&row.revision))?;
    Ok(())
}

fn find(ledger: &Ledger, name: &str) -> Result<RulesRow, Failure> {
    let mut found = ledger.rules_named(name)?;
    let first = (!found.is_empty()).then(|| found.remove(0));
    let row = first.ok_or_else(|| {
        Failure::Failed(format!("no rules {name:?} were ever in force; `sagittal rules history` lists those that were"))
    })?;
    if found.iter().any(|other| other.revision != row.revision) {
        return Err(Failure::Failed(format!("several revisions begin with {name:?}; write more of it")));
    }
    Ok(row)
}

/// The lines that changed, with two lines around them.
fn difference(before: Option<&RulesRow>, row: &RulesRow) -> String {
    let before = before.map(|row| row.text.as_str()).unwrap_or_default();
    let diff = TextDiff::from_lines(before, row.text.as_str());
    let mut text = String::new();
    for (at, group) in diff.grouped_ops(2).iter().enumerate() {
        if at > 0 {
            text.push_str("  ...\n");
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            text.push(sign);
            text.push_str(change.value().trim_end_matches('\n'));
            text.push('\n');
        }
    }
    text
}

fn origin(row: &RulesRow) -> String {
    format!("{}  {} by {}: {}", time(row.since), row.source, row.who, row.why)
}

fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}

/// Who works at this terminal.
pub(super) fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "somebody at the command line".to_owned())
}
