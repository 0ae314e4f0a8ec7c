//! `sagittal check`: reads the configuration as `serve` does and prints everything that is wrong with it.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::rules::findings;
use crate::config::{Config, ConfigFaults, Fault, Pipeline, ResultKind};
use crate::inference::{FileState, InferenceError, ModelStore};
use crate::pipeline::FontFolders;
use crate::rules::Severity;

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
        Ok((config, mut warnings)) => {
            warnings.extend(missing_networks(&config));
            warnings.extend(missing_fonts(&config));
            warnings.extend(findings(&config));
            let (_, failed) = config.check_cases();
            if failed.is_empty() {
                return Ok(print_sound(args, &config, &warnings, out)?);
            }
            warnings.extend(failed);
            faulty(args, &ConfigFaults(warnings), out)
        }
        Err(faults) => faulty(args, &faults, out),
    }
}

fn faulty(args: &CheckArgs, faults: &ConfigFaults, out: &mut dyn Write) -> Result<(), CheckError> {
    let count = faults.0.iter().filter(|fault| !fault.is_warning()).count();
    print_faulty(args, faults, out)?;
    Err(CheckError::Faulty { folder: args.config.clone(), count })
}

/// A warning for each model of a pipeline whose package is there and could not run.
fn missing_networks(config: &Config) -> Vec<Fault> {
    let Ok(store) = ModelStore::open(&config.node.models) else { return Vec::new() };
    let known = store.ids().unwrap_or_default();
    let mut warnings = Vec::new();
    for pipeline in config.pipelines.values() {
        for id in pipeline.models.iter().filter(|id| known.contains(id)) {
            warnings.extend(missing_network(&store, pipeline, id));
        }
    }
    warnings
}

fn missing_network(store: &ModelStore, pipeline: &Pipeline, id: &str) -> Option<Fault> {
    let (found, hint) = match store.load(id) {
        Ok(package) => {
            let missing = package.files().into_iter().find(|(_, state)| *state == FileState::Missing)?.0;
            (format!("\"{id}\", without {}", missing.display()), Some(format!("install it: {}", package.install)))
        }
        Err(error @ InferenceError::Package { .. }) => (error.to_string(), None),
        Err(_) => return None,
    };
    Some(warning(pipeline, "models", found, "a model whose networks are installed", hint))
}

/// A warning for each pipeline whose reports would fail for want of a font.
fn missing_fonts(config: &Config) -> Vec<Fault> {
    let mut reporting = config.pipelines.values().filter(|p| p.results.contains(&ResultKind::Pdf)).peekable();
    if reporting.peek().is_none() || FontFolders::new(config.node.fonts.clone()).suffice() {
        return Vec::new();
    }
    let folders: Vec<String> = config.node.fonts.iter().map(|folder| folder.display().to_string()).collect();
    let found = format!("\"pdf\", and no usable font in {}", folders.join(", "));
    let hint =
        "install the packages fonts-noto-core and fonts-noto-cjk, or name folders in [results] fonts of node.toml";
    let warn =
        |p: &Pipeline| warning(p, "results", found.clone(), "a font that reports can be set in", Some(hint.into()));
    reporting.map(warn).collect()
}

fn warning(pipeline: &Pipeline, key: &str, found: String, allowed: &str, hint: Option<String>) -> Fault {
    let mut warning = Fault::of_file("pipelines.toml", found, allowed);
    (warning.severity, warning.hint) = (Severity::Warning, hint);
    warning.key = format!("pipeline.{}.{key}", pipeline.name);
    warning
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
    fn a_package_without_its_network_is_a_warning_that_says_how_to_install_it() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("models/meshnet-gwm");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::create_dir_all(folder.path().join("config")).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["node.toml", "destinations.toml", "pipelines.toml", "rules.toml"] {
            std::fs::copy(shipped.join("config").join(name), folder.path().join("config").join(name)).unwrap();
        }
        std::fs::copy(shipped.join("models/meshnet-gwm/model.toml"), package.join("model.toml")).unwrap();
        let (result, printed) = check(&folder.path().join("config"), false);
        assert!(result.is_ok(), "{printed}");
        for words in
            ["warning in pipeline.brain-tissue.models", ".onnx", "install it: scripts/models/install_assets.sh"]
        {
            assert!(printed.contains(words), "{words}\n{printed}");
        }
    }

    #[test]
    fn a_report_without_a_font_is_a_warning_that_says_what_to_install() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let folder = tempfile::tempdir().unwrap();
        let copy = |name: &str, change: fn(String) -> String| {
            let text = std::fs::read_to_string(shipped.join(name)).unwrap();
            std::fs::write(folder.path().join(name), change(text)).unwrap();
        };
        copy("destinations.toml", |text| text);
        copy("rules.toml", |text| text);
        copy("pipelines.toml", |text| {
            text + "\n[pipeline.told]\nmodels = [\"meshnet-gwm\"]\nresults = [\"seg\", \"pdf\"]\n"
        });
        copy("node.toml", |text| {
            text.replace("/usr/share/fonts", "/none").replace("/usr/local/share/fonts", "/nor-here")
        });
        let (result, printed) = check(folder.path(), false);
        assert!(result.is_ok(), "{printed}");
        for words in ["warning in pipeline.told.results", "no usable font in", "fonts-noto-core"] {
            assert!(printed.contains(words), "{words}\n{printed}");
        }
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
