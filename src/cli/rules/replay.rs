//! `sagittal rules replay`: a draft of the rules on the series that were received, beside the rules in force.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::{RulesError, past};
use crate::cli::existing_ledger;
use crate::clock::{Clock, Millis, SystemClock};
use crate::config::{Config, ConfigFaults};
use crate::ledger::Ledger;
use crate::rules::quantity::span;
use crate::rules::{Held, JobChange, Place, PlannedJob, Profile, Replay, Report, RuleSet, SeriesFacts};

/// Exit code 2 when the draft or the configuration has a fault, 3 when part of the history could not be read.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The rules to try, a file like rules.toml.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// How far back: a number with ms, s, min, h or d.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = span)]
    pub since: Duration,
    /// Differences shown of each kind; 0 shows all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Exit code 1 when a job would be gained, lost, changed or held.
    #[arg(long)]
    pub expect_same: bool,
    /// The configuration folder, whose rules are in force.
    #[arg(long, value_name = "DIR", default_value = "config", env = "SAGITTAL_CONFIG")]
    pub config: PathBuf,
    /// Print one JSON object: series, jobs, gained, lost, changed, held, rules.
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &ReplayArgs, out: &mut dyn Write) -> Result<(), RulesError> {
    let config = Config::load(&args.config)?;
    let draft = read_draft(&args.draft, &config)?;
    let ledger = existing_ledger(&config)?;
    let since = past::back(SystemClock.now(), args.since);
    let (report, unreadable) = replay(&ledger, since, &config, &draft)?;
    if args.json {
        writeln!(out, "{:#}", json!({ "report": report, "unreadable": unreadable }))?;
    } else {
        write!(out, "{}", Shown { report: &report, draft: &args.draft, limit: args.limit })?;
    }
    match unreadable {
        0 if args.expect_same && !report.is_same() => Err(RulesError::NotTheSame),
        0 => Ok(()),
        count => Err(RulesError::UnreadableHistory(count)),
    }
}

/// The draft, checked as the node would check it in the place of its rules.
fn read_draft(file: &Path, config: &Config) -> Result<RuleSet, RulesError> {
    let text = std::fs::read_to_string(file).map_err(|source| RulesError::Folder { path: file.to_owned(), source })?;
    let files = config.files.as_ref().clone().with_rules(&text);
    let in_force = files.folder().join("rules.toml").display().to_string();
    let checked = files.check().map_err(|ConfigFaults(mut faults)| {
        faults
            .iter_mut()
            .filter(|fault| fault.file == in_force)
            .for_each(|fault| fault.file = file.display().to_string());
        ConfigFaults(faults)
    });
    Ok(checked?.0.rules)
}

/// The report, and how many revisions could not be read.
fn replay(ledger: &Ledger, since: Millis, config: &Config, draft: &RuleSet) -> Result<(Report, usize), RulesError> {
    let profile = |facts: &SeriesFacts| {
        let profile = config.node.profile_of(&facts.called_ae);
        Profile { seen: profile.rules.as_ref(), priority: profile.priority }
    };
    let mut replay = Replay::new(&config.rules, draft, &profile);
    let unreadable = past::each_study(ledger, since, &mut |study| replay.study(study))?;
    Ok((replay.finish(), unreadable))
}

struct Shown<'s> {
    report: &'s Report,
    draft: &'s Path,
    limit: usize,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        let [before, after] = report.jobs;
        writeln!(
            f,
            "{} finished series: {before} jobs by the rules in force, {after} by {}",
            report.series,
            self.draft.display()
        )?;
        let counts = [&report.gained, &report.lost, &report.changed].map(Vec::len);
        writeln!(
            f,
            "gained {}, lost {}, changed {}, held differently {}",
            counts[0],
            counts[1],
            counts[2],
            report.held.len()
        )?;
        self.rules(f)?;
        self.jobs(f, "gained", &report.gained)?;
        self.jobs(f, "lost", &report.lost)?;
        self.jobs(f, "changed", &report.changed)?;
        let of_hold = |hold: &Option<Held>| {
            hold.as_ref().map_or("not held".to_owned(), |held| format!("held by \"{}\"", held.rule))
        };
        let lines =
            report.held.iter().map(|h| format!("{}: {} -> {}", place(&h.place), of_hold(&h.before), of_hold(&h.after)));
        self.list(f, "held", report.held.len(), lines)
    }
}

impl Shown<'_> {
    fn rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.report.rules.iter().map(|rule| rule.name.chars().count()).max().unwrap_or(0).max(4);
        writeln!(f, "\n{:width$}  {:>9}  {:>9}", "rule", "in force", "draft")?;
        let number = |count: Option<u64>| count.map_or("-".to_owned(), |n| n.to_string());
        for rule in &self.report.rules {
            let changed = if rule.before == rule.after { "" } else { "  *" };
            writeln!(f, "{:width$}  {:>9}  {:>9}{changed}", rule.name, number(rule.before), number(rule.after))?;
        }
        Ok(())
    }

    fn jobs(&self, f: &mut fmt::Formatter<'_>, title: &str, changes: &[JobChange]) -> fmt::Result {
        let lines = changes.iter().map(|change| {
            let jobs: Vec<String> = [&change.before, &change.after].into_iter().flatten().map(job).collect();
            format!("{}: {}", place(&change.place), jobs.join("  =>  "))
        });
        self.list(f, title, changes.len(), lines)
    }

    fn list(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        count: usize,
        lines: impl Iterator<Item = String>,
    ) -> fmt::Result {
        if count == 0 {
            return Ok(());
        }
        writeln!(f, "\n{title}")?;
        let shown = if self.limit == 0 { count } else { self.limit.min(count) };
        lines.take(shown).try_for_each(|line| writeln!(f, "  {line}"))?;
        if shown == count { Ok(()) } else { writeln!(f, "  and {} more (--limit 0 shows all)", count - shown) }
    }
}

fn place(place: &Place) -> String {
    match (&place.series, place.revision) {
        (Some(series), Some(revision)) if revision > 1 => format!("series {series}, revision {revision}"),
        (Some(series), _) => format!("series {series}"),
        (None, _) => format!("study {}", place.study),
    }
}

fn job(job: &PlannedJob) -> String {
    let to = if job.destinations.is_empty() {
        "sent nowhere".to_owned()
    } else {
        format!("-> {}", job.destinations.join(", "))
    };
    let shadow = if job.shadow { ", shadow" } else { "" };
    format!("{} {to} ({}{shadow}) by {}", job.pipeline, job.priority.name(), job.rules.join(", "))
}
