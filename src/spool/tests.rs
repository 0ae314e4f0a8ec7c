//! Tests of the spool against a real file system, faults included.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashSet};
use std::io::Read;

use tempfile::TempDir;

use super::*;

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn series() -> SeriesKey {
    SeriesKey { study: uid("1.2"), series: uid("1.3") }
}

fn spool() -> (TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(&folder.path().join("spool")).unwrap();
    (folder, spool)
}

fn all(spool: &Spool) -> BTreeSet<String> {
    spool.locations().unwrap().map(|location| location.unwrap().0).collect()
}

fn leftovers(spool: &Spool) -> usize {
    fs::read_dir(spool.root.join(INCOMING)).unwrap().count()
}

#[test]
fn what_was_appended_is_read_back_after_a_restart() {
    let (folder, spool) = spool();
    let location = spool.append(&series(), &uid("1.4"), &[b"head", b"", b"body"]).unwrap();
    assert_eq!(location.0, "1.2/1.3/1.4.dcm");
    drop(spool);
    let spool = Spool::open(&folder.path().join("spool")).unwrap();
    assert_eq!(spool.read(&location).unwrap(), b"headbody");
    assert_eq!(spool.read_head(&location, 6).unwrap(), b"headbo");
    assert_eq!(spool.read_head(&location, 600).unwrap(), b"headbody");
    let mut text = String::new();
    spool.open_reader(&location).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "headbody");
    assert_eq!(leftovers(&spool), 0);
}

#[test]
fn a_second_append_overwrites_nothing() {
    let (_folder, spool) = spool();
    // the second copy of 1.4 takes the name that a first 1.4.1 would have
    let appended: Vec<Location> = [("1.4", "a"), ("1.4", "b"), ("1.4.1", "c"), ("1.4", "d")]
        .iter()
        .map(|(instance, bytes)| spool.append(&series(), &uid(instance), &[bytes.as_bytes()]).unwrap())
        .collect();
    let read: Vec<Vec<u8>> = appended.iter().map(|location| spool.read(location).unwrap()).collect();
    assert_eq!(read, [b"a", b"b", b"c", b"d"]);
    assert_eq!(all(&spool).len(), 4);
}

#[test]
fn removing_leaves_nothing_behind_and_may_be_repeated() {
    let (_folder, spool) = spool();
    let first = spool.append(&series(), &uid("1.4"), &[b"a"]).unwrap();
    let second = spool.append(&series(), &uid("1.5"), &[b"b"]).unwrap();
    spool.remove(&first).unwrap();
    assert!(matches!(spool.read(&first), Err(SpoolError::Missing(_))));
    assert_eq!(spool.read(&second).unwrap(), b"b");
    spool.remove(&second).unwrap();
    spool.remove(&second).unwrap();
    assert!(!spool.root.join("1.2").exists(), "empty folders are removed");
    let again = spool.append(&series(), &uid("1.4"), &[b"c"]).unwrap();
    assert_eq!(spool.read(&again).unwrap(), b"c");
}

#[test]
fn half_written_objects_of_a_crash_are_removed_at_open() {
    let (folder, spool) = spool();
    let kept = spool.append(&series(), &uid("1.4"), &[b"a"]).unwrap();
    fs::write(spool.root.join(INCOMING).join("7.tmp"), b"half").unwrap();
    drop(spool);
    let spool = Spool::open(&folder.path().join("spool")).unwrap();
    assert_eq!(leftovers(&spool), 0);
    assert_eq!(all(&spool), BTreeSet::from([kept.0]));
}

#[test]
fn locations_lead_nowhere_else() {
    let (folder, spool) = spool();
    fs::write(folder.path().join("secret.dcm"), b"secret").unwrap();
    for text in [
        "../secret.dcm",
        "1.2/../../secret.dcm",
        "1.2/1.3/../../../secret.dcm",
        "/1.2/1.3/1.4.dcm",
        "1.2/1.3",
        "1.2/1.3/.dcm",
        "1.2/1.3/1..4.dcm",
        "1.2/1.3/1.4",
        "1.2/1.3/1.4.dcm/",
        "1.2 /1.3/1.4.dcm",
        "quarantine/1.3/1.4.dcm",
        "",
    ] {
        let location = Location(text.to_owned());
        assert!(matches!(spool.read(&location), Err(SpoolError::NoLocation(_))), "{text}");
        assert!(matches!(spool.remove(&location), Err(SpoolError::NoLocation(_))), "{text}");
    }
    assert!(folder.path().join("secret.dcm").exists());
}

#[test]
fn only_objects_are_listed() {
    let (_folder, spool) = spool();
    let one = spool.append(&series(), &uid("1.4"), &[b"a"]).unwrap();
    let other = SeriesKey { study: uid("1.9"), series: uid("1.3") };
    let two = spool.append(&other, &uid("1.4"), &[b"a"]).unwrap();
    spool.quarantine("1.5", "unreadable", &[b"?"]).unwrap();
    fs::write(spool.root.join("1.2").join("1.3").join("Thumbs.db"), b"").unwrap();
    fs::write(spool.root.join("1.7"), b"").unwrap();
    assert_eq!(all(&spool), BTreeSet::from([one.0, two.0]));
}

#[test]
fn quarantined_bytes_keep_their_reason_and_each_other() {
    let (_folder, spool) = spool();
    let first = spool.quarantine("../1.5", "no SOP Instance UID", &[b"one", b"two"]).unwrap();
    let second = spool.quarantine("../1.5", "again", &[b"three"]).unwrap();
    assert_eq!(first, spool.root.join("quarantine").join("_1.5"));
    assert_eq!(fs::read(&first).unwrap(), b"onetwo");
    let reason = spool.root.join("quarantine").join("_1.5.json");
    assert_eq!(fs::read_to_string(reason).unwrap(), "no SOP Instance UID\n");
    assert_eq!(fs::read(second).unwrap(), b"three");
}

#[test]
fn a_root_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("spool");
    fs::write(&root, b"a file where the folder should be").unwrap();
    let refused = Spool::open(&root).unwrap_err();
    assert!(refused.to_string().contains(root.to_str().unwrap()), "{refused}");
}

#[test]
fn a_failed_append_leaves_no_half_written_file_and_the_next_one_works() {
    let (_folder, spool) = spool();
    fs::write(spool.root.join("1.2"), b"a file where the study's folder should be").unwrap();
    let refused = spool.append(&series(), &uid("1.4"), &[b"a"]).unwrap_err();
    assert!(matches!(refused, SpoolError::Io { action: "make the folder", .. }), "{refused}");
    assert_eq!(leftovers(&spool), 0);
    fs::remove_file(spool.root.join("1.2")).unwrap();
    let location = spool.append(&series(), &uid("1.4"), &[b"a"]).unwrap();
    assert_eq!(spool.read(&location).unwrap(), b"a");
}

#[test]
fn a_series_folder_that_someone_deleted_is_made_again() {
    let (_folder, spool) = spool();
    let lost = spool.append(&series(), &uid("1.4"), &[b"a"]).unwrap();
    fs::remove_dir_all(spool.root.join("1.2")).unwrap();
    assert!(matches!(spool.read(&lost), Err(SpoolError::Missing(_))));
    let location = spool.append(&series(), &uid("1.5"), &[b"b"]).unwrap();
    assert_eq!(spool.read(&location).unwrap(), b"b");
}

#[test]
fn a_spool_that_vanished_refuses_instead_of_losing() {
    let (_folder, spool) = spool();
    fs::remove_dir_all(&spool.root).unwrap();
    let refused = spool.append(&series(), &uid("1.4"), &[b"a"]).unwrap_err();
    assert!(matches!(refused, SpoolError::Io { action: "make the file", .. }), "{refused}");
}

#[test]
fn many_threads_append_the_same_instance_and_remove_without_losing_any() {
    let (_folder, spool) = spool();
    let kept: HashSet<(Location, u8)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u8)
            .map(|thread| {
                scope.spawn({
                    let spool = &spool;
                    move || {
                        let doomed = spool.append(&series(), &uid("1.4"), &[b"doomed"]).unwrap();
                        let kept = spool.append(&series(), &uid("1.4"), &[&[thread]]).unwrap();
                        spool.remove(&doomed).unwrap();
                        (kept, thread)
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(kept.len(), 8);
    for (location, thread) in &kept {
        assert_eq!(spool.read(location).unwrap(), [*thread], "{location:?}");
    }
    assert_eq!(all(&spool).len(), 8);
}
