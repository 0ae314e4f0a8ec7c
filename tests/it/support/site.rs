//! A site: a configuration folder in a temporary place, and the real program running on it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sagittal::clock::SystemClock;
use sagittal::config::Config;
use sagittal::ledger::Ledger;

use super::{models, onnx};

pub struct Site {
    pub folder: tempfile::TempDir,
}

impl Site {
    /// A node with the threshold model, sending to a DICOM destination at `pacs` and to a folder.
    pub fn new(pacs: SocketAddr) -> Site {
        let site = Site { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(site.config()).unwrap();
        install_threshold_model(&site.folder.path().join("models/threshold"));
        let node = r#"[node]
ae_title = "SAGITTAL"

[receive]
listen = "127.0.0.1:0"
reserve = "0 B"

[completion]
quiet = "10 s"
quiet_after_release = "200 ms"

[jobs]
lease = "60 s"
max_attempts = 1000
"#;
        let destinations = format!(
            r#"[destination.pacs]
kind = "dicom"
host = "127.0.0.1"
port = {}
ae_title = "PACS"
confirm = "none"

[destination.folder]
kind = "folder"
path = "../results"
"#,
            pacs.port()
        );
        site.write("node.toml", node);
        site.write("destinations.toml", &destinations);
        site.write(
            "pipelines.toml",
            "[pipeline.threshold]\nmodels = [\"threshold\"]\ndescription = \"AI threshold\"\n",
        );
        let rules = r#"[[rule]]
name = "every CT"
when.Modality = "CT"
pipeline = "threshold"
send_to = ["pacs", "folder"]
"#;
        site.write("rules.toml", rules);
        site
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.config().join(name), text).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// Files of the folder destination.
    pub fn results(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(&self.folder.path().join("results"), &mut found);
        found
    }

    /// The ledger, read beside the running node.
    pub fn ledger(&self) -> Ledger {
        let config = Config::load(&self.config()).unwrap();
        sagittal::node::open_ledger(&config, Arc::new(SystemClock)).unwrap()
    }

    pub fn spool(&self) -> PathBuf {
        sagittal::node::spool_path(&Config::load(&self.config()).unwrap().node)
    }

    /// Changes a bit of the last place in each file of the spool that holds `pattern`, as a failing disk would.
    pub fn alter(&self, pattern: &[u8]) {
        let mut found = Vec::new();
        files_below(&self.spool(), &mut found);
        for path in found {
            let bytes = std::fs::read(&path).unwrap();
            let Some(at) = bytes.windows(pattern.len()).rposition(|window| window == pattern) else { continue };
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[bytes[at] ^ 1], at as u64).unwrap();
        }
    }

    /// Starts the program and waits for its ready line.
    pub fn start(&self) -> Node {
        let mut child = self.command(&["serve"]).stdout(Stdio::piped()).stderr(self.log()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready dicom=").unwrap_or_else(|| {
            panic!("no ready line but {line:?}; log:\n{}", self.log_text());
        });
        Node { address: address.parse().unwrap(), child }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagittal"));
        command.args(arguments).env("SAGITTAL_CONFIG", self.config()).current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    }

    fn log(&self) -> std::fs::File {
        std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("node.log")).unwrap()
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("node.log")).unwrap_or_default()
    }
}

/// Waits until `what` is so, as long as any working machine needs.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
    while !so() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// A model that marks everything above 0 HU within a 32 mm cube.
fn install_threshold_model(folder: &Path) {
    let network = onnx::threshold(0.5);
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("net.onnx"), &network).unwrap();
    let stage = models::conform("mark", 32).replace("FILE", "net.onnx").replace("SHA256", &models::sha256(&network));
    std::fs::write(folder.join("model.toml"), models::manifest("threshold", &stage)).unwrap();
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// A running program; killed when it is dropped.
pub struct Node {
    pub address: SocketAddr,
    child: Child,
}

impl Node {
    /// SIGKILL, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The most bytes that the program has had in memory (Linux).
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// SIGTERM, and the exit status.
    pub fn stop(mut self) -> std::process::ExitStatus {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
