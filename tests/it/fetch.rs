//! Fetching from DCMTK's archive, dcmqrscp: C-FIND, C-GET and C-MOVE.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sagittal::delivery::fetch::{self, Fetched};
use sagittal::delivery::find::{Finder, Wanted};
use sagittal::delivery::scu::{self, Peer, Scu};
use sagittal::dicom::{AeTitle, Uid};

use crate::support::inbox::{Receiver, options};
use crate::support::instance::{EXPLICIT, mr};
use crate::support::{dcmtk, soon};

const PATIENCE: Duration = Duration::from_mins(2);

struct Archive {
    peer: Peer,
    program: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn title(text: &str) -> AeTitle {
    AeTitle::parse(text).unwrap()
}

/// An archive with three MR instances of study 1.2, series 1.2.3, which knows SAGITTAL at `node`.
async fn archive(node: u16) -> Archive {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let (store, settings) = (folder.path().join("store"), folder.path().join("dcmqrscp.cfg"));
    std::fs::create_dir(&store).unwrap();
    let text = format!(
        "NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n\
         HostTable BEGIN\nnode = (SAGITTAL, 127.0.0.1, {node})\nHostTable END\n\
         VendorTable BEGIN\nVendorTable END\n\
         AETable BEGIN\nARCHIVE {} RW (9, 1024mb) ANY\nAETable END\n",
        store.display()
    );
    std::fs::write(&settings, text).unwrap();
    let mut command = Command::new("dcmqrscp");
    command.arg("-c").arg(settings).env("TCP_NODELAY", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let program = command.spawn().unwrap();
    let peer = Peer { host: "127.0.0.1".into(), port, called: title("ARCHIVE"), calling: title("SAGITTAL"), tls: None };
    let archive = Archive { peer, program, _folder: folder };
    soon(async {
        while scu::echo(&archive.peer, PATIENCE).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let objects: Vec<_> = (1..=3).map(|n| mr(&format!("1.2.3.{n}"), EXPLICIT)).collect();
    let contexts = scu::proposals(objects.iter().map(|object| (&object.sop_class, &object.transfer_syntax)));
    let mut scu = Scu::connect(&archive.peer, PATIENCE, &contexts).await.unwrap();
    for object in &objects {
        scu.store(object).await.unwrap();
    }
    scu.release().await;
    archive
}

fn wanted(series: Option<&str>) -> Wanted {
    let uid = |text: &str| Uid::parse(text).unwrap();
    Wanted { study: uid("1.2"), series: series.map(uid) }
}

#[tokio::test]
async fn a_study_is_moved_to_the_node() {
    if !dcmtk("dcmqrscp") {
        return;
    }
    let receiver = Receiver::start(options()).await;
    let archive = archive(receiver.address.port()).await;
    let mut finder = Finder::connect(&archive.peer, PATIENCE).await.unwrap();
    assert_eq!(finder.instances(&wanted(None)).await.unwrap().len(), 3);
    assert_eq!(finder.count(&wanted(None).study, &wanted(Some("1.2.3")).series.unwrap()).await.unwrap(), 3);
    finder.end().await;
    let moved = soon(fetch::by_move(&archive.peer, PATIENCE, &wanted(Some("1.2.3")), &title("SAGITTAL"), |_| ())).await;
    assert_eq!(moved.unwrap(), Fetched { completed: 3, failed: 0 });
    let unknown = soon(fetch::by_move(&archive.peer, PATIENCE, &wanted(None), &title("STRANGER"), |_| ())).await;
    assert!(unknown.unwrap_err().to_string().contains("a801"));
    let mut stored: Vec<_> = receiver.stop().await.iter().map(|request| request.sop_instance.to_string()).collect();
    stored.sort();
    assert_eq!(stored, ["1.2.3.1", "1.2.3.2", "1.2.3.3"]);
}

/// `sagittal fetch` into a folder.
async fn fetch_to(folder: &Path, archive: &Archive, study: &str) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagittal"));
    command.args(["fetch", "--from", &format!("127.0.0.1:{}", archive.peer.port), "--called", "ARCHIVE"]);
    command.args(["--calling", "SAGITTAL", "--study", study, "--to"]).arg(folder);
    soon(tokio::task::spawn_blocking(move || command.output())).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_study_is_got_into_a_folder_as_it_lies() {
    if !dcmtk("dcmqrscp") {
        return;
    }
    let (archive, folder) = (archive(9).await, tempfile::tempdir().unwrap());
    let done = fetch_to(folder.path(), &archive, "1.2").await;
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
    for number in 1..=3 {
        let uid = format!("1.2.3.{number}");
        let bytes = std::fs::read(folder.path().join(format!("{uid}.dcm"))).unwrap();
        let got = sagittal::delivery::Object::from_part10("fetched", bytes).unwrap();
        assert_eq!(got.sop_instance.as_str(), uid);
        assert!(got.bytes.ends_with(&(0..64 * 64).flat_map(u16::to_le_bytes).collect::<Vec<_>>()), "{uid}");
    }
    let nothing = fetch_to(folder.path(), &archive, "1.2.9").await;
    assert_eq!(nothing.status.code(), Some(1));
}
