//! The README's tables of faults and peers: every test they name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Paths of all test functions below a folder, as `cargo test` prints them.
fn tests_below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let inner = if name == "mod" { prefix.to_owned() } else { format!("{prefix}{name}::") };
        if path.is_dir() {
            tests_below(&path, &inner, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            for function in source.split("fn ").skip(1).filter_map(|rest| rest.split('(').next()) {
                found.insert(format!("{inner}{function}"));
                found.insert(format!("{inner}tests::{function}"));
            }
        }
    }
}

/// The names between backticks in the last column of the table that begins with `head`.
fn named(readme: &str, head: &str) -> Vec<String> {
    let table = readme.split_once(head).expect("the table").1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let last = rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next());
    last.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_tables_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut tests = BTreeSet::new();
    tests_below(&root.join("tests/it"), "", &mut tests);
    tests_below(&root.join("src"), "", &mut tests);
    let runner = fs::read_to_string(root.join("tests/peers/run.py")).unwrap();
    let is_there = |name: &String| match name.strip_suffix(".py") {
        Some(suite) => root.join("tests/peers").join(name).is_file() && runner.contains(&format!("\"{suite}\"")),
        None if name.ends_with("::") => tests.iter().any(|test| test.starts_with(name.as_str())),
        None => tests.contains(name),
    };
    let faults = named(&readme, "| fault | what happens | test |");
    let peers = named(&readme, "| software | as | in |");
    assert!(faults.len() > 30 && peers.len() > 9, "{} faults, {} peers", faults.len(), peers.len());
    let absent: Vec<_> = faults.iter().chain(&peers).filter(|name| !is_there(name)).collect();
    assert!(absent.is_empty(), "named in README.md, and nowhere to be found: {absent:?}");
}
