//! The rules change while the node runs: whole or not at all, and the history says when, by whom and why.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sagittal::clock::SystemClock;
use sagittal::config::replace_rules;
use sagittal::ledger::{JobFilter, RulesSource};
use sagittal::reload::ReloadError;

use crate::support::half::Half;
use crate::support::modality::{self, Outgoing};
use crate::support::phantom;
use crate::support::site::{Site, until};

fn site() -> Site {
    Site::new(SocketAddr::from(([127, 0, 0, 1], 9)))
}

/// Rules whose names all begin with `letter`: a job of one says which file it came from.
fn rules(letter: char) -> String {
    let rule = |n: usize, pipeline: &str| {
        format!(
            "[[rule]]\nname = \"{letter}{n}\"\nwhen.Modality = \"CT\"\npipeline = \"{pipeline}\"\nsend_to = [\"folder\"]\n"
        )
    };
    let stop = format!("[[rule]]\nname = \"{letter} end\"\nwhen = {{}}\nstop = true\n");
    ["one", "two", "three"].iter().zip(1..).map(|(pipeline, n)| rule(n, pipeline)).collect::<String>() + &stop
}

const PIPELINES: &str = r#"
[pipeline.one]
models = ["threshold"]
[pipeline.two]
models = ["threshold"]
[pipeline.three]
models = ["threshold"]
"#;

fn half(site: &Site) -> Half {
    Half::open(site, Arc::new(SystemClock))
}

#[test]
fn a_reload_under_load_never_mixes_two_revisions() {
    const SERIES: usize = 120;
    let site = site();
    site.write("pipelines.toml", PIPELINES);
    site.write("rules.toml", &rules('A'));
    let half = half(&site);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flipping = scope.spawn(|| {
            let mut flips = 0;
            while !done.load(Ordering::Relaxed) {
                let letter = if flips % 2 == 0 { 'B' } else { 'A' };
                replace_rules(&site.config(), &rules(letter)).unwrap();
                assert!(half.reloader.reload(RulesSource::Api, Some("the test"), "a flip").unwrap().rules_changed);
                flips += 1;
            }
            flips
        });
        let series = |n: usize| phantom::Series::new(8, 8, 1).named(&format!("study {n}"), "series");
        (0..SERIES).for_each(|n| half.receive(&series(n)));
        done.store(true, Ordering::Relaxed);
        assert!(flipping.join().unwrap() > 10, "the rules hardly changed");
    });
    let history = half.ledger.rules_history(1_000_000).unwrap();
    let jobs = half.ledger.jobs(&JobFilter { limit: Some(10_000), ..JobFilter::default() }).unwrap();
    assert_eq!(jobs.len(), 3 * SERIES);
    let mut seen = [0, 0];
    for jobs in jobs.chunks(3) {
        let detail = half.ledger.job(jobs[0].id).unwrap().unwrap();
        let mut names: Vec<&str> = jobs.iter().map(|job| job.rule.as_str()).collect();
        names.sort_unstable();
        let letter = names[0].chars().next().unwrap();
        assert_eq!(names, [1, 2, 3].map(|n| format!("{letter}{n}")), "jobs of one series");
        assert!(jobs.iter().all(|job| job.series == jobs[0].series));
        let revision = detail.rules_revision.unwrap();
        let text = &history.iter().find(|row| row.revision == revision).expect("the revision is in the history").text;
        assert_eq!(*text, rules(letter), "the recorded revision is that of the rules that fired");
        let explanation = detail.explanation.unwrap();
        assert_eq!(explanation["rules_revision"], revision);
        let explained: Vec<&str> =
            explanation["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
        assert!(explained.iter().all(|name| name.starts_with(letter)), "{explained:?}");
        seen[usize::from(letter == 'B')] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "one of both never decided: {seen:?}");
}

#[test]
fn broken_files_change_nothing_and_are_told() {
    let site = site();
    let half = half(&site);
    let before = half.reloader.standing();
    assert_eq!(before.refused, None);
    for (file, text, place) in [
        (
            "rules.toml",
            "[[rule]]\nname = \"x\"\nwhen = {}\npipeline = \"thresold\"\nsend_to = [\"folder\"]\n",
            "rules.toml:4",
        ),
        ("pipelines.toml", "[pipeline.threshold]\nmodels = []\n", "pipelines.toml:2"),
        ("node.toml", "[node]\nae_titel = \"X\"\n", "node.toml:2"),
    ] {
        let path = site.config().join(file);
        let sound = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let refused = half.reloader.reload(RulesSource::Signal, None, "a test").unwrap_err();
        assert!(matches!(refused, ReloadError::Faulty(_)), "{refused}");
        let standing = half.reloader.standing();
        assert!(standing.refused.as_ref().unwrap().contains(place), "{standing:?}");
        assert_eq!(standing.rules_revision, before.rules_revision);
        std::fs::write(&path, sound).unwrap();
        assert!(!half.reloader.reload(RulesSource::Signal, None, "a test").unwrap().rules_changed);
        assert_eq!(half.reloader.standing(), before, "{file} is mended");
    }
    assert_eq!(half.ledger.rules_history(9).unwrap().len(), 1, "what was refused was never in force");
}

/// What the command prints as JSON.
fn history(site: &Site) -> Vec<serde_json::Value> {
    let output = site.command(&["rules", "history", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rules_file(site: &Site) -> String {
    std::fs::read_to_string(site.config().join("rules.toml")).unwrap()
}

#[test]
fn a_running_node_follows_the_file_and_a_rollback() {
    let site = site();
    let node = site.start();
    let first = rules_file(&site);
    assert_eq!(history(&site)[0]["source"], "start");

    write_by_rename(&site.config(), &first.replace("every CT", "all CT"));
    until("the file to be taken over", || history(&site).len() == 2);
    let rows = history(&site);
    assert_eq!((rows[0]["source"].as_str(), rows[0]["why"].as_str()), (Some("file"), Some("the file changed")));
    let diff = rows[0]["diff"].as_str().unwrap();
    assert!(diff.contains("-name = \"every CT\"") && diff.contains("+name = \"all CT\""), "{diff}");

    site.write("rules.toml", "[[rule]]\nname = ");
    until("the broken file to be told", || site.log_text().contains("the configuration stays as it is"));
    let sent = phantom::Series::new(8, 8, 1).named("while broken", "series");
    modality::send(node.address, &[Outgoing::of_part10(&sent.instances()[0])]);
    let ledger = sagittal::ledger::Ledger::open(
        &site.folder.path().join("data/ledger.sqlite"),
        Arc::new(SystemClock),
        sagittal::ledger::LedgerOptions::default(),
    )
    .unwrap();
    until("a job of the rules in force", || !ledger.jobs(&JobFilter::default()).unwrap().is_empty());
    assert_eq!(ledger.jobs(&JobFilter::default()).unwrap().last().unwrap().rule, "all CT");
    let listed = site.command(&["jobs", "list"]).output().unwrap();
    assert!(listed.status.success(), "jobs are shown while a file is broken");
    assert!(String::from_utf8_lossy(&listed.stderr).contains("not in force"));

    let back = site.command(&["rules", "rollback", "1", "--why", "the scanner was renamed"]).output().unwrap();
    assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stderr));
    assert_eq!(rules_file(&site), first);
    until("the mended file to be taken over", || site.log_text().matches("configuration read").count() == 2);
    let rows = history(&site);
    assert_eq!(rows.len(), 3, "a rollback is one row: {rows:?}");
    assert_eq!(rows[0]["source"], "rollback");
    assert_eq!(rows[0]["why"], "back to number 1: the scanner was renamed");
    assert_eq!(rows[0]["revision"], rows[2]["revision"]);

    let again = site.command(&["rules", "rollback", "1"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "there is nothing to go back to");
    let shown = site.command(&["rules", "show", "2"]).output().unwrap();
    assert_eq!(String::from_utf8(shown.stdout).unwrap(), first.replace("every CT", "all CT"));
    assert!(node.stop().success());
}

/// As editors do it.
fn write_by_rename(folder: &Path, text: &str) {
    std::fs::write(folder.join("rules.toml~"), text).unwrap();
    std::fs::rename(folder.join("rules.toml~"), folder.join("rules.toml")).unwrap();
}
