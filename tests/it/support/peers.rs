//! Real peers that results are delivered to: Debian's Orthanc and DCMTK's storescp, on ports of their own, stopped when they
//! are dropped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sagittal::dicom::Meta;

use super::dcmtk;

/// Orthanc with the shipped configuration.
pub struct Orthanc {
    pub dicom: u16,
    pub http: u16,
    script: Child,
}

impl Orthanc {
    /// `None`, said on standard error, where Orthanc is not installed.
    pub fn start(folder: &Path, title: &str) -> Option<Orthanc> {
        let places = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&places).chain([PathBuf::from("/usr/sbin")]);
        if !places.any(|place| place.join("Orthanc").exists()) {
            eprintln!("skipped: Orthanc is not installed (Debian: apt-get install orthanc)");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("orthanc/start.sh");
        let mut command = Command::new(script);
        let mut script = command.arg(folder).args(["--aet", title]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.unwrap_or_else(|| panic!("{line:?} without {name}")).parse::<u16>().unwrap()
        };
        Some(Orthanc { dicom: port("dicom="), http: port("http="), script })
    }

    /// SOP Instance UIDs of all that it holds, as often as it holds them.
    pub async fn instances(&self) -> Vec<String> {
        sagittal::delivery::tls_provider();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{}/instances?expand", self.http);
        let held: serde_json::Value = client.get(url).send().await.unwrap().json().await.unwrap();
        let uid =
            |instance: &serde_json::Value| instance["MainDicomTags"]["SOPInstanceUID"].as_str().unwrap().to_owned();
        held.as_array().unwrap().iter().map(uid).collect()
    }
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        // The script stops what it started when it is asked to; killed, it would leave Orthanc behind.
        let _ = Command::new("kill").arg(self.script.id().to_string()).status();
        let _ = self.script.wait();
    }
}

/// storescp that keeps the bytes as they came, everything that came under a name of its own.
pub struct Storescp {
    pub port: u16,
    folder: PathBuf,
    program: Child,
}

impl Storescp {
    /// `None`, said on standard error, where DCMTK is not installed.
    pub fn start(folder: &Path) -> Option<Storescp> {
        if !dcmtk("storescp") {
            return None;
        }
        std::fs::create_dir_all(folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("storescp");
        command
            .args(["--bit-preserving", "--unique-filenames", "--output-directory"])
            .arg(folder)
            .arg(port.to_string());
        let program = command.env("TCP_NODELAY", "1").stdout(Stdio::null()).spawn().unwrap();
        Some(Storescp { port, folder: folder.to_owned(), program })
    }

    /// The data sets that came, by SOP Instance UID.
    pub fn received(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut received: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let meta = Meta::read(&bytes).unwrap();
            received.entry(meta.sop_instance.to_string()).or_default().push(bytes[meta.offset..].to_vec());
        }
        received
    }
}

impl Drop for Storescp {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
