//! The whole node against objects and disks that mean no good.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use sagittal::clock::SystemClock;
use sagittal::config::Config;
use sagittal::dicom::command::{Command, Normalized, Response, StoreRq};
use sagittal::node::{self, Running};

use crate::support::instance::{IMPLICIT, MR, mr};
use crate::support::parrot::{self, Parrot, store_request};
use crate::support::site::Site;
use crate::support::soon;

const NODE: &str = "[receive]\nlisten = \"127.0.0.1:0\"\n";
const COMMITMENT: &str = "1.2.840.10008.1.20.1";
const AFFECTED_SOP_INSTANCE: Tag = Tag(0x0000, 0x1000);

async fn start(site: &Site, rest: &str) -> Running {
    site.write("node.toml", &format!("{NODE}{rest}"));
    node::start(Config::load(&site.config()).unwrap(), Arc::new(SystemClock)).await.unwrap()
}

/// The data set of an MR instance in Implicit VR Little Endian, with one UID replaced.
fn dataset(replaced: Tag, uid: &str) -> Vec<u8> {
    let object = dicom_object::from_reader(mr("1.2.3.4", IMPLICIT).bytes.as_slice()).unwrap();
    let mut dataset = object.into_inner();
    dataset.put(DataElement::new(replaced, VR::UI, uid));
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    dataset.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
    bytes
}

async fn stored(parrot: &mut Parrot, request: StoreRq, dataset: &[u8]) -> Response {
    let request = parrot::command(1, &Command::StoreRq(request));
    let parts = dataset.chunks(8000).map(|part| parrot::value(1, 0, part)).collect::<Vec<_>>().concat();
    match parrot.command(&[request, parts, parrot::data(1, b"")].concat()).await {
        Command::StoreRsp(response) => response,
        other => panic!("{other:?}"),
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// Invariant 2: a UID that is none never becomes part of a path, whichever attribute it stands in.
#[tokio::test]
async fn uids_that_climb_out_of_the_folder_are_refused() {
    let site = Site::new(([127, 0, 0, 1], 1).into());
    let running = start(&site, "").await;
    let mut parrot = Parrot::associated(running.address(), &[(1, MR)]).await;
    let climbing = "../../climbed";
    let answer = stored(&mut parrot, store_request(1, MR, climbing), &dataset(tags::SOP_INSTANCE_UID, climbing)).await;
    assert_eq!((answer.status, answer.offending), (0x0117, Some(AFFECTED_SOP_INSTANCE)));
    for (number, tag) in (2..).zip([tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID]) {
        let answer = stored(&mut parrot, store_request(number, MR, "1.2.3.4"), &dataset(tag, climbing)).await;
        assert_eq!((answer.status, answer.offending), (0xc000, Some(tag)));
        assert!(answer.comment.is_some_and(|comment| comment.contains("UID")));
    }
    let answer = stored(&mut parrot, store_request(9, MR, "1.2.3.4"), &dataset(tags::SERIES_NUMBER, "1")).await;
    assert_eq!(answer.status, 0, "a sound instance is kept");
    soon(running.stop()).await;
    let mut files = Vec::new();
    files_below(site.folder.path(), &mut files);
    assert!(files.iter().any(|file| file.to_string_lossy().contains("quarantine")), "{files:?}");
    assert!(files.iter().all(|file| !file.to_string_lossy().contains("climbed")), "{files:?}");
    let above = site.folder.path().parent().unwrap();
    assert!(!above.join("climbed").exists() && !above.join("climbed.dcm").exists());
}

/// A9xx and Cxxx say which element, A700 says how much is free.
#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let site = Site::new(([127, 0, 0, 1], 1).into());
    let running = start(&site, "").await;
    let mut parrot = Parrot::associated(running.address(), &[(1, MR)]).await;
    let answer =
        stored(&mut parrot, store_request(1, MR, "1.2.3.4"), &dataset(tags::SOP_INSTANCE_UID, "1.2.3.5")).await;
    assert_eq!((answer.status, answer.offending), (0xa900, Some(tags::SOP_INSTANCE_UID)));
    let ct = "1.2.840.10008.5.1.4.1.1.2";
    let answer = stored(&mut parrot, store_request(2, MR, "1.2.3.4"), &dataset(tags::SOP_CLASS_UID, ct)).await;
    assert_eq!((answer.status, answer.offending), (0xa900, Some(tags::SOP_CLASS_UID)));
    let answer = stored(&mut parrot, store_request(3, MR, "1.2.3.4"), &[0xff; 100]).await;
    assert_eq!(answer.status, 0xc000);
    assert!(answer.comment.is_some_and(|comment| !comment.is_empty()));
    soon(running.stop()).await;

    let running = start(&site, "[storage]\nkeep_free = \"1000 TiB\"\n").await;
    let mut parrot = Parrot::associated(running.address(), &[(1, MR)]).await;
    let answer = stored(&mut parrot, store_request(1, MR, "1.2.3.4"), &dataset(tags::SERIES_NUMBER, "1")).await;
    assert_eq!(answer.status, 0xa700);
    assert!(answer.comment.is_some_and(|comment| comment.contains("bytes are free")));
    soon(running.stop()).await;
}

/// PS3.7 annex C.5.16, 0124: a peer may associate and verify, and still be nobody who stores.
#[tokio::test]
async fn who_may_only_verify_stores_nothing() {
    let site = Site::new(([127, 0, 0, 1], 1).into());
    let running = start(&site, "allow = [\"MODALITY\"]\nverify_only = [\"PARROT\"]\n").await;
    let mut parrot = Parrot::associated(running.address(), &[(1, MR), (3, "1.2.840.10008.1.1"), (5, COMMITMENT)]).await;
    let echo = parrot.command(&parrot::command(3, &Command::EchoRq { message_id: 1 })).await;
    assert!(matches!(echo, Command::EchoRsp(Response { status: 0, .. })));
    let answer = stored(&mut parrot, store_request(2, MR, "1.2.3.4"), &dataset(tags::SERIES_NUMBER, "1")).await;
    assert_eq!(answer.status, 0x0124);
    assert!(answer.comment.is_some());
    let (sop_class, sop_instance) = (COMMITMENT.to_owned(), format!("{COMMITMENT}.1"));
    let action = Normalized { message_id: 3, sop_class, sop_instance, kind: 1, has_data: true };
    let asked = [parrot::command(5, &Command::ActionRq(action)), parrot::data(5, b"any request")].concat();
    let answer = parrot.command(&asked).await;
    assert!(matches!(answer, Command::ActionRsp(Response { status: 0x0124, .. })), "{answer:?}");
    soon(running.stop()).await;
}
