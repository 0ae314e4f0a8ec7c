//! Rules of a whole study: which series become the inputs of one job and when, whatever ends the node in between.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use sagittal::clock::TestClock;
use sagittal::ledger::JobState;

use crate::support::half::Half;
use crate::support::phantom;
use crate::support::site::Site;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// The series is finished, and the study has been quiet for long enough.
const SETTLED: Duration = Duration::from_secs(70);

struct Stand {
    site: Site,
    clock: TestClock,
    half: Half,
}

/// The rule that most of these tests are about, with `more` of its keys and inputs.
fn prostate(more: &str) -> String {
    let input = |name: &str| format!("[rule.inputs.{name}]\nwhen.SeriesDescription = {{ glob = \"{name}*\" }}\n");
    format!(
        "[[rule]]\nname = \"prostate\"\nscope = \"study\"\nwhen.Modality = \"MR\"\npipeline = \"threshold\"\n\
         send_to = \"folder\"\nwindow = \"30 min\"\n{more}\n{}{}{}",
        input("t2"),
        input("adc"),
        input("dwi")
    )
}

fn stand(rules: &str) -> Stand {
    stand_with(rules, "")
}

/// `node`: further lines of node.toml.
fn stand_with(rules: &str, node: &str) -> Stand {
    let site = Site::new(SocketAddr::from(([127, 0, 0, 1], 9)));
    site.write("rules.toml", rules);
    let receive = "[receive]\nlisten = \"127.0.0.1:0\"\nreserve = \"0 B\"\n[completion]\nquiet = \"10 s\"\n";
    site.write("node.toml", &format!("{receive}{node}\n"));
    let clock = TestClock::at(1_800_000_000_000);
    let half = Half::open(&site, Arc::new(clock.clone()));
    Stand { site, clock, half }
}

impl Stand {
    /// Time goes on, and the node has looked. How many jobs there are.
    fn after(&self, span: Duration) -> usize {
        self.clock.advance(span);
        self.half.look();
        self.half.jobs().len()
    }

    /// The series arrives, is finished, and the node has looked.
    fn arrives(&self, series: &phantom::Series) {
        self.half.take(series);
        self.after(Duration::from_secs(10));
    }

    fn killed(&mut self) {
        self.half = Half::open(&self.site, Arc::new(self.clock.clone()));
    }

    /// Names and series of the newest job's inputs.
    fn inputs(&self) -> Vec<(String, String)> {
        self.half.last_job().inputs.into_iter().map(|input| (input.name, input.series.to_string())).collect()
    }

    fn explained(&self, target: &str) -> String {
        self.explained_as(target, &[])
    }

    fn explained_as(&self, target: &str, options: &[&str]) -> String {
        let output = self.site.command(&[&["rules", "explain", target], options].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// An MR series whose SeriesDescription is its name.
fn mr(name: &str) -> phantom::Series {
    of_study("study", name)
}

fn sliced(name: &str, slices: usize) -> phantom::Series {
    let mut series = mr(name);
    series.slices = slices;
    series
}

fn of_study(study: &str, name: &str) -> phantom::Series {
    phantom::Series::mr(8, 8, 3).named(study, name).with(tags::SERIES_DESCRIPTION, VR::LO, name)
}

fn pairs(inputs: &[(&str, &phantom::Series)]) -> Vec<(String, String)> {
    inputs.iter().map(|(name, series)| ((*name).to_owned(), series.series_uid().to_string())).collect()
}

#[test]
fn a_complete_set_makes_one_job_in_whatever_order_it_comes() {
    let names = ["t2", "adc", "dwi"];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut stand = stand(&prostate(""));
        for (position, at) in order.into_iter().enumerate() {
            stand.arrives(&mr(names[at]));
            assert_eq!(stand.half.jobs().len(), 0, "series {position} of {order:?}");
            stand.killed();
        }
        assert_eq!(stand.after(SETTLED), 1, "{order:?}");
        assert_eq!(stand.inputs(), pairs(&[("t2", &mr("t2")), ("adc", &mr("adc")), ("dwi", &mr("dwi"))]));
        assert_eq!(stand.half.jobs()[0].series, mr("t2").series_uid(), "results are of the first input's series");
        stand.killed();
        stand.arrives(&mr("localizer"));
        assert_eq!(stand.after(24 * HOUR), 1, "once: {order:?}");
    }
}

#[test]
fn a_job_of_a_study_shows_the_decision_that_made_it() {
    let stand = stand(&prostate(""));
    for name in ["t2", "adc", "dwi"] {
        stand.arrives(&mr(name));
    }
    let waiting = stand.site.command(&["series", "waiting"]).output().unwrap();
    let waiting = String::from_utf8(waiting.stdout).unwrap();
    let expected = format!("study {}", mr("t2").study_uid());
    assert!(waiting.contains(&expected) && waiting.contains("prostate: waits for the study to be quiet"), "{waiting}");
    assert_eq!(stand.after(SETTLED), 1);
    let rules = stand.half.last_job().rules_revision.unwrap();
    let of_job = stand.explained(&stand.half.jobs()[0].id.to_string());
    stand.site.write("rules.toml", &prostate("# another revision"));
    for words in [
        format!("rules {rules:.12}"),
        "✓ prostate (line 1): fires: threshold -> folder; with t2, adc, dwi".to_owned(),
        format!("✓ adc (most-slices): {}", mr("adc").series_uid()),
        "✗ SeriesDescription: like \"adc*\"; found \"t2\"".to_owned(),
    ] {
        assert!(of_job.contains(&words), "{words}\n{of_job}");
    }
    let of_series = stand.explained(mr("adc").series_uid().as_str());
    assert!(of_series.contains("is for studies; this series can be its adc"), "{of_series}");
    assert!(of_series.contains("fires: threshold -> folder; with t2, adc, dwi"), "{of_series}");
    let shown = stand.site.command(&["jobs", "show", "1"]).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains(&format!("adc   {} r1", mr("adc").series_uid())));
}

/// Before anything is received: what the rules would do with studies that lie in a folder, with earlier ones beside them.
#[test]
fn files_in_a_folder_are_explained_by_the_rules_of_their_studies() {
    let prior =
        "[rule.inputs.before]\nwhen.SeriesDescription = { glob = \"t2*\" }\nprior = true\nmax_age = \"730 d\"\n";
    let stand = stand(&(prostate("partial = \"give-up\"") + prior));
    let folder = stand.site.folder.path().join("files");
    std::fs::create_dir(&folder).unwrap();
    let dated = |study: &str, name: &str, date: &str| {
        of_study(study, name).with(tags::STUDY_DATE, VR::DA, date).with(tags::PATIENT_ID, VR::LO, "P1")
    };
    let before = dated("before", "t2", "20251101");
    let series = ["t2", "adc", "dwi"].map(|name| dated("now", name, "20261101"));
    for series in series.iter().chain([&before]) {
        for (k, instance) in series.instances().iter().enumerate() {
            std::fs::write(folder.join(format!("{}-{k}.dcm", series.series_uid())), instance).unwrap();
        }
    }
    let told = stand.explained(folder.to_str().unwrap());
    let of = |series: &phantom::Series| {
        let head = format!("study {}, rules of the whole study:\n", series.study_uid());
        told.split(&head).nth(1).unwrap_or_else(|| panic!("{head}{told}")).lines().next().unwrap().to_owned()
    };
    assert_eq!(of(&series[0]), "✓ prostate (line 1): fires: threshold -> folder; with t2, adc, dwi, before");
    assert_eq!(of(&before), "✗ prostate (line 1): has given up: adc, dwi, before did not come");
    let json = stand.explained_as(folder.to_str().unwrap(), &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let studies = json["studies"].as_array().unwrap();
    let verdicts: Vec<_> =
        studies.iter().map(|study| &study["explanation"]["rules"][0]["verdict"]["verdict"]).collect();
    assert_eq!((studies.len(), verdicts.contains(&&"fires".into())), (2, true), "{studies:?}");

    for series in [&before].into_iter().chain(&series) {
        stand.arrives(series);
    }
    stand.site.write("rules.toml", &prostate("").replace("prostate", "later"));
    let told = stand.explained_as(series[0].series_uid().as_str(), &["--now"]);
    let now = told.split("The rules of today of the whole study would say, all waiting over:\n").nth(1).unwrap();
    assert!(now.starts_with("✓ later (line 1): fires: threshold -> folder; with t2, adc, dwi\n"), "{told}");
}

#[test]
fn of_several_series_the_one_that_is_asked_for_is_taken() {
    let thick = |mut series: phantom::Series, mm: f64| {
        series.distance = mm;
        series
    };
    let at = |series: phantom::Series, time: &str| series.with(tags::SERIES_TIME, VR::TM, time);
    for (choose, series, expected) in [
        ("most-slices", [sliced("t2 a", 3), sliced("t2 b", 5), sliced("t2 c", 4)], "t2 b"),
        ("thinnest", [thick(mr("t2 a"), 3.0), thick(mr("t2 b"), 2.0), thick(mr("t2 c"), 1.0)], "t2 c"),
        ("latest", [at(mr("t2 a"), "101500"), at(mr("t2 b"), "093000"), at(mr("t2 c"), "100000")], "t2 a"),
        ("first", [at(mr("t2 a"), "101500"), at(mr("t2 b"), "093000"), at(mr("t2 c"), "100000")], "t2 b"),
    ] {
        let rules = prostate("").replace("\"t2*\" }", &format!("\"t2*\" }}\nchoose = \"{choose}\""));
        let stand = stand(&rules);
        for series in series.iter().chain(&[mr("adc"), mr("dwi")]) {
            stand.arrives(series);
        }
        assert_eq!(stand.after(SETTLED), 1, "{choose}");
        assert_eq!(stand.inputs()[0].1, mr(expected).series_uid().to_string(), "{choose}");
    }
}

#[test]
fn an_incomplete_set_is_given_up_run_or_waited_for() {
    for (more, in_window, later, much_later) in
        [("", 0, 0, 0), ("partial = \"proceed\"", 1, 1, 1), ("partial = \"wait\"\ngive_up_after = \"5 h\"", 0, 1, 1)]
    {
        let mut stand = stand(&prostate(more));
        stand.arrives(&mr("t2"));
        stand.arrives(&mr("adc"));
        assert_eq!(stand.after(29 * MINUTE), 0, "{more}");
        stand.killed();
        assert_eq!(stand.after(MINUTE), in_window, "{more}: the window is over");
        stand.killed();
        stand.clock.advance(2 * HOUR);
        stand.arrives(&mr("dwi"));
        assert_eq!(stand.after(SETTLED), later, "{more}: what is missing comes after two hours");
        stand.killed();
        assert_eq!(stand.after(24 * HOUR), much_later, "{more}");
        let explained = stand.explained(mr("t2").series_uid().as_str());
        let told = match more {
            "" => "has given up: dwi did not come",
            "partial = \"proceed\"" => "with t2, adc; without dwi",
            _ => "with t2, adc, dwi\n",
        };
        assert!(explained.contains(told), "{explained}");
    }
}

#[test]
fn waiting_for_the_rest_of_a_set_has_an_end() {
    let mut stand = stand(&prostate("partial = \"wait\"\ngive_up_after = \"5 h\""));
    stand.arrives(&mr("t2"));
    stand.killed();
    assert_eq!(stand.after(5 * HOUR), 0);
    stand.arrives(&mr("adc"));
    stand.arrives(&mr("dwi"));
    assert_eq!(stand.after(24 * HOUR), 0, "what comes after five hours is no input any more");
    assert!(stand.explained(mr("t2").series_uid().as_str()).contains("has given up: adc, dwi did not come"));
}

#[test]
fn an_optional_input_is_taken_when_it_is_there_and_never_waited_for() {
    let rules = prostate("").replace("\"dwi*\" }", "\"dwi*\" }\noptional = true");
    let without = stand(&rules);
    without.arrives(&mr("t2"));
    without.arrives(&mr("adc"));
    assert_eq!(without.after(SETTLED), 1);
    assert_eq!(without.inputs(), pairs(&[("t2", &mr("t2")), ("adc", &mr("adc"))]));
    let with = stand(&rules);
    for name in ["t2", "dwi", "adc"] {
        with.arrives(&mr(name));
    }
    assert_eq!(with.after(SETTLED), 1);
    assert_eq!(with.inputs().len(), 3);
}

#[test]
fn a_prior_is_of_an_earlier_study_of_the_same_patient() {
    let prior =
        "[rule.inputs.before]\nwhen.SeriesDescription = { glob = \"t2*\" }\nprior = true\nmax_age = \"730 d\"\n";
    let of = |study: &str, date: &str, patient: &str| {
        of_study(study, "t2").with(tags::STUDY_DATE, VR::DA, date).with(tags::PATIENT_ID, VR::LO, patient)
    };
    let now = of("now", "20261101", "P1");
    for (what, before, taken) in [
        ("a year before", of("earlier", "20251101", "P1"), true),
        ("three years before", of("earlier", "20231101", "P1"), false),
        ("of another patient", of("earlier", "20251101", "P2"), false),
        ("after it", of("later", "20270101", "P1"), false),
    ] {
        let rules = prostate("").split("[rule.inputs.adc]").next().unwrap().to_owned() + prior;
        let stand = stand(&rules);
        stand.arrives(&before);
        let jobs = stand.after(HOUR);
        stand.arrives(&now);
        assert_eq!(stand.after(HOUR) - jobs, usize::from(taken), "{what}");
        if taken {
            assert_eq!(stand.inputs(), pairs(&[("t2", &now), ("before", &before)]), "{what}");
        }
    }
}

#[test]
fn a_held_series_is_no_input_before_it_is_released() {
    let hold = "[[rule]]\nname = \"look\"\nwhen.SeriesDescription = \"adc\"\nhold = \"is it calibrated?\"\n";
    let stand = stand(&(hold.to_owned() + &prostate("partial = \"wait\"")));
    for name in ["t2", "adc", "dwi"] {
        stand.arrives(&mr(name));
    }
    assert_eq!(stand.after(HOUR), 0);
    stand.half.intake.release(mr("adc").series_uid().as_str(), "anna").unwrap();
    assert_eq!(stand.after(SETTLED), 1);
    assert_eq!(stand.inputs().len(), 3);
}

#[test]
fn a_late_instance_runs_the_set_again_or_is_only_kept() {
    for (late, jobs) in [("rerun", 2), ("ignore", 1)] {
        let stand = stand_with(&prostate(""), &format!("late = \"{late}\""));
        let t2 = sliced("t2", 4);
        stand.arrives(&t2.clone().without(&[3]));
        stand.arrives(&mr("adc"));
        stand.arrives(&mr("dwi"));
        assert_eq!(stand.after(SETTLED), 1);
        stand.arrives(&t2.without(&[0, 1, 2]));
        assert_eq!(stand.after(SETTLED), jobs, "{late}");
        assert_eq!(stand.half.last_job().inputs[0].revision, if jobs == 2 { 2 } else { 1 });
    }
}

#[test]
fn an_input_of_a_geometry_that_is_not_taken_is_named() {
    let stand = stand(&prostate(""));
    stand.arrives(&mr("t2"));
    stand.arrives(&sliced("adc", 5).without(&[2]));
    stand.arrives(&mr("dwi"));
    assert_eq!(stand.after(SETTLED), 1);
    let job = &stand.half.jobs()[0];
    assert_eq!(job.state, JobState::Discarded);
    let why = job.last_error.as_deref().unwrap();
    assert!(
        why.starts_with("input \"adc\": ") && why.contains("missing-slices (") && why.contains("\"threshold\" accepts"),
        "{why}"
    );
}

#[test]
fn two_processes_that_decide_at_once_make_one_job() {
    let rules = prostate("")
        + "[[rule]]\nname = \"late\"\nwhen.Modality = \"MR\"\npipeline = \"threshold\"\nsend_to = \"folder\"\nquiet = \"1 min\"\n";
    let stand = stand(&rules);
    for name in ["t2", "adc", "dwi"] {
        stand.arrives(&mr(name));
    }
    stand.clock.advance(SETTLED);
    let halves: Vec<Half> = (0..4).map(|_| Half::open(&stand.site, Arc::new(stand.clock.clone()))).collect();
    std::thread::scope(|scope| {
        for half in &halves {
            scope.spawn(|| half.intake.decide_due().unwrap());
        }
    });
    stand.half.look();
    let mut rules = stand.half.rules();
    rules.sort_unstable();
    assert_eq!(rules, ["late", "late", "late", "prostate"]);
}
