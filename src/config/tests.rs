//! The shipped folder, faulty folders against their expected output, and what secrets must not do.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use super::*;

pub(super) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

const FILES: [&str; 4] = ["node.toml", "destinations.toml", "pipelines.toml", "rules.toml"];

/// A copy of the shipped folder with some files replaced.
pub(super) fn folder_with(replaced: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    std::fs::create_dir(&config).unwrap();
    for file in FILES {
        std::fs::copy(repository().join("config").join(file), config.join(file)).unwrap();
    }
    for (file, text) in replaced {
        std::fs::write(config.join(file), text).unwrap();
    }
    folder
}

pub(super) fn check(folder: &tempfile::TempDir) -> Result<(Config, Vec<Fault>), ConfigFaults> {
    let environment = |name: &str| (name == "SET").then(|| "s3cret".to_owned());
    read(&Surroundings { files: &ConfigFiles::read(&folder.path().join("config")), environment: &environment })
}

#[test]
fn the_shipped_folder_is_free_of_faults_and_warns_of_models_to_install() {
    let (config, warnings) = check(&folder_with(&[])).unwrap();
    assert!(warnings.iter().all(Fault::is_warning));
    let found: Vec<&str> = warnings.iter().map(|warning| warning.found.as_str()).collect();
    let missing = ["meshnet-gwm", "meshnet-18", "deepbet"].map(|id| format!("\"{id}\", which is not installed"));
    assert_eq!(found, missing);
    assert_eq!(config.destinations.len(), 3);
    let order: BTreeMap<u32, &str> = config.pipelines.values().map(|p| (p.index, p.name.as_str())).collect();
    assert_eq!(order.into_values().collect::<Vec<_>>(), ["brain-tissue", "brain-structures", "brain-mask"]);
    assert_eq!(config.rules.rules().len(), 3);
}

/// What the comments of the shipped `node.toml` claim: a key that is left out has the value shown there.
#[test]
fn the_shipped_node_file_shows_the_defaults() {
    let shipped = folder_with(&[]);
    let empty = folder_with(&[("node.toml", "")]);
    let shown = format!("{:?}", check(&shipped).unwrap().0.node);
    let defaults = format!("{:?}", check(&empty).unwrap().0.node);
    let (shipped, empty) = (shipped.path().to_str().unwrap(), empty.path().to_str().unwrap());
    assert_eq!(shown.replace(shipped, "FOLDER"), defaults.replace(empty, "FOLDER"));
}

#[test]
fn installed_models_are_not_warned_of_and_a_near_miss_is_named() {
    let folder = folder_with(&[("pipelines.toml", "[pipeline.p]\nmodels = [\"meshnet-gwn\"]\n"), ("rules.toml", "")]);
    let model = folder.path().join("models/meshnet-gwm");
    std::fs::create_dir_all(&model).unwrap();
    std::fs::write(model.join("model.toml"), "").unwrap();
    let hint = |folder| check(folder).unwrap().1.first().and_then(|fault| fault.hint.clone());
    assert_eq!(hint(&folder).as_deref(), Some("did you mean \"meshnet-gwm\"?"));
    std::fs::write(folder.path().join("config/pipelines.toml"), "[pipeline.p]\nmodels = \"meshnet-gwm\"\n").unwrap();
    assert_eq!(hint(&folder), None);
}

#[test]
fn missing_files_are_all_named() {
    let folder = folder_with(&[]);
    for file in ["node.toml", "rules.toml"] {
        std::fs::remove_file(folder.path().join("config").join(file)).unwrap();
    }
    std::fs::write(folder.path().join("config/pipelines.toml"), [0xff, 0xfe]).unwrap();
    let ConfigFaults(faults) = check(&folder).unwrap_err();
    let named: Vec<_> = faults.iter().map(|f| (f.file.rsplit('/').next().unwrap(), f.found.as_str(), f.line)).collect();
    let absent = "entity not found";
    let expected = [("node.toml", absent, 0), ("pipelines.toml", "invalid data", 0), ("rules.toml", absent, 0)];
    assert_eq!(named, expected);
}

#[test]
fn secrets_come_from_files_and_variables_and_never_show() {
    let orthanc = |rest: &str| {
        let text = format!("[destination.o]\nkind = \"orthanc\"\nurl = \"http://o:8042/\"\nusername = \"u\"\n{rest}");
        let folder = folder_with(&[("destinations.toml", &text), ("rules.toml", "")]);
        std::fs::write(folder.path().join("config/password"), "s3cret\n").unwrap();
        check(&folder).map(|(config, _)| config.destinations["o"].kind.clone())
    };
    for key in ["password_env = \"SET\"", "password_file = \"password\""] {
        let kind = orthanc(key).unwrap();
        assert!(!format!("{kind:?}").contains("s3cret"));
        let DestinationKind::Orthanc(OrthancPeer { at, .. }) = kind else { panic!("{kind:?}") };
        let Login::Basic { password, .. } = at.login else { panic!("{:?}", at.login) };
        assert_eq!((at.url.as_str(), password.reveal()), ("http://o:8042", "s3cret"));
    }
    for key in ["password = \"s3cret\"", "password_env = \"UNSET\"", "password_file = \"absent\"", ""] {
        let faults = orthanc(key).unwrap_err();
        assert!(!faults.to_string().contains("s3cret"), "{faults}");
    }
}
