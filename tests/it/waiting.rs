//! Rules that wait, refuse a geometry or hold a series: decided again when the time or what they wait for has come, once,
//! whatever ends the node in between; other rules never wait for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use sagittal::clock::TestClock;
use sagittal::ledger::JobState;
use serde_json::Value;

use crate::support::half::Half;
use crate::support::phantom;
use crate::support::site::Site;

const MINUTE: Duration = Duration::from_mins(1);

/// A site with these rules, and the receiving half of its node on a clock that stands still.
struct Stand {
    site: Site,
    clock: TestClock,
    half: Half,
}

const PIPELINES: &str = "[pipeline.one]\nmodels = [\"threshold\"]\n[pipeline.two]\nmodels = [\"threshold\"]\n";

fn stand(rules: &str) -> Stand {
    let site = Site::new(SocketAddr::from(([127, 0, 0, 1], 9)));
    site.write("pipelines.toml", PIPELINES);
    site.write("rules.toml", rules);
    let clock = TestClock::at(1_800_000_000_000);
    let half = Half::open(&site, Arc::new(clock.clone()));
    Stand { site, clock, half }
}

impl Stand {
    /// Time goes on, and the node has looked.
    fn after(&self, span: Duration) -> Vec<String> {
        self.clock.advance(span);
        self.half.look();
        self.half.rules()
    }

    /// The process ends without a word; another takes over what it left.
    fn killed(&mut self) {
        self.half = Half::open(&self.site, Arc::new(self.clock.clone()));
    }

    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.site.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn rule(name: &str, pipeline: &str, more: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\nwhen.Modality = \"CT\"\npipeline = \"{pipeline}\"\nsend_to = \"folder\"\n{more}\n"
    )
}

fn ct(name: &str) -> phantom::Series {
    phantom::Series::new(8, 8, 3).named("study", name)
}

fn described(name: &str) -> phantom::Series {
    ct(name).with(tags::SERIES_DESCRIPTION, VR::LO, name)
}

#[test]
fn a_quiet_time_of_one_rule_delays_no_other_and_outlives_a_kill() {
    let mut stand = stand(&(rule("at once", "one", "") + &rule("later", "two", "quiet = \"1 min\"")));
    stand.half.take(&ct("a"));
    assert_eq!(stand.after(Duration::from_secs(10)), ["at once"], "the node's own quiet time is over");
    assert!(
        stand.printed(&["series", "waiting"]).contains("later: waits until 2027-01-15T08:01:00Z at the latest: quiet")
    );
    assert_eq!(stand.half.ledger.counts().unwrap().waiting, 1);
    assert_eq!(stand.after(Duration::from_secs(49)), ["at once"]);
    stand.killed();
    assert_eq!(stand.after(Duration::from_secs(1)), ["at once", "later"]);
    stand.killed();
    assert_eq!(stand.after(10 * MINUTE), ["at once", "later"], "nothing is made twice");
    assert_eq!(stand.half.ledger.counts().unwrap().waiting, 0);
    let detail = stand.half.last_job();
    let outcome = |n: usize| detail.explanation.as_ref().unwrap()["rules"][n]["outcome"]["outcome"].clone();
    assert_eq!((outcome(0), outcome(1)), ("fired".into(), "fired".into()), "the job has the decision that made it");
    let first = stand.half.ledger.job(stand.half.jobs()[0].id).unwrap().unwrap().explanation.unwrap();
    assert_eq!(first["rules"][1]["outcome"]["outcome"], "waits", "and the first one has its own");
}

#[test]
fn rules_of_one_pipeline_share_its_job_however_late_they_fire() {
    let later = rule("later", "one", "quiet = \"1 min\"").replace("\"folder\"", "[\"folder\", \"pacs\"]");
    let stand = stand(&(rule("at once", "one", "priority = \"off-peak\"") + &later + "priority = \"stat\"\n"));
    stand.half.take(&ct("a"));
    assert_eq!(stand.after(Duration::from_secs(10)), ["at once"]);
    assert_eq!(stand.after(MINUTE), ["at once, later"], "one job");
    assert_eq!(stand.half.jobs()[0].priority, sagittal::ledger::Priority::Stat);
}

#[test]
fn more_slices_are_waited_for_and_the_newest_state_of_the_series_counts() {
    let rules = rule("all five", "one", "wait_for = { slices = 5, for = \"2 min\" }");
    let mut stand = stand(&rules);
    let whole = phantom::Series::new(8, 8, 5).named("study", "a");
    stand.half.take(&whole.clone().without(&[3, 4]));
    assert!(stand.after(Duration::from_secs(10)).is_empty());
    stand.killed();
    stand.half.take(&whole.without(&[0, 1, 2]));
    assert_eq!(stand.after(Duration::from_secs(10)), ["all five"], "two more came: revision 2");
    assert_eq!(stand.half.jobs()[0].revision, 2);
    assert_eq!(stand.after(60 * MINUTE), ["all five"], "revision 1 is no longer decided about");
}

#[test]
fn what_has_not_come_in_time_is_run_without_skipped_or_held() {
    let waiting = |name: &str, then: &str| {
        rule(
            name,
            "one",
            &format!(
                "wait_for = {{ series = [{{ SeriesDescription = \"scout\" }}], for = \"10 min\", then = \"{then}\" }}"
            ),
        )
        .replace("Modality = \"CT\"", "SeriesDescription = \"chest\"")
    };
    for (then, early, late) in [("run", 1, 1), ("skip", 1, 0), ("hold", 1, 0)] {
        let mut waited = stand(&waiting("chest", then));
        waited.half.take(&described("chest"));
        assert!(waited.after(MINUTE).is_empty(), "{then}");
        waited.half.take(&described("scout"));
        assert_eq!(waited.after(Duration::from_secs(10)).len(), early, "{then}: fires when the scout is finished");
        waited.killed();
        assert_eq!(waited.after(30 * MINUTE).len(), early, "{then}: once");

        let mut vain = stand(&waiting("chest", then));
        vain.half.take(&described("chest"));
        assert!(vain.after(9 * MINUTE).is_empty(), "{then}");
        vain.killed();
        assert_eq!(vain.after(MINUTE).len(), late, "{then}: after 10 minutes");
        vain.killed();
        assert_eq!(vain.after(30 * MINUTE).len(), late, "{then}: once");
        assert_eq!(vain.half.ledger.holds(false).unwrap().len(), usize::from(then == "hold"));
    }
}

#[test]
fn a_held_series_that_waited_in_vain_is_run_when_it_is_released() {
    let wait = "wait_for = { slices = 9, for = \"1 min\", then = \"hold\" }";
    let stand = stand(&(rule("nine", "one", wait) + &rule("behind", "two", "")));
    stand.half.take(&ct("a"));
    assert_eq!(stand.after(Duration::from_secs(10)), ["behind"]);
    assert_eq!(stand.after(MINUTE), ["behind"]);
    stand.half.intake.release(ct("a").series_uid().as_str(), "anna").unwrap();
    assert_eq!(stand.half.rules(), ["behind", "nine"]);
}

#[test]
fn a_waiting_rule_that_stops_keeps_later_rules_waiting_too() {
    let stand = stand(&(rule("first", "one", "quiet = \"1 min\"\nstop = true") + &rule("never", "two", "")));
    stand.half.take(&ct("a"));
    assert!(stand.after(Duration::from_secs(10)).is_empty());
    assert_eq!(stand.after(MINUTE), ["first"]);
}

#[test]
fn a_rule_takes_the_geometries_it_names_and_a_refusal_is_seen_where_jobs_are() {
    let gaps = rule("gaps too", "two", "accept = [\"regular\", \"missing-slices\"]");
    let stand = stand(&(rule("regular", "one", "") + &gaps));
    let series = phantom::Series::new(8, 8, 5).without(&[2]).named("study", "a");
    stand.half.take(&series);
    assert_eq!(stand.after(Duration::from_secs(10)), ["gaps too", "regular"]);
    let jobs = stand.half.jobs();
    assert_eq!((jobs[0].state, jobs[1].state), (JobState::Available, JobState::Discarded));
    let why = jobs[1].last_error.as_deref().unwrap();
    assert_eq!(
        why,
        "the series cannot become a volume: it is missing-slices (slices are missing: have the whole series sent again); \
         pipeline \"one\" accepts regular"
    );
}

#[test]
fn a_geometry_that_one_rule_refuses_is_run_for_a_later_one_of_the_same_pipeline() {
    let gaps = rule("gaps too", "one", "accept = [\"missing-slices\"]\nquiet = \"1 min\"");
    let stand = stand(&(rule("regular", "one", "") + &gaps));
    stand.half.take(&phantom::Series::new(8, 8, 5).without(&[2]).named("study", "a"));
    assert_eq!(stand.after(Duration::from_secs(10)), ["regular"]);
    assert_eq!(stand.after(MINUTE), ["regular", "gaps too"]);
    let states: Vec<JobState> = stand.half.jobs().iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Discarded, JobState::Available]);
}

const PHANTOMS: &str =
    "[[rule]]\nname = \"phantoms\"\nwhen.SeriesDescription = { glob = \"*phantom*\" }\nhold = \"a phantom?\"\n";

#[test]
fn a_held_series_is_seen_and_goes_on_when_a_person_says_so() {
    let rules = rule("before", "two", "") + PHANTOMS + &rule("behind", "one", "");
    let mut stand = stand(&rules);
    stand.half.take(&described("phantom"));
    assert_eq!(stand.after(Duration::from_secs(10)), ["before"]);
    stand.killed();
    let uid = described("phantom").series_uid().to_string();
    let held = stand.printed(&["series", "held"]);
    assert!(held.contains(&uid) && held.contains("phantoms: a phantom?"), "{held}");
    assert_eq!(stand.half.ledger.counts().unwrap().held, 1);

    let released = stand.site.command(&["series", "release", &uid]).env("SUDO_USER", "anna").output().unwrap();
    assert!(released.status.success(), "{}", String::from_utf8_lossy(&released.stderr));
    assert_eq!(stand.after(Duration::ZERO), ["before", "behind"]);
    assert_eq!(stand.printed(&["series", "held"]), "");
    let past = stand.printed(&["series", "held", "--all"]);
    assert!(past.contains("released") && past.contains("by anna"), "{past}");
    let again = stand.site.command(&["series", "release", &uid]).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "it is not on hold any more");
    stand.killed();
    assert_eq!(stand.after(60 * MINUTE), ["before", "behind"], "each rule made its job once");
}

#[test]
fn a_held_series_that_is_dropped_is_never_run() {
    let mut stand = stand(&(PHANTOMS.to_owned() + &rule("behind", "one", "")));
    stand.half.take(&described("phantom"));
    assert!(stand.after(Duration::from_secs(10)).is_empty());
    let uid = described("phantom").series_uid();
    stand.printed(&["series", "drop", uid.as_str()]);
    assert!(stand.half.intake.release(uid.as_str(), "bert").is_err());
    stand.killed();
    assert!(stand.after(60 * MINUTE).is_empty());
    let past: Value = serde_json::from_str(&stand.printed(&["series", "held", "--all", "--json"])).unwrap();
    assert_eq!((&past[0]["outcome"], &past[0]["rule"]), (&"dropped".into(), &"phantoms".into()));
}

#[test]
fn a_series_that_no_rule_wants_is_listed_with_the_rule_that_came_nearest() {
    let rules = "[[rule]]\nname = \"far\"\nwhen = { Modality = \"US\", slices = { min = 9 } }\npipeline = \"one\"\nsend_to = \"folder\"\n"
        .to_owned() + "[[rule]]\nname = \"near\"\nwhen = { Modality = \"CT\", slices = { min = 9 } }\npipeline = \"one\"\nsend_to = \"folder\"\n";
    let stand = stand(&rules);
    stand.half.take(&ct("a"));
    assert!(stand.after(Duration::from_secs(10)).is_empty());
    assert_eq!(stand.half.ledger.counts().unwrap().unmatched, 1);
    let told = stand.printed(&["rules", "unmatched", "--since", "36500 d"]);
    assert!(told.contains(ct("a").series_uid().as_str()), "{told}");
    assert!(told.contains("nearest: near (line 6), 1 of 2 conditions fail: slices: at least 9; found \"3\""), "{told}");
    let told: Value =
        serde_json::from_str(&stand.printed(&["rules", "unmatched", "--since", "36500 d", "--json"])).unwrap();
    assert_eq!(told[0]["nearest"]["condition"]["key"], "slices");
}

#[test]
fn a_late_instance_that_is_only_kept_still_completes_what_a_rule_waits_for() {
    let rules = rule("at once", "two", "") + &rule("all five", "one", "wait_for = { slices = 5, for = \"2 min\" }");
    let mut stand = stand(&rules);
    let node = std::fs::read_to_string(stand.site.config().join("node.toml")).unwrap();
    stand.site.write("node.toml", &node.replace("[completion]", "[completion]\nlate = \"ignore\""));
    stand.killed();
    let whole = phantom::Series::new(8, 8, 5).named("study", "a");
    stand.half.take(&whole.clone().without(&[3, 4]));
    assert_eq!(stand.after(Duration::from_secs(10)), ["at once"]);
    stand.half.take(&whole.without(&[0, 1, 2]));
    assert_eq!(stand.after(Duration::from_secs(10)), ["at once", "all five"]);
    assert_eq!(stand.after(60 * MINUTE), ["at once", "all five"]);
}

#[test]
fn a_series_that_cannot_be_read_keeps_no_other_waiting() {
    let stand = stand(&rule("every CT", "one", ""));
    stand.half.take(&ct("lost"));
    for (_, location) in stand.half.ledger.series_objects(ct("lost").series_uid().as_str()).unwrap() {
        stand.half.spool.remove(&sagittal::spool::Location(location)).unwrap();
    }
    stand.half.take(&ct("sound"));
    assert_eq!(stand.after(Duration::from_secs(10)), ["every CT"]);
    assert_eq!(stand.half.jobs()[0].series, ct("sound").series_uid());
    assert_eq!(stand.half.ledger.counts().unwrap().open_revisions, 1, "it is seen where open series are");
}
