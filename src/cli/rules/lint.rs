//! `sagittal rules lint`: what looks like a mistake in the rules, by themselves and on the series of the past.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::{RulesError, past};
use crate::cli::existing_ledger;
use crate::clock::{Clock, Millis, SystemClock};
use crate::config::{Config, Fault, Pipeline};
use crate::inference::ModelStore;
use crate::ledger::{Ledger, LedgerError};
use crate::rules::quantity::span;
use crate::rules::{Matches, Mode, PipelineNeeds, RuleSet, lint, stale};

/// Exit code 1 when something was found, 2 when the configuration has a fault.
#[derive(Debug, clap::Args)]
pub struct LintArgs {
    /// How far back rules are looked for series that they match.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = span)]
    pub since: Duration,
    /// How long a rule may stay shadow or off before it is mentioned.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = span)]
    pub stale: Duration,
    /// The configuration folder.
    #[arg(long, value_name = "DIR", default_value = "config", env = "SAGITTAL_CONFIG")]
    pub config: PathBuf,
    /// Print one JSON object: warnings.
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &LintArgs, out: &mut dyn Write) -> Result<(), RulesError> {
    let config = Config::load(&args.config)?;
    let mut found = findings(&config);
    let history = existing_ledger(&config).ok();
    if let Some(ledger) = &history {
        let now = SystemClock.now();
        found.extend(never_matched(ledger, past::back(now, args.since), &config)?);
        let since = mode_since(ledger, &config.rules)?;
        let old = |name: &str| since.get(name).is_some_and(|at| *at <= past::back(now, args.stale));
        found.extend(stale(&config.rules_file(), &config.rules, &old));
    }
    found.sort_by_key(|fault| fault.line);
    if args.json {
        writeln!(out, "{:#}", json!({ "warnings": found, "history": history.is_some() }))?;
    } else {
        found.iter().try_for_each(|fault| writeln!(out, "{fault}\n"))?;
        let without = if history.is_some() { "" } else { "; without a ledger, series of the past were not looked at" };
        writeln!(out, "{} rules, {} warnings{without}", config.rules.rules().len(), found.len())?;
    }
    if found.is_empty() { Ok(()) } else { Err(RulesError::Suspicious(found.len())) }
}

/// What the rules alone and the installed models show; `sagittal check` prints it, too.
pub fn findings(config: &Config) -> Vec<Fault> {
    let store = ModelStore::open(&config.node.models).ok();
    let needs = |name: &str| {
        let pipeline = config.pipelines.get(name)?;
        let modality = store.as_ref().and_then(|store| modality(store, pipeline));
        Some(PipelineNeeds { modality, accept: pipeline.accept.clone() })
    };
    lint(&config.rules_file(), &config.rules, &needs)
}

/// What all models of a pipeline were made for; `None` where one is not installed.
fn modality(store: &ModelStore, pipeline: &Pipeline) -> Option<Vec<String>> {
    let mut common: Option<Vec<String>> = None;
    for id in &pipeline.models {
        let made_for = store.load(id).ok()?.input.modality;
        common = Some(match common {
            None => made_for,
            Some(common) => common.into_iter().filter(|known| made_for.contains(known)).collect(),
        });
    }
    common
}

fn never_matched(ledger: &Ledger, since: Millis, config: &Config) -> Result<Vec<Fault>, LedgerError> {
    let mut matches = Matches::new(&config.rules);
    past::each_study(ledger, since, &mut |study| {
        for past in study {
            matches.add(&config.rules, &past.summary);
        }
    })?;
    Ok(matches.never(&config.rules_file(), &config.rules))
}

/// Since when each rule that is not live has been in its mode, as far back as the history of the rules goes.
fn mode_since(ledger: &Ledger, rules: &RuleSet) -> Result<BTreeMap<String, Millis>, LedgerError> {
    let mut open: BTreeMap<&str, Mode> = rules.rules().iter().map(|rule| (rule.name.as_str(), rule.mode)).collect();
    open.retain(|_, mode| *mode != Mode::Live);
    let mut since = BTreeMap::new();
    for row in ledger.rules_history(1000)? {
        let Ok(then) = RuleSet::parse(&row.text) else { continue };
        open.retain(|name, mode| then.rules().iter().any(|rule| rule.name == *name && rule.mode == *mode));
        since.extend(open.keys().map(|name| ((*name).to_owned(), row.since)));
    }
    Ok(since)
}
