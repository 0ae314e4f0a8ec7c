//! Model packages run on volumes with known answers (design: models, ONNX Runtime, errors).

use std::path::Path;
use std::time::Duration;

use ndarray::Array3;
use sagittal::cli::models as command;
use sagittal::clock::TestClock;
use sagittal::inference::{
    Beside, Engine, InferenceError, ModelPackage, ModelStore, Progress, Step, Terminology, parse as parse_beside,
};
use sagittal::volume::{Finding, Grid, Segmentation, Volume};

use crate::support::models::{Packages, conform, engine, manifest, options, sha256};
use crate::support::onnx;

/// Sagittal slices: i runs to Posterior, j to Inferior, k to Right, 1 mm apart; HU = 40 in a box, -1000 around it.
fn head() -> Volume {
    let (slices, rows, columns) = (18, 22, 20);
    let voxels = Array3::from_shape_fn((slices, rows, columns), |(k, j, i)| {
        if (3..15).contains(&k) && (4..9).contains(&j) && (5..17).contains(&i) { 40.0 } else { -1000.0 }
    });
    let axes = [[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]];
    let grid = Grid { size: [columns, rows, slices], origin: [10.0, -20.0, 30.0], axes };
    Volume { voxels, grid, sources: (0..slices).collect() }
}

fn run(engine: &Engine, package: &ModelPackage, volume: Volume) -> Result<Segmentation, InferenceError> {
    let mut findings = engine.run(package, volume, &|_| (), &|| false)?;
    let Some(Finding::Segmentation(segmentation)) = findings.pop() else { panic!("no segmentation") };
    Ok(segmentation)
}

fn box_of(volume: &Volume) -> Array3<u8> {
    volume.voxels.mapv(|v| u8::from(v > 0.0))
}

/// A package alone: with the shipped terminology, and no file beside it.
fn parse(text: &str, folder: &Path) -> Result<ModelPackage, InferenceError> {
    let read = |name: &str| Err(std::io::Error::other(name.to_owned()));
    parse_beside(text, folder, &Beside { terms: &Terminology::shipped().unwrap(), read: &read })
}

#[test]
fn labels_come_back_on_the_sources_own_grid() {
    let Some(engine) = engine("labels on the source's grid", &TestClock::at(0)) else { return };
    let package = Packages::new().add_kept("hu", &onnx::threshold(0.51), &[&conform("only", 32)]);
    let found = run(&engine, &package.1, head()).unwrap();
    assert_eq!(found.labels, box_of(&head()));
    assert_eq!(found.grid, head().grid);
    assert_eq!((found.segments.len(), found.segments[0].property.value.as_str()), (1, "12738006"));
    assert_eq!((found.algorithm.name.as_str(), found.algorithm.version.as_str()), ("hu", "1.2.3"));
    assert_eq!(found.algorithm.digest.len(), 64);
}

#[test]
fn a_crop_around_the_first_stages_box_gives_the_same_labels() {
    let Some(engine) = engine("cascade by crop", &TestClock::at(0)) else { return };
    let crop = conform("close", 32)
        .replace(
            r#"kind = "conform", axes = "LIA", size = 32, spacing = 1.0"#,
            r#"kind = "crop", around = "far", margin = 2"#,
        )
        .replace(r#"intensity = [{ step = "fixed_window", low = -1000.0, high = 1000.0 }]"#, "");
    let package = Packages::new().add_kept("crop", &onnx::threshold(0.51), &[&conform("far", 32), &crop]);
    let steps = std::sync::Mutex::new(Vec::new());
    let note = |p: Progress<'_>| steps.lock().unwrap().push((p.stage.to_owned(), p.index, p.count, p.step));
    let findings = engine.run(&package.1, head(), &note, &|| false).unwrap();
    let [Finding::Segmentation(found)] = findings.as_slice() else { panic!("one segmentation expected") };
    assert_eq!(found.labels, box_of(&head()));
    let running: Vec<_> = steps.into_inner().unwrap().into_iter().filter(|s| s.3 == Step::Running).collect();
    assert_eq!(running, [("far".to_owned(), 0, 2, Step::Running), ("close".to_owned(), 1, 2, Step::Running)]);
}

#[test]
fn box_then_mask_finds_the_mask_on_a_turned_volume() {
    let Some(engine) = engine("cascade by box and mask", &TestClock::at(0)) else { return };
    let stage = |name: &str, grid: &str, window: &str, cleanup: &str| {
        format!(
            r#"
[[stage]]
name = "{name}"
file = "FILE"
sha256 = ["SHA256"]
input = "input"
output = "output"
grid = {{ {grid} }}
intensity = [{{ {window} }}]
decide = {{ kind = "threshold", classes = 2, channel = 1, above = 0.0 }}
cleanup = [{cleanup}]
"#
        )
    };
    let first = stage(
        "box",
        r#"kind = "resize", axes = "RAS", size = 16"#,
        r#"step = "window", low = 0.0, high = 1.0"#,
        r#""largest_component_corners""#,
    );
    let second = stage(
        "mask",
        r#"kind = "part", around = "box", size = 64, occupancy = 0.02, scale = 1.5"#,
        r#"step = "window_of", stage = "box""#,
        r#""largest_component_corners", "fill_holes""#,
    );
    let package = Packages::new().add_kept("cascade", &onnx::threshold(0.5), &[&first, &second]);
    let mut volume = head();
    volume.voxels[[8, 6, 10]] = -1000.0;
    volume.voxels[[0, 21, 19]] = 40.0;
    let found = run(&engine, &package.1, volume).unwrap();
    assert_eq!(found.labels, box_of(&head()), "the hole is filled, the far voxel is gone");
    assert_eq!(found.thresholds, [(1, 0.0)].into());
}

#[test]
fn a_network_that_does_not_keep_its_word_is_refused_for_good() {
    let Some(engine) = engine("broken networks", &TestClock::at(0)) else { return };
    let check = |id: &str, network: &[u8], stage: &str, words: &[&str]| {
        let package = Packages::new().add_kept(id, network, &[stage]);
        let error = run(&engine, &package.1, head()).unwrap_err();
        let message = error.to_string();
        assert!(!error.retryable(), "{message}");
        assert!(words.iter().all(|w| message.contains(w)), "{message}");
    };
    let stage = conform("only", 32);
    check("shape", &onnx::halving(), &stage, &["net.onnx", "[1, 2, 16, 16, 16]", "[1, 2, 32, 32, 32]"]);
    check("nan", &onnx::not_a_number(), &stage, &["net.onnx", "not numbers"]);
    check("junk", b"not a network at all", &stage, &["net.onnx", "cannot load"]);
    let name = stage.replace(r#""output""#, r#""logits""#);
    check("name", &onnx::threshold(0.5), &name, &["net.onnx", "`logits`", "outputs: output"]);
    let classes = stage.replace("classes = 2", "classes = 3");
    check("classes", &onnx::threshold(0.5), &classes, &["2 channels", "decide.classes says 3"]);
}

#[test]
fn an_image_without_contrast_is_unsuitable() {
    let Some(engine) = engine("an empty image", &TestClock::at(0)) else { return };
    let stage =
        conform("only", 32).replace(r#"step = "fixed_window", low = -1000.0, high = 1000.0"#, r#"step = "min_max""#);
    let package = Packages::new().add_kept("empty", &onnx::threshold(0.5), &[&stage]);
    let mut volume = head();
    volume.voxels.fill(0.0);
    let error = run(&engine, &package.1, volume).unwrap_err();
    assert!(matches!(&error, InferenceError::Unsuitable { model, .. } if model == "empty"), "{error}");
}

#[test]
fn a_changed_network_is_refused_before_it_is_loaded() {
    let Some(engine) = engine("sha256 before loading", &TestClock::at(0)) else { return };
    let packages = Packages::new();
    let package = packages.add("changed", &onnx::threshold(0.5), &[&conform("only", 32)]);
    let other = onnx::threshold(0.25);
    std::fs::write(packages.folder().join("changed/net.onnx"), &other).unwrap();
    let error = run(&engine, &package, head()).unwrap_err();
    let (expected, found) = (sha256(&onnx::threshold(0.5)), sha256(&other));
    let message = error.to_string();
    assert!(matches!(error, InferenceError::DigestDiffers { .. }) && !error.retryable());
    assert!([expected.as_str(), found.as_str(), "net.onnx"].iter().all(|w| message.contains(w)), "{message}");

    std::fs::remove_file(packages.folder().join("changed/net.onnx")).unwrap();
    let message = run(&engine, &package, head()).unwrap_err().to_string();
    assert!(message.contains("net.onnx is missing") && message.contains("make tests"), "{message}");
}

#[test]
fn a_missing_runtime_names_the_command_that_installs_it() {
    let packages = Packages::new();
    let package = packages.add("hu", &onnx::threshold(0.5), &[&conform("only", 32)]);
    let engine = Engine::new(options(Some(packages.folder().join("nowhere.so")), &TestClock::at(0)));
    let error = run(&engine, &package, head()).unwrap_err();
    let message = error.to_string();
    assert!(error.retryable() && message.contains("make runtime") && message.contains("nowhere.so"), "{message}");
}

#[test]
fn a_loaded_network_is_kept_for_its_time_to_live() {
    let clock = TestClock::at(0);
    let Some(engine) = engine("sessions kept", &clock) else { return };
    let packages = Packages::new();
    let package = packages.add("hu", &onnx::threshold(0.5), &[&conform("only", 32)]);
    run(&engine, &package, head()).unwrap();
    std::fs::remove_file(packages.folder().join("hu/net.onnx")).unwrap();
    clock.advance(Duration::from_secs(59));
    run(&engine, &package, head()).unwrap();
    clock.advance(Duration::from_secs(59));
    assert_eq!(engine.evict_idle(), 1, "the second run renewed it");
    clock.advance(Duration::from_secs(1));
    assert_eq!(engine.evict_idle(), 0);
    assert!(matches!(run(&engine, &package, head()), Err(InferenceError::FileMissing { .. })));
}

#[test]
fn the_digest_follows_weights_and_manifest() {
    let Some(engine) = engine("digest of a model", &TestClock::at(0)) else { return };
    let digest = |at: f32, stage: &str| {
        let package = Packages::new().add_kept("hu", &onnx::threshold(at), &[stage]);
        run(&engine, &package.1, head()).unwrap().algorithm.digest
    };
    let (stage, larger) = (conform("only", 32), conform("only", 48));
    assert_eq!(digest(0.5, &stage), digest(0.5, &stage));
    assert_ne!(digest(0.5, &stage), digest(0.25, &stage));
    assert_ne!(digest(0.5, &stage), digest(0.5, &larger));
}

#[test]
fn a_cancelled_run_stops() {
    let Some(engine) = engine("cancelling", &TestClock::at(0)) else { return };
    let package = Packages::new().add_kept("hu", &onnx::threshold(0.5), &[&conform("only", 32)]);
    let outcome = engine.run(&package.1, head(), &|_| (), &|| true);
    assert!(matches!(outcome, Err(InferenceError::Cancelled)));
}

#[test]
fn every_fault_of_a_manifest_is_told_at_once() {
    let stages =
        conform("only", 7).replace("LIA", "LRA").replace("classes = 2", "classes = 1").replace("FILE", "../net.onnx");
    let message = parse(&manifest("other", &stages), Path::new("models/hu")).unwrap_err().to_string();
    let words = [
        "models/hu/model.toml",
        "folder is called `hu`",
        "../net.onnx",
        "sha256",
        "LRA",
        "grid.size = 7",
        "decide.classes",
    ];
    for word in words {
        assert!(message.contains(word), "{word} is not in: {message}");
    }
    let unknown = manifest("hu", &conform("only", 32)).replace("licence =", "license =");
    let message = parse(&unknown, Path::new("models/hu")).unwrap_err().to_string();
    assert!(message.contains("model.toml:7: license: ") && message.contains("did you mean \"licence\"?"), "{message}");
}

#[test]
fn the_shipped_packages_are_sound() {
    let store = ModelStore::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("models").as_path()).unwrap();
    let ids = store.ids().unwrap();
    assert_eq!(ids, ["deepbet", "meshnet-18", "meshnet-18-large", "meshnet-gwm", "meshnet-gwm-large"]);
    for (id, labels) in ids.iter().zip([1, 17, 17, 2, 2]) {
        assert_eq!(store.load(id).unwrap().segments.len(), labels, "{id}");
    }
    let script =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/models/install_deepbet.py"));
    let (script, deepbet) = (script.unwrap(), store.load("deepbet").unwrap());
    assert!(deepbet.stages.iter().all(|s| script.contains(&s.file.sha256[0])), "the script writes what is accepted");
    let message = store.load("../models").unwrap_err().to_string();
    assert!(message.contains("../models") && message.contains("meshnet-gwm"), "{message}");
}

#[test]
fn the_command_lists_and_checks_packages() {
    let packages = Packages::new();
    packages.add("good", &onnx::threshold(0.5), &[&conform("only", 32)]);
    packages.add("gone", &onnx::threshold(0.5), &[&conform("only", 32)]);
    std::fs::remove_file(packages.folder().join("gone/net.onnx")).unwrap();
    std::fs::create_dir(packages.folder().join("bad")).unwrap();
    std::fs::write(packages.folder().join("bad/model.toml"), "id = 3").unwrap();
    let call = |words: &[&str]| {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            models: command::Models,
        }
        let folder = packages.folder();
        let line = ["models"].iter().chain(words).copied().chain(["--models", folder.to_str().unwrap()]);
        let line = <Line as clap::Parser>::try_parse_from(line).unwrap();
        let mut out = Vec::new();
        let good = command::run(&line.models, &mut out).unwrap();
        (good, String::from_utf8(out).unwrap())
    };
    let (good, text) = call(&["list"]);
    assert!(!good && text.contains("missing net.onnx (make tests)") && text.contains("installed"), "{text}");
    let (good, text) = call(&["check", "good", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        good && json[0]["id"].as_str() == Some("good")
            && json[0]["installed"] == true
            && json[0]["version"].as_str() == Some("1.2.3"),
        "{text}"
    );
    let state = json[0]["state"].as_str().unwrap();
    assert!(state == "verified and loaded" || state.contains("sha256 verified; not loaded"), "{state}");
    let (good, text) = call(&["check"]);
    assert!(!good && text.contains("net.onnx is missing") && text.contains("bad/model.toml"), "{text}");
}

#[test]
fn a_class_without_a_label_is_background() {
    let Some(engine) = engine("classes without a label", &TestClock::at(0)) else { return };
    let packages = Packages::new();
    packages.add("hu", &onnx::threshold(0.51), &[&conform("only", 32)]);
    let file = packages.folder().join("hu/model.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("[[label]]\nvalue = 1", "[[label]]\nvalue = 2");
    let refused = parse(&text, &packages.folder().join("hu")).unwrap_err().to_string();
    assert!(refused.contains("label 2") && refused.contains("up to 1 only"), "{refused}");

    let stage = conform("only", 32).replace("classes = 2", "classes = 3");
    let package = packages.add("three", &onnx::second_class(0.51), &[&stage]);
    let found = run(&engine, &package, head()).unwrap();
    assert_eq!(found.labels.iter().max(), Some(&0), "only label 1 is listed, the box is class 2");
}

/// Axial slices 1 mm apart, on none of the planes of [`head`]: 40 HU in a box between these corners (LPS mm), -1000 around it.
fn other_series(low: [f64; 3], high: [f64; 3]) -> Volume {
    let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let grid = Grid { size: [30, 34, 36], origin: [-15.0, -24.0, 2.0], axes };
    let voxels = Array3::from_shape_fn((36, 34, 30), |(k, j, i)| {
        let at = grid.position([i as f64, j as f64, k as f64]);
        if (0..3).all(|axis| (low[axis]..=high[axis]).contains(&at[axis])) { 40.0 } else { -1000.0 }
    });
    Volume { voxels, grid, sources: Vec::new() }
}

#[test]
fn several_series_are_the_channels_of_one_network_on_the_firsts_grid() {
    let Some(engine) = engine("several channels", &TestClock::at(0)) else { return };
    let channels = r#"
[[channel]]
name = "t2"
[[channel]]
name = "adc"
[[channel]]
name = "dwi"
intensity = [{ step = "fixed_window", low = 0.0, high = 40.0 }]
"#;
    let conformed = channels.to_owned() + &conform("only", 32);
    let resized = conformed.replace(
        r#"kind = "conform", axes = "LIA", size = 32, spacing = 1.0"#,
        r#"kind = "resize", axes = "RAS", size = 32"#,
    );
    // ADC becomes 0.52 in its box, DWI 1 in its own; T2 weighs nothing
    let network = onnx::weighted(&[0.0, 1.0, 1.0], 1.4);
    let adc = other_series([-4.0, -15.0, 15.0], [5.0, -6.0, 26.0]);
    let dwi = other_series([-20.0, -12.0, 0.0], [20.0, 20.0, 22.0]);
    let grid = head().grid;
    let both = |i: usize, j: usize, k: usize| {
        let at = grid.position([i as f64, j as f64, k as f64]);
        let within = |axis: usize, low: f64, high: f64| (low..=high).contains(&at[axis]);
        within(0, -4.0, 5.0) && within(1, -12.0, -6.0) && within(2, 15.0, 22.0)
    };
    let expected = head().voxels.indexed_iter().map(|((k, j, i), _)| u8::from(both(i, j, k))).collect::<Vec<_>>();
    assert!(expected.contains(&1) && expected.contains(&0));
    let packages = Packages::new();
    for (id, stage) in [("conformed", &conformed), ("resized", &resized)] {
        let package = packages.add(id, &network, &[stage]);
        let findings = engine.run_with(&package, head(), vec![adc.clone(), dwi.clone()], &|_| (), &|| false).unwrap();
        let [Finding::Segmentation(found)] = findings.as_slice() else { panic!("one segmentation expected") };
        assert_eq!(found.labels.iter().copied().collect::<Vec<_>>(), expected, "{id}");
        assert_eq!(found.grid, grid);
        let refused = run(&engine, &package, head()).unwrap_err();
        assert!(refused.to_string().contains("another number of series"), "{refused}");
    }
}

#[test]
fn faulty_channels_are_named() {
    let check = |channels: &str, words: &str| {
        let text = manifest("x", &(channels.to_owned() + &conform("only", 32)));
        let refused =
            parse(&text.replace("FILE", "x.onnx").replace("SHA256", &"0".repeat(64)), Path::new("x")).unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    };
    check("[[channel]]\nname = \"t2\"\n", "give two or more [[channel]]");
    check(
        "[[channel]]\nname = \"t2\"\n[[channel]]\nname = \"t2\"\n",
        "channel `t2`: give every channel a name of its own",
    );
    let window = "intensity = [{ step = \"window_of\", stage = \"x\" }]\n";
    check(
        &format!("[[channel]]\nname = \"t2\"\n[[channel]]\nname = \"adc\"\n{window}"),
        "channel `adc`: intensity: `x` is no",
    );
}
