//! Model packages in a temporary store, and whether ONNX Runtime is here to run them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sagittal::clock::TestClock;
use sagittal::inference::{Engine, EngineOptions, ModelPackage, ModelStore};
use sha2::{Digest, Sha256};

/// Says on standard error, past the capture of test output, what was not tested.
pub fn skipped(what: &str, why: &str) {
    std::io::stderr().write_all(format!("SKIPPED: {what}: {why}\n").as_bytes()).unwrap();
}

/// An engine on a clock of the test's, or `None` (said loudly) where ONNX Runtime is not installed.
pub fn engine(what: &str, clock: &TestClock) -> Option<Engine> {
    let engine = Engine::new(options(None, clock));
    match engine.runtime() {
        Ok(()) => Some(engine),
        Err(error) => {
            skipped(what, &error.to_string());
            None
        }
    }
}

pub fn options(onnxruntime: Option<PathBuf>, clock: &TestClock) -> EngineOptions {
    EngineOptions { onnxruntime, threads: 2, session_ttl: Duration::from_mins(1), clock: Arc::new(clock.clone()) }
}

pub fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A folder of packages that lives as long as the test.
pub struct Packages {
    folder: tempfile::TempDir,
}

impl Packages {
    pub fn new() -> Packages {
        Packages { folder: tempfile::tempdir().unwrap() }
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn store(&self) -> ModelStore {
        ModelStore::open(self.folder.path()).unwrap()
    }

    /// As `add`, keeping the folder alive beside the package.
    pub fn add_kept(self, id: &str, network: &[u8], stages: &[&str]) -> (Packages, ModelPackage) {
        let package = self.add(id, network, stages);
        (self, package)
    }

    /// Adds a package with these `[[stage]]` texts (`FILE` and `SHA256` stand for the network's) and one label, 1.
    pub fn add(&self, id: &str, network: &[u8], stages: &[&str]) -> ModelPackage {
        let folder = self.folder.path().join(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("net.onnx"), network).unwrap();
        let stages = stages.join("\n").replace("FILE", "net.onnx").replace("SHA256", &sha256(network));
        std::fs::write(folder.join("model.toml"), manifest(id, &stages)).unwrap();
        self.store().load(id).unwrap()
    }
}

pub fn manifest(id: &str, stages: &str) -> String {
    format!(
        r#"
id = "{id}"
name = "A test"
version = "1.2.3"
kind = "volume"
manufacturer = "nobody"
licence = "MIT"
source = "here"
install = "make tests"
memory_mb = 10
input = {{ modality = ["CT"], expects = "anything" }}
{stages}
[[label]]
value = 1
name = "Brain"
code = {{ value = "12738006", scheme = "SCT", meaning = "Brain" }}
color = [1, 2, 3]
"#
    )
}

/// A stage on a conformed cube of `size` mm; -1000 HU becomes 0, 1000 HU becomes 1.
pub fn conform(name: &str, size: usize) -> String {
    format!(
        r#"
[[stage]]
name = "{name}"
file = "FILE"
sha256 = ["SHA256"]
input = "input"
output = "output"
grid = {{ kind = "conform", axes = "LIA", size = {size}, spacing = 1.0 }}
intensity = [{{ step = "fixed_window", low = -1000.0, high = 1000.0 }}]
decide = {{ kind = "argmax", classes = 2 }}
"#
    )
}
