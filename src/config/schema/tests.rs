//! The schemas beside the parsers and beside what is checked in under `config/schema/`.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::tests::{check, folder_with, repository};
use crate::config::{ConfigFaults, Fault};

#[test]
fn what_is_checked_in_is_what_the_program_prints() {
    for name in names() {
        let path = repository().join(format!("config/schema/{name}.json"));
        let text = of(name).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(checked_in == text, "{}: write it anew with UPDATE_GOLDEN=1", path.display());
    }
    assert!(of("nodes").is_none());
}

fn keys(schema: &str, path: &[&str]) -> Vec<String> {
    let whole: Value = serde_json::from_str(&of(schema).unwrap()).unwrap();
    let mut at = &whole;
    for step in path {
        at = match *step {
            "*" => at["patternProperties"].as_object().unwrap().values().next().unwrap(),
            "[]" => &at["items"],
            step => step.parse::<usize>().map_or(&at[step], |n| &at[n]),
        };
        while let Some(reference) = at["$ref"].as_str().or(at["allOf"][0]["$ref"].as_str()) {
            at = whole.pointer(reference.trim_start_matches('#')).unwrap();
        }
    }
    let mut keys: Vec<String> = at["properties"].as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

/// What the parser names as allowed where it meets a key that no table has.
fn asked(file: &str, text: &str) -> Vec<String> {
    let folder = folder_with(&[("destinations.toml", ""), ("pipelines.toml", ""), ("rules.toml", ""), (file, text)]);
    let faults: Vec<Fault> = match check(&folder) {
        Err(ConfigFaults(faults)) => faults,
        Ok((config, _)) => config.check_cases().1,
    };
    let unknown =
        faults.iter().find(|fault| fault.key.ends_with("zzz")).unwrap_or_else(|| panic!("{text}: {faults:?}"));
    let mut keys: Vec<String> = unknown.allowed.split(", ").map(str::to_owned).collect();
    keys.sort();
    keys
}

/// A table with an unknown key makes the parser list every key that it asks for there.
#[test]
fn the_keys_of_the_schema_are_those_that_the_parser_asks_for() {
    let same = |schema: &str, path: &[&str], text: &str| {
        assert_eq!(keys(schema, path), asked(&format!("{schema}.toml"), text), "{schema} {path:?}");
    };
    same("node", &[], "zzz = 1");
    for table in ["node", "receive", "tls", "http", "storage", "completion", "jobs", "inference", "results"] {
        same("node", &["properties", table], &format!("[{table}]\nzzz = 1"));
    }
    for table in ["ae", "peer"] {
        same("node", &["properties", table, "*"], &format!("[{table}.X]\nzzz = 1"));
    }
    same("node", &["properties", "receive", "properties", "users", "*"], "[receive.users.x]\nzzz = 1");
    same("destinations", &[], "zzz = 1");
    for (position, kind) in ["dicom", "orthanc", "dicomweb", "folder", "report-only"].into_iter().enumerate() {
        let whole: Value = serde_json::from_str(&of("destinations").unwrap()).unwrap();
        let each =
            whole["properties"]["destination"]["patternProperties"].as_object().unwrap().values().next().unwrap();
        let branch = &each["allOf"][position]["then"]["properties"];
        let mut keys: Vec<String> = branch.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, asked("destinations.toml", &format!("[destination.x]\nkind = \"{kind}\"\nzzz = 1")), "{kind}");
    }
    same("pipelines", &[], "zzz = 1");
    same("pipelines", &["properties", "pipeline", "*"], "[pipeline.x]\nzzz = 1");
    same("rules", &[], "zzz = 1");
    let rule = ["properties", "rule", "[]"];
    same("rules", &rule, "[[rule]]\nscope = \"study\"\nzzz = 1");
    same("rules", &rule, "[[rule]]\nzzz = 1");
    let of_rule = |key: &'static str| [&rule[..], &["properties", key]].concat();
    same("rules", &of_rule("wait_for"), "[[rule]]\nwait_for.zzz = 1");
    let input = [&of_rule("inputs")[..], &["*"]].concat();
    same("rules", &input, "[[rule]]\nscope = \"study\"\ninputs.x.zzz = 1");
    let operators = ["definitions", "condition", "anyOf", "1"];
    same("rules", &operators, "[[rule]]\nname = \"r\"\nwhen.Modality = { zzz = 1 }");
    same("rules.test", &[], "zzz = 1");
    let case = ["properties", "case", "[]"];
    same("rules.test", &case, "[[case]]\nzzz = 1");
    same("rules.test", &[&case[..], &["properties", "computed"]].concat(), "[[case]]\ncomputed.zzz = 1");
    same("rules.test", &[&case[..], &["properties", "series", "[]"]].concat(), "[[case]]\nseries = [{ zzz = 1 }]");
}
