//! `sagittal rules test`: the cases of `rules.test.toml` on the rules.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::RulesError;
use crate::config::Config;

/// Exit code 1 when a case fails or has a fault, 2 when the configuration has one.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// The configuration folder.
    #[arg(long, value_name = "DIR", default_value = "config", env = "SAGITTAL_CONFIG")]
    pub config: PathBuf,
    /// Print one JSON object: cases, faults.
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &TestArgs, out: &mut dyn Write) -> Result<(), RulesError> {
    let config = Config::load(&args.config)?;
    let (cases, faults) = config.check_cases();
    let failed = cases.iter().filter(|case| !case.passed).count();
    if args.json {
        writeln!(out, "{:#}", json!({ "cases": cases, "faults": faults }))?;
    } else {
        for case in &cases {
            writeln!(out, "{} {}", if case.passed { "✓" } else { "✗" }, case.name)?;
        }
        faults.iter().try_for_each(|fault| writeln!(out, "\n{fault}"))?;
        writeln!(out, "{} cases, {failed} failed", cases.len())?;
    }
    if faults.is_empty() { Ok(()) } else { Err(RulesError::CasesFailed { failed, faults: faults.len() }) }
}
