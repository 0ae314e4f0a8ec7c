//! `tests/golden/models/<id>/model.toml`: every fault that a comment there declares is told at that line, and no other.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::Path;

use super::*;
use crate::inference::Terminology;

/// Line and words of the faults that comments declare: `# fault: words | words`.
fn declared(text: &str) -> Vec<(usize, String)> {
    let of_line = |(number, line): (usize, &str)| {
        let words = line.split_once("# fault: ").map(|(_, words)| words.to_owned()).unwrap_or_default();
        let parts: Vec<(usize, String)> =
            words.split(" | ").filter(|part| !part.is_empty()).map(|part| (number, part.trim().to_owned())).collect();
        parts
    };
    (1..).zip(text.lines()).flat_map(of_line).collect()
}

#[test]
fn every_fault_of_a_faulty_package_is_told_at_its_line() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models");
    let mut cases = 0;
    for case in std::fs::read_dir(&golden).unwrap() {
        let case = case.unwrap().file_name();
        let text = std::fs::read_to_string(golden.join(&case).join("model.toml")).unwrap();
        let folder = Path::new("models").join(&case);
        let read = |name: &str| std::fs::read_to_string(golden.join(&case).join(name));
        let beside = Beside { terms: &Terminology::shipped().unwrap(), read: &read };
        let told = parse(&text, &folder, &beside).unwrap_err().to_string();
        let mut expected = declared(&text);
        for line in told.lines() {
            let (place, words) = line.split_once(": ").unwrap();
            let number: usize =
                place.strip_prefix(&format!("{}/model.toml:", folder.display())).unwrap().parse().unwrap();
            let hit = expected.iter().position(|(at, part)| *at == number && words.contains(part.as_str()));
            expected.remove(hit.unwrap_or_else(|| panic!("not declared: {line}")));
        }
        assert!(expected.is_empty(), "{}: not told: {expected:?}\n{told}", folder.display());
        cases += 1;
    }
    assert_eq!(cases, 11);
}
