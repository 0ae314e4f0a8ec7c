//! `sagittal rules explain`: every rule, every condition, the value found and the verdict, of files as the node would see
//! them, or of a received series as they were stored when it was decided about.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{RulesError, files, study};
use crate::cli::existing_ledger;
use crate::cli::jobs::time;
use crate::config::Config;
use crate::dicom::Uid;
use crate::ledger::{Decision, Ledger, LedgerError};
use crate::rules::{Explanation, SeriesSummary, StudyRouting};

/// Exit code 2 when the configuration cannot be used, 3 when a file could not be read.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// A DICOM file or a folder of them with all its subfolders, a Series Instance UID, or the id of a job.
    #[arg(value_name = "FILE|DIR|SERIES|JOB")]
    pub target: String,
    /// The configuration folder.
    #[arg(long, value_name = "DIR", default_value = "config", env = "SAGITTAL_CONFIG")]
    pub config: PathBuf,
    /// Print one JSON object: series (each with summary and explanation), of files also studies, unreadable.
    #[arg(long)]
    pub json: bool,
    /// Of a received series: also what the rules of today would say.
    #[arg(long)]
    pub now: bool,
    /// Of files: as if this AE title had sent the series.
    #[arg(long, value_name = "AE", default_value = "")]
    pub calling_ae: String,
    /// Of files: as if they had been sent to this AE title of the node; without it the node's own
    #[arg(long, value_name = "AE")]
    pub called_ae: Option<String>,
    /// Of files: as if this address had sent the series.
    #[arg(long, value_name = "ADDRESS", default_value = "cli")]
    pub sender: String,
}

pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), RulesError> {
    let target = args.target.as_str();
    let path = Path::new(target);
    if path.exists() {
        return files::explain(args, path, out);
    }
    let config = Config::load(&args.config)?;
    let ledger = || existing_ledger(&config);
    let (ledger, decisions) = match target.parse::<i64>() {
        Ok(job) => {
            let ledger = ledger()?;
            let found = ledger.decision_of_job(job)?;
            (ledger, vec![found.ok_or(LedgerError::NoSuchJob(job))?])
        }
        Err(_) if Uid::parse(target).is_ok() => {
            let ledger = ledger()?;
            let found = ledger.decisions_of_series(target)?;
            (ledger, found)
        }
        Err(_) => return Err(RulesError::NoSuchTarget(target.to_owned())),
    };
    if decisions.is_empty() {
        return Err(RulesError::NoSuchSeries(target.to_owned()));
    }
    let today = args.now.then_some(&ledger);
    let told: Vec<Told> = decisions.into_iter().map(|d| Told::of(d, &config, today)).collect::<Result<_, _>>()?;
    if args.json {
        let series: Vec<_> = told.iter().map(Told::json).collect();
        return Ok(writeln!(out, "{:#}", json!({ "series": series, "unreadable": [] }))?);
    }
    Ok(told.iter().try_for_each(|told| told.print(&config, out))?)
}

/// A decision of the past, read.
struct Told {
    decision: Decision,
    summary: SeriesSummary,
    then: Then,
    /// What the rules of its study said last.
    study: Option<StudyRouting>,
    now: Option<Explanation>,
    /// What the rules of its study would say now.
    study_now: Option<StudyRouting>,
}

/// What decided: the rules of one series, or those of the whole study.
#[derive(Serialize)]
#[serde(untagged)]
enum Then {
    Series(Explanation),
    Study(StudyRouting),
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Then::Series(explanation) => explanation.fmt(f),
            Then::Study(routing) => routing.fmt(f),
        }
    }
}

impl Told {
    /// `today`: where to look for what else there is of the study, to say what the rules of today would do.
    fn of(decision: Decision, config: &Config, today: Option<&Ledger>) -> Result<Told, RulesError> {
        let summary: SeriesSummary = stored(&decision, "summary", &decision.summary)?;
        let then = if decision.of_study {
            Then::Study(stored(&decision, "explanation", &decision.explanation)?)
        } else {
            Then::Series(stored(&decision, "explanation", &decision.explanation)?)
        };
        let study = decision.study_explanation.as_ref();
        let study = study.map(|text| stored(&decision, "explanation of the study", text)).transpose()?;
        let now = today.map(|_| {
            let seen = config.node.profile_of(&summary.facts.called_ae).rules.as_ref();
            config.rules.decide_among(&summary, seen).1
        });
        let study_now = today.map(|ledger| study::of_today(config, ledger, &decision.series.study)).transpose()?;
        Ok(Told { decision, summary, then, study, now, study_now: study_now.flatten() })
    }

    fn print(&self, config: &Config, out: &mut dyn Write) -> std::io::Result<()> {
        let Decision { series, number, instances, closed_at, closed_by, rules_revision, .. } = &self.decision;
        let plural = if *instances == 1 { "" } else { "s" };
        let (at, geometry) = (time(*closed_at), &self.summary.facts.geometry);
        writeln!(out, "series {}, revision {number}: {instances} instance{plural}, {geometry}", series.series)?;
        let same =
            if rules_revision == config.rules.revision() { "those of today" } else { "no longer those of today" };
        writeln!(out, "closed {at} by {closed_by}; rules {:.12}, {same}\n{}", rules_revision, self.then)?;
        if let Some(study) = self.study.as_ref().filter(|study| !study.rules.is_empty()) {
            writeln!(out, "Rules of the whole study ({:.12}) said last:\n{study}", study.rules_revision)?;
        }
        if let Some(now) = &self.now {
            writeln!(out, "The rules of today ({:.12}) would say:\n{now}", now.rules_revision)?;
        }
        match &self.study_now {
            Some(now) => writeln!(out, "The rules of today of the whole study would say, all waiting over:\n{now}"),
            None => Ok(()),
        }
    }

    fn json(&self) -> serde_json::Value {
        let Decision { series, number, instances, closed_at, closed_by, rules_revision, .. } = &self.decision;
        json!({
            "study": series.study, "series": series.series, "revision": number, "instances": instances,
            "closed_at": closed_at, "closed_by": closed_by, "rules_revision": rules_revision,
            "summary": self.summary, "explanation": self.then, "study_rules": self.study,
            "now": self.now, "study_rules_now": self.study_now,
        })
    }
}

fn stored<T: DeserializeOwned>(decision: &Decision, what: &'static str, text: &str) -> Result<T, RulesError> {
    let unreadable = |source| RulesError::Stored { what, series: decision.series.series.to_string(), source };
    serde_json::from_str(text).map_err(unreadable)
}
