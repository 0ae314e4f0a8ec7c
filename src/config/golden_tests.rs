//! `tests/golden/config/<case>/`: faulty configurations. The files there replace shipped ones; `expected.txt` is what is
//! printed, rewritten by UPDATE_GOLDEN=1. Each faulty line says so itself, in a comment that its author wrote:
//!
//! ```toml
//! port = 70000 # fault: from 1 to 65535
//! ```
//!
//! Several faults of one line stand between `|`; each is a part of what is reported there.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::tests::{check, folder_with, repository};
use super::*;

const FILES: [&str; 5] = ["node.toml", "destinations.toml", "pipelines.toml", "rules.toml", "rules.test.toml"];

fn golden_cases() -> Vec<PathBuf> {
    let golden = repository().join("tests/golden/config");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn replaced(case: &Path) -> Vec<(&'static str, String)> {
    FILES.iter().filter_map(|file| Some((*file, std::fs::read_to_string(case.join(file)).ok()?))).collect()
}

/// What is reported for a case, but for the models that are not installed here; paths begin at the configuration folder.
fn reported(case: &Path) -> Vec<Fault> {
    let replaced = replaced(case);
    let texts: Vec<(&str, &str)> = replaced.iter().map(|(file, text)| (*file, text.as_str())).collect();
    let folder = folder_with(&texts);
    let faults = match check(&folder) {
        Err(ConfigFaults(faults)) => faults,
        Ok((config, mut warnings)) => {
            warnings.extend(config.check_cases().1);
            warnings
        }
    };
    let prefix = format!("{}/", folder.path().display());
    let of_shipped = |fault: &Fault| fault.is_warning() && fault.found.ends_with("not installed");
    let here = |mut fault: Fault| {
        fault.file = fault.file.replace(&prefix, "");
        fault.found = fault.found.replace(&prefix, "");
        fault
    };
    faults.into_iter().filter(|fault| !of_shipped(fault)).map(here).collect()
}

#[test]
fn faulty_folders_print_what_is_expected() {
    let cases = golden_cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    for case in cases {
        let printed = ConfigFaults(reported(&case)).to_string() + "\n";
        let expected = case.join("expected.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &printed).unwrap();
        }
        assert_eq!(printed, std::fs::read_to_string(&expected).unwrap_or_default(), "{}", case.display());
    }
}

/// `file:line` to what the comment there declares.
fn declared(case: &Path) -> BTreeMap<(String, usize), Vec<String>> {
    let mut all = BTreeMap::new();
    for (file, text) in replaced(case) {
        for (number, line) in (1..).zip(text.lines()) {
            let Some((_, declared)) = line.split_once("# fault: ") else { continue };
            let parts = declared.split(" | ").map(|part| part.trim().to_owned()).collect();
            all.insert((format!("config/{file}"), number), parts);
        }
    }
    all
}

#[test]
fn every_fault_that_the_files_declare_is_reported_and_no_other() {
    let mut wrong = Vec::new();
    for case in golden_cases() {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let mut declared = declared(&case);
        let faults = reported(&case);
        if faults.len() < 2 {
            wrong.push(format!("{name}: {} faults are too few to show that all are reported", faults.len()));
        }
        for fault in faults {
            let text = fault.to_string();
            let here = declared.get_mut(&(fault.file.clone(), fault.line));
            let part = here.as_ref().and_then(|parts| parts.iter().position(|part| text.contains(part.as_str())));
            match (here, part) {
                (Some(parts), Some(part)) => drop(parts.remove(part)),
                _ => wrong.push(format!("{name}: not declared: {text}")),
            }
        }
        let missed = declared.iter().filter(|(_, parts)| !parts.is_empty());
        wrong.extend(missed.map(|((file, line), parts)| format!("{name}: {file}:{line}: not reported: {parts:?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
