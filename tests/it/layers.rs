//! Who may import whom (ARCHITECTURE.md): scans `crate::` paths and fails on an edge the table does not list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The whole table: `module -> modules it may name`. An edge that is not here is a defect.
const ALLOWED: &[(&str, &str)] = &[
    ("dicom", ""),
    ("clock", ""),
    ("rules", "dicom"),
    ("volume", "dicom"),
    ("spool", "dicom"),
    ("ledger", "dicom clock"),
    ("tls", ""),
    ("config", "dicom rules tls"),
    ("results", "dicom volume"),
    ("inference", "dicom volume config clock"),
    ("scp", "dicom config tls"),
    ("delivery", "dicom config spool tls"),
    ("observe", "dicom clock config ledger intake scp"),
    ("intake", "dicom clock config rules spool ledger scp"),
    ("pipeline", "dicom volume config inference results spool ledger clock"),
    ("worker", "clock dicom config ledger pipeline delivery spool"),
    ("retrieval", "dicom clock config rules ledger delivery intake"),
    ("reload", "config ledger"),
    ("herald", "dicom clock config rules tls ledger intake observe"),
    ("http", "dicom clock config ledger intake observe reload"),
    (
        "node",
        "http herald dicom clock config rules volume spool ledger inference results scp delivery intake pipeline worker reload retrieval observe tls",
    ),
    (
        "cli",
        "http herald dicom clock config rules volume spool ledger inference results scp delivery intake pipeline worker reload retrieval observe node tls",
    ),
    ("main", "cli"),
    ("lib", ""),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn module_of(path: &Path, src: &Path) -> String {
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Modules named as `crate::x`, `sagittal::x` or within `use crate::{x, y::z}`.
fn named_modules(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for marker in ["crate::", "sagittal::"] {
        for (at, _) in code.match_indices(marker) {
            let rest = code[at + marker.len()..].trim_start();
            if let Some(group) = rest.strip_prefix('{') {
                found.extend(top_level_names(group));
            } else {
                found.insert(identifier(rest));
            }
        }
    }
    found.remove("");
    found
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// First identifiers of the comma-separated items of a `use` group, nested groups skipped.
fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(identifier(group[start..at].trim()));
                return names;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(identifier(group[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn no_module_imports_what_the_table_forbids() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(module, names)| (*module, names.split_whitespace().collect())).collect();
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 20, "the scan found the source files");
    let mut faults = Vec::new();
    for path in files {
        let (source, module) = (fs::read_to_string(&path).unwrap(), module_of(&path, &src));
        let Some(may) = allowed.get(module.as_str()) else {
            faults.push(format!("{}: module `{module}` is not in the table", path.display()));
            continue;
        };
        if source.contains("super::super") {
            faults.push(format!("{}: climbs with super::super", path.display()));
        }
        for named in named_modules(&source) {
            if allowed.contains_key(named.as_str()) && named != module && !may.contains(named.as_str()) {
                faults.push(format!("{}: `{module}` may not import `{named}`", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    while settled.len() < ALLOWED.len() {
        let before = settled.len();
        for (module, names) in ALLOWED {
            if names.split_whitespace().all(|name| settled.contains(name)) {
                settled.insert(module);
            }
        }
        assert!(
            settled.len() > before,
            "a circle among {:?}",
            ALLOWED.iter().map(|a| a.0).filter(|m| !settled.contains(m)).collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_scan_sees_imports() {
    let names = |text: &str| named_modules(text).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(names("use crate::ledger::{Ledger, rows};\nfn f() { crate::spool::x() }"), "ledger spool");
    assert_eq!(names("use crate::{config, dicom::{Uid, Code}, rules::RuleSet};"), "config dicom rules");
    assert_eq!(names("// crate::ledger\n"), "");
}
