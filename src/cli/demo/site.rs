//! The configuration folder of the demo's node: written, then read back as any other.

use std::net::SocketAddr;
use std::path::Path;

use super::pacs::Pacs;
use crate::cli::Failure;
use crate::config::Config;

/// Writes a configuration for a node on a free loopback port that masks brains and sends them to `pacs`.
pub(super) fn write(folder: &Path, models: &Path, pacs: SocketAddr) -> Result<Config, Failure> {
    let config = folder.join("config");
    std::fs::create_dir_all(&config)?;
    let models = models.canonicalize().map_err(|error| {
        Failure::Configuration(format!("{}: {error}; `make models` installs the demo's model", models.display()))
    })?;
    for (name, text) in files(folder, &models, pacs) {
        std::fs::write(config.join(name), text)?;
    }
    Ok(Config::load(&config)?)
}

fn files(site: &Path, models: &Path, pacs: SocketAddr) -> [(&'static str, String); 4] {
    let (data, models, ae, port) = (site.join("data"), models.display(), Pacs::AE_TITLE, pacs.port());
    let data = data.display();
    let node = format!(
        r#"[node]
ae_title = "SAGITTAL"
data = "{data}"
models = "{models}"

[receive]
listen = "127.0.0.1:0"

[completion]
quiet_after_release = "1 s"
"#
    );
    let destinations = format!(
        r#"[destination.demo-pacs]
kind = "dicom"
host = "127.0.0.1"
port = {port}
ae_title = "{ae}"
confirm = "none"
"#
    );
    let pipelines = r#"[pipeline.brain-mask]
models = ["deepbet"]
description = "AI brain mask"
"#;
    let rules = r#"[[rule]]
name = "T1 head"
when.Modality = "MR"
when.SeriesDescription = { regex = "(?i)t1" }
pipeline = "brain-mask"
send_to = ["demo-pacs"]
"#;
    [
        ("node.toml", node),
        ("destinations.toml", destinations),
        ("pipelines.toml", pipelines.into()),
        ("rules.toml", rules.into()),
    ]
}
