//! `sagittal check`: reads the configuration as `serve` does and prints everything that is wrong with it.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use crate::config::{Config, ConfigFaults, Fault};

/// Checks the configuration folder; exit code 2 when it cannot be used.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The configuration folder.
    #[arg(long, value_name = "DIR", default_value = "config", env = "SAGITTAL_CONFIG")]
    pub config: PathBuf,
    /// Print one JSON object: ok, faults, warnings, rules_revision.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The faults are on `out` already.
    #[error("{folder}: {count} to mend, see above", folder = folder.display(), count = counted(*count, "fault"))]
    Faulty { folder: PathBuf, count: usize },
    #[error("the result could not be printed: {0}")]
    Output(#[from] std::io::Error),
}

impl CheckError {
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            CheckError::Faulty { .. } => 2,
            CheckError::Output(_) => 1,
        }
    }
}

/// Prints the verdict to `out`.
///
/// # Errors
/// [`CheckError::Faulty`] when the configuration cannot be used.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> Result<(), CheckError> {
    match Config::check(&args.config) {
        Ok((config, warnings)) => Ok(print_sound(args, &config, &warnings, out)?),
        Err(faults) => {
            let count = faults.0.iter().filter(|fault| !fault.is_warning()).count();
            print_faulty(args, &faults, out)?;
            Err(CheckError::Faulty { folder: args.config.clone(), count })
        }
    }
}

fn print_sound(
    args: &CheckArgs,
    config: &Config,
    warnings: &[Fault],
    out: &mut dyn Write,
) -> Result<(), std::io::Error> {
    if args.json {
        let answer = json!({
            "ok": true, "faults": [], "warnings": warnings, "rules_revision": config.rules.revision(),
        });
        return writeln!(out, "{answer:#}");
    }
    warnings.iter().try_for_each(|warning| writeln!(out, "{warning}\n"))?;
    let with = if warnings.is_empty() { String::new() } else { format!(", {}", counted(warnings.len(), "warning")) };
    writeln!(
        out,
        "{}: sound{with}; {}, {}, {}",
        args.config.display(),
        counted(config.rules.rules().len(), "rule"),
        counted(config.pipelines.len(), "pipeline"),
        counted(config.destinations.len(), "destination"),
    )
}

fn print_faulty(args: &CheckArgs, faults: &ConfigFaults, out: &mut dyn Write) -> Result<(), std::io::Error> {
    if args.json {
        let (warnings, faults): (Vec<&Fault>, Vec<&Fault>) = faults.0.iter().partition(|fault| fault.is_warning());
        return writeln!(out, "{:#}", json!({ "ok": false, "faults": faults, "warnings": warnings }));
    }
    writeln!(out, "{faults}")
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    fn check(folder: &Path, json: bool) -> (Result<(), CheckError>, String) {
        let mut out = Vec::new();
        let result = run(&CheckArgs { config: folder.to_owned(), json }, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_shipped_folder_is_sound() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let (result, printed) = check(&shipped, false);
        assert!(result.is_ok() && printed.contains(": sound") && printed.contains("3 rules, 3 pipelines"), "{printed}");
        let (result, printed) = check(&shipped, true);
        let answer: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert!(result.is_ok() && answer["ok"] == true, "{printed}");
        assert_eq!(answer["rules_revision"].as_str().map(str::len), Some(64));
    }

    #[test]
    fn faults_are_printed_and_the_exit_code_is_2() {
        let empty = tempfile::tempdir().unwrap();
        let (result, printed) = check(empty.path(), false);
        let error = result.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().ends_with("4 faults to mend, see above"), "{error}");
        assert_eq!(printed.matches(".toml: fault\n").count(), 4, "{printed}");
        let (_, printed) = check(empty.path(), true);
        let answer: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((answer["ok"].as_bool(), answer["faults"].as_array().map(Vec::len)), (Some(false), Some(4)));
    }
}
