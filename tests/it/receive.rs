//! Real senders: DCMTK's and our own, with every transfer syntax of the assets.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::inbox::{Receiver, options};
use crate::support::instance::{EXPLICIT, mr};
use crate::support::{assets, dcmtk, soon};
use sagittal::delivery::Object;
use sagittal::delivery::scu::{self, Peer, Scu};
use sagittal::dicom::{AeTitle, Meta};

const PATIENCE: Duration = Duration::from_mins(2);

fn peer(receiver: &Receiver) -> Peer {
    let title = |text| AeTitle::parse(text).unwrap();
    Peer {
        host: "127.0.0.1".into(),
        port: receiver.address.port(),
        called: title("SAGITTAL"),
        calling: title("TESTS"),
        tls: None,
    }
}

async fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.env("TCP_NODELAY", "1").args(arguments);
    soon(tokio::task::spawn_blocking(move || command.output())).await.unwrap().unwrap()
}

fn succeeded(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

/// The Part 10 files of a folder, with their meta information.
fn part10(folder: &Path) -> Vec<(PathBuf, Meta, Vec<u8>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = paths.filter_map(|path| {
        let bytes = fs::read(&path).ok()?;
        Some((path, Meta::read(&bytes).ok()?, bytes))
    });
    read.collect()
}

#[tokio::test]
async fn every_syntax_of_the_matrix_arrives_byte_for_byte() {
    let Some(folder) = assets("data/syntax_matrix") else { return };
    let receiver = Receiver::start(options()).await;
    let files = part10(&folder);
    assert!(files.len() >= 20, "{} files", files.len());
    let contexts = scu::proposals(files.iter().map(|(_, meta, _)| (&meta.sop_class, &meta.transfer_syntax)));
    let mut scu = Scu::connect(&peer(&receiver), PATIENCE, &contexts).await.unwrap();
    for (path, _, bytes) in &files {
        let object = Object::from_part10(&path.display().to_string(), bytes.clone()).unwrap();
        scu.store(&object).await.unwrap();
    }
    scu.release().await;
    let stored = receiver.stop().await;
    assert_eq!(stored.len(), files.len());
    for (request, (path, meta, bytes)) in stored.iter().zip(&files) {
        assert_eq!(request.transfer_syntax, meta.transfer_syntax, "{}", path.display());
        assert!(request.dataset == bytes[meta.offset..], "{} changed on its way", path.display());
    }
}

#[tokio::test]
async fn dcmsend_gets_rid_of_every_syntax_it_knows() {
    let Some(folder) = assets("data/syntax_matrix").filter(|_| dcmtk("dcmsend")) else { return };
    let receiver = Receiver::start(options()).await;
    let arguments = ["-aec", "SAGITTAL", "--decompress-never", "--no-halt", "--scan-directories"];
    let target = ["127.0.0.1", &receiver.port(), folder.to_str().unwrap()];
    succeeded(&run("dcmsend", &[&arguments[..], &target].concat()).await);
    let mut by_syntax: BTreeMap<String, usize> = BTreeMap::new();
    for request in receiver.stop().await {
        *by_syntax.entry(request.transfer_syntax.to_string()).or_default() += 1;
    }
    // Uncompressed objects go in the one of three syntaxes that DCMTK prefers.
    for syntax in [".1", ".1.99", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91", ".5"] {
        assert!(by_syntax.contains_key(&format!("1.2.840.10008.1.2{syntax}")), "{syntax}: {by_syntax:?}");
    }
}

#[tokio::test]
async fn storescu_and_echoscu_are_served() {
    if !dcmtk("storescu") || !dcmtk("echoscu") {
        return;
    }
    let receiver = Receiver::start(options()).await;
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (1..=5).map(|n| folder.path().join(format!("{n}.dcm"))).collect();
    for (number, path) in files.iter().enumerate() {
        fs::write(path, mr(&format!("1.2.3.{}", number + 1), EXPLICIT).bytes).unwrap();
    }
    succeeded(&run("echoscu", &["-aec", "SAGITTAL", "127.0.0.1", &receiver.port()]).await);
    let port = receiver.port();
    let mut arguments = vec!["-R", "-aec", "SAGITTAL", "-aet", "MODALITY", "127.0.0.1", &port];
    arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
    succeeded(&run("storescu", &arguments).await);
    let inbox = std::sync::Arc::clone(&receiver.inbox);
    let stored = receiver.stop().await;
    let instances: Vec<_> = stored.iter().map(|request| request.sop_instance.as_str()).collect();
    assert_eq!(instances, ["1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4", "1.2.3.5"]);
    let association = stored[0].association;
    assert!(stored.iter().all(|request| request.calling == "MODALITY" && request.association == association));
    assert!(inbox.released.lock().unwrap().contains(&association));
}

#[tokio::test]
async fn our_own_echo_and_a_wrong_title_are_told_apart() {
    let receiver = Receiver::start(options()).await;
    let right = peer(&receiver);
    scu::echo(&right, PATIENCE).await.unwrap();
    let wrong = Peer { called: AeTitle::parse("SAGITAL").unwrap(), ..right };
    let error = scu::echo(&wrong, PATIENCE).await.unwrap_err().to_string();
    assert!(error.contains("SAGITAL@127.0.0.1") && error.contains("called AE title not recognized"), "{error}");
    receiver.stop().await;
}
