//! The rules' tools beside a node that has a past: what was decided, and what other rules would decide.

use std::net::SocketAddr;
use std::process::Output;

use serde_json::Value;

use crate::support::modality::{self, Outgoing};
use crate::support::phantom;
use crate::support::site::Site;

/// A site whose node has received and closed a CT of 5 slices and an MR of 3, by the rule "every CT".
fn site_with_a_past() -> (Site, [phantom::Series; 2]) {
    let site = Site::new(SocketAddr::from(([127, 0, 0, 1], 9)));
    let quiet = "[receive]\nlisten = \"127.0.0.1:0\"\nreserve = \"0 B\"\n[completion]\nquiet = \"1 h\"\nquiet_after_release = \"1 h\"\n";
    site.write("node.toml", quiet);
    let node = site.start();
    let series =
        [phantom::Series::new(16, 16, 5).named("past", "ct"), phantom::Series::mr(16, 16, 3).named("past", "mr")];
    for series in &series {
        let sent: Vec<Outgoing> = series.instances().iter().map(|bytes| Outgoing::of_part10(bytes)).collect();
        assert_eq!(modality::send(node.address, &sent).len(), sent.len());
        let closed = site.command(&["series", "close", series.series_uid().as_str()]).output().unwrap();
        assert!(closed.status.success(), "{}", String::from_utf8_lossy(&closed.stderr));
    }
    assert!(node.stop().success());
    (site, series)
}

fn rules(site: &Site, arguments: &[&str]) -> Output {
    site.command(&[&["rules"], arguments].concat()).output().unwrap()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_decision_of_the_past_is_explained_by_the_rules_that_made_it() {
    let (site, [ct, mr]) = site_with_a_past();
    let uid = ct.series_uid().to_string();
    let said = printed(&rules(&site, &["explain", &uid]));
    for words in [
        &format!("series {uid}, revision 1: 5 instances, regular\n"),
        "by operator; rules ",
        "those of today",
        "✓ every CT (line 1): fires: threshold -> pacs, folder",
        "✓ Modality: \"CT\"; found \"CT\"",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert_eq!(printed(&rules(&site, &["explain", "1"])), said, "job 1 came from that decision");

    site.write(
        "rules.toml",
        "[[rule]]\nname = \"MR now\"\nwhen.Modality = \"MR\"\npipeline = \"threshold\"\nsend_to = \"pacs\"\n",
    );
    let said = printed(&rules(&site, &["explain", &uid, "--now"]));
    for words in
        ["no longer those of today", "✓ every CT (line 1): fires", "would say:\n✗ MR now (line 1): does not match"]
    {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let said = printed(&rules(&site, &["explain", mr.series_uid().as_str(), "--now", "--json"]));
    let answer: Value = serde_json::from_str(&said).unwrap();
    let [then, now] = ["explanation", "now"].map(|key| &answer["series"][0][key]["rules"][0]["outcome"]["outcome"]);
    assert_eq!((then, now), (&Value::from("no-match"), &Value::from("fired")));

    for (target, code, words) in
        [("1.2.3", 1, "no finished series 1.2.3"), ("4711", 1, "no job 4711"), ("x", 2, "no job id")]
    {
        let refused = rules(&site, &["explain", target]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(code) && said.contains(words), "{target}: {said}");
    }
}

#[test]
fn a_draft_is_tried_on_the_past_before_it_is_in_force() {
    let (site, [ct, mr]) = site_with_a_past();
    let draft = site.config().join("draft.toml");
    let replay = |text: &str, more: &[&str]| {
        std::fs::write(&draft, text).unwrap();
        rules(&site, &[&["replay", "--draft", draft.to_str().unwrap()], more].concat())
    };
    let in_force = std::fs::read_to_string(site.config().join("rules.toml")).unwrap();
    let said = printed(&replay(&in_force, &["--expect-same"]));
    assert!(said.contains("2 finished series: 1 jobs by the rules in force, 1 by "), "{said}");
    assert!(said.contains("gained 0, lost 0, changed 0, held differently 0"), "{said}");

    let other = "[[rule]]\nname = \"MR now\"\nwhen.Modality = \"MR\"\npipeline = \"threshold\"\nsend_to = \"pacs\"\n";
    let said = printed(&replay(other, &["--since", "1h"]));
    for words in [
        "gained 1, lost 1, changed 0",
        "MR now            -          1  *",
        "every CT          1          -  *",
        &format!("gained\n  series {}: threshold -> pacs (routine) by MR now\n", mr.series_uid()),
        &format!("lost\n  series {}: threshold -> pacs, folder (routine) by every CT\n", ct.series_uid()),
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let differs = replay(other, &["--expect-same", "--json"]);
    assert_eq!(differs.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&differs.stdout).unwrap();
    assert_eq!(answer["report"]["gained"][0]["after"]["destinations"], serde_json::json!(["pacs"]));
    assert_eq!(answer["report"]["series"], 2);

    let faulty = replay(&other.replace("pacs", "pasc"), &[]);
    let said = String::from_utf8_lossy(&faulty.stderr).into_owned();
    assert!(
        faulty.status.code() == Some(2) && said.contains("draft.toml:5:") && said.contains("did you mean"),
        "{said}"
    );
}

#[test]
fn the_linter_looks_at_the_past_and_the_cases_are_run_by_check() {
    let (site, _) = site_with_a_past();
    assert!(rules(&site, &["lint"]).status.success(), "the rule in force matched a series");
    let text = "[[rule]]\nname = \"US\"\nwhen.Modality = \"US\"\npipeline = \"threshold\"\nsend_to = \"pacs\"\n";
    site.write("rules.toml", text);
    let found = rules(&site, &["lint", "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&found.stdout).unwrap();
    let told: Vec<&str> = answer["warnings"].as_array().unwrap().iter().map(|w| w["found"].as_str().unwrap()).collect();
    assert!(told[0].starts_with("Modality US: the models of pipeline threshold are made for"), "{told:?}");
    assert_eq!(told[1..], ["it matched none of the 2 series of the history"]);

    let case =
        |expect: &str| format!("[[case]]\nname = \"us\"\nattributes = {{ Modality = \"US\" }}\nexpect = {expect}\n");
    site.write("rules.test.toml", &case("\"US\""));
    assert!(printed(&rules(&site, &["test"])).contains("✓ us\n1 cases, 0 failed"));
    let check = || site.command(&["check"]).output().unwrap();
    assert!(check().status.success());
    site.write("rules.test.toml", &case("[]"));
    assert_eq!(rules(&site, &["test"]).status.code(), Some(1));
    let failed = check();
    let said = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert_eq!(failed.status.code(), Some(2), "{said}");
    for words in ["rules.test.toml:4:10: fault in case[\"us\"].expect", "✓ US (line 1): fires: threshold -> pacs"] {
        assert!(said.contains(words), "{words}\n{said}");
    }
}
