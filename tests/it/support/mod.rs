//! What the tests talk to and talk with.

pub mod balky;
pub mod findings;
pub mod half;
pub mod inbox;
pub mod instance;
pub mod modality;
pub mod models;
pub mod multiframe;
pub mod onnx;
pub mod outbox;
pub mod pacs;
pub mod parrot;
pub mod peers;
pub mod phantom;
pub mod site;

use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// `work`, or a failed test when it takes longer than any working machine needs.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(3), work).await.expect("nothing happened for three minutes")
}

/// A folder of the shared assets, or `None`, said on standard error, where they are absent.
pub fn assets(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SAGITTAL_ASSETS").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/assets"));
    let path = root.join(folder);
    if !path.exists() {
        eprintln!("skipped: no assets/{folder}; set SAGITTAL_ASSETS");
    }
    path.exists().then_some(path)
}

/// Is this DCMTK program installed? Says so on standard error when it is not.
pub fn dcmtk(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed (Debian: apt-get install dcmtk)");
    }
    found
}
