//! Tests of the spool against a real file system, faults included.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashSet};

use tempfile::TempDir;

use super::*;

const SMALL: SpoolOptions = SpoolOptions { durability: Durability::PowerLoss, segment_bytes: 32 * 1024, reserve: 0 };

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn series() -> SeriesKey {
    SeriesKey { study: uid("1.2"), series: uid("1.3") }
}

fn spool() -> (TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = reopened(&folder);
    (folder, spool)
}

fn reopened(folder: &TempDir) -> Spool {
    Spool::open_with(&folder.path().join("spool"), SMALL).unwrap()
}

fn put(spool: &Spool, instance: &str, bytes: &[u8]) -> Location {
    spool.append(&series(), &uid(instance), &[bytes]).unwrap()
}

fn all(spool: &Spool) -> BTreeSet<String> {
    spool.locations().unwrap().map(|location| location.unwrap().0).collect()
}

fn names(locations: &[&Location]) -> BTreeSet<String> {
    locations.iter().map(|location| location.0.clone()).collect()
}

fn segments(spool: &Spool) -> Vec<PathBuf> {
    let files = log::segment_files(&spool.root.join(SEGMENTS)).unwrap();
    files.into_iter().map(|(path, _)| path).collect()
}

#[test]
fn what_was_appended_is_read_back_after_a_restart() {
    let (folder, spool) = spool();
    let stored = spool.append_with(&series(), &uid("1.4"), "from\nCT1", b"head", b"body").unwrap();
    assert_eq!((stored.length, stored.body_length, stored.body_checksum), (8, 4, checksum(b"body")));
    let location = stored.location;
    drop(spool);
    for spool in [reopened(&folder), Spool::attach(&folder.path().join("spool"))] {
        assert_eq!(spool.read(&location).unwrap(), b"headbody");
        assert_eq!(spool.read_head(&location, 6).unwrap(), b"headbo");
        assert_eq!(spool.read_head(&location, 600).unwrap(), b"headbody");
        let mut text = String::new();
        spool.open_reader(&location).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "headbody");
        let records: Vec<Record> = spool.records().unwrap().map(Result::unwrap).collect();
        let (location, note, sequence) = (location.clone(), "from\nCT1".to_owned(), records[0].sequence);
        assert_eq!(records, [Record { location, series: series(), instance: uid("1.4"), note, sequence }]);
    }
}

#[test]
fn a_second_append_overwrites_nothing() {
    let (_folder, spool) = spool();
    let appended = [put(&spool, "1.4", b"a"), put(&spool, "1.4", b"b"), put(&spool, "1.4.1", b"c")];
    let read: Vec<Vec<u8>> = appended.iter().map(|location| spool.read(location).unwrap()).collect();
    assert_eq!(read, [b"a", b"b", b"c"]);
    assert_eq!(all(&spool).len(), 3);
}

#[test]
fn what_was_removed_is_missing_also_after_a_restart() {
    let (folder, spool) = spool();
    let (first, second) = (put(&spool, "1.4", b"a"), put(&spool, "1.5", b"b"));
    spool.remove(&first).unwrap();
    spool.remove(&first).unwrap();
    drop(spool);
    let spool = reopened(&folder);
    assert!(matches!(spool.read(&first), Err(SpoolError::Missing(_))));
    assert_eq!(spool.read(&second).unwrap(), b"b");
    assert_eq!(all(&spool), names(&[&second]));
}

#[test]
fn a_segment_whose_objects_are_all_removed_is_used_again_and_old_locations_stay_dead() {
    let (folder, spool) = spool();
    let mut dead = Vec::new();
    for round in 0..10_u8 {
        let locations: Vec<Location> = (0..7).map(|_| put(&spool, "1.4", &[round; 5000])).collect();
        assert!(locations.iter().all(|location| spool.read(location).unwrap() == [round; 5000]));
        for location in &locations {
            spool.remove(location).unwrap();
        }
        dead.extend(locations);
        for location in &dead {
            assert!(matches!(spool.read(location), Err(SpoolError::Missing(_))), "{location:?}");
        }
    }
    assert!(segments(&spool).len() <= 4, "{:?}", segments(&spool));
    drop(spool);
    let spool = reopened(&folder);
    assert_eq!(all(&spool), BTreeSet::new());
    let kept = put(&spool, "1.4", b"new");
    assert!(dead.iter().all(|location| matches!(spool.read(location), Err(SpoolError::Missing(_)))));
    assert_eq!(all(&spool), names(&[&kept]));
}

#[test]
fn a_start_goes_on_in_the_last_segment() {
    let (folder, spool) = spool();
    let mut kept = vec![put(&spool, "1.4", b"0")];
    drop(spool);
    for _ in 0..5 {
        kept.push(put(&reopened(&folder), "1.4", b"1"));
    }
    let spool = reopened(&folder);
    assert_eq!(segments(&spool).len(), 1);
    assert_eq!(all(&spool), names(&kept.iter().collect::<Vec<_>>()));
    let sequences: HashSet<u64> = kept.iter().map(|location| Place::of(location).unwrap().sequence).collect();
    assert_eq!(sequences.len(), kept.len());
}

/// The last record is lost from any byte on, as a power cut may leave it; `then` fills what is lost.
fn torn(then: u8) {
    let (folder, spool) = spool();
    let acknowledged = put(&spool, "1.4", b"acknowledged");
    let last = put(&spool, "1.5", b"the last object");
    drop(spool);
    let begin = Place::of(&last).unwrap().offset as usize;
    let path = segments(&Spool::attach(&folder.path().join("spool"))).remove(0);
    let whole = fs::read(&path).unwrap();
    let label = record::longest_label(&uid("1.5"), "");
    let end = begin + record::HEADER + label + b"the last object".len();
    for cut in begin..=end {
        let mut bytes = whole.clone();
        bytes[cut..].fill(then);
        fs::write(&path, &bytes).unwrap();
        let beside = Spool::attach(&folder.path().join("spool"));
        let spool = reopened(&folder);
        let expected = if cut == end { names(&[&acknowledged, &last]) } else { names(&[&acknowledged]) };
        assert_eq!(all(&spool), expected, "cut at {}", cut - begin);
        assert_eq!(all(&beside), expected, "cut at {}", cut - begin);
        let next = put(&spool, "1.6", b"next");
        drop(spool);
        let spool = reopened(&folder);
        assert_eq!(spool.read(&acknowledged).unwrap(), b"acknowledged");
        assert_eq!(spool.read(&next).unwrap(), b"next", "cut at {}", cut - begin);
        assert_eq!(all(&spool).len(), expected.len() + 1);
    }
}

#[test]
fn a_torn_tail_of_zeros_is_cut_off() {
    torn(0);
}

#[test]
fn a_torn_tail_of_older_bytes_is_cut_off() {
    torn(0xa5);
}

#[test]
fn what_a_power_cut_left_behind_a_hole_does_not_come_back_when_the_hole_is_filled() {
    let (folder, spool) = spool();
    let kept = put(&spool, "1.4", b"kept");
    let lost = [put(&spool, "1.5", b"a hole"), put(&spool, "1.6", b"behind it")];
    drop(spool);
    let path = segments(&Spool::attach(&folder.path().join("spool"))).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[Place::of(&lost[0]).unwrap().offset as usize..][..record::PAGE as usize].fill(0);
    fs::write(&path, bytes).unwrap();
    let filled = put(&reopened(&folder), "1.7", b"fills");
    assert_eq!(Place::of(&filled).unwrap().offset, Place::of(&lost[0]).unwrap().offset);
    assert_eq!(all(&reopened(&folder)), names(&[&kept, &filled]));
}

#[test]
fn an_object_larger_than_a_segment_has_a_file_of_its_own() {
    let (folder, spool) = spool();
    let small = put(&spool, "1.4", b"a");
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let large = put(&spool, "1.5", &bytes);
    let after = put(&spool, "1.6", b"b");
    assert_eq!(segments(&spool).len(), 2);
    drop(spool);
    let spool = reopened(&folder);
    assert_eq!(spool.read(&large).unwrap(), bytes);
    assert_eq!(all(&spool), names(&[&small, &large, &after]));
    spool.remove(&large).unwrap();
    assert_eq!(segments(&spool).len(), 1, "its file is deleted");
}

#[test]
fn altered_bytes_are_never_given_out_as_sound() {
    let (_folder, spool) = spool();
    let location = put(&spool, "1.4", b"a long enough object");
    let path = segments(&spool).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|window| window == b"enough").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(spool.read(&location), Err(SpoolError::Damaged(_))));
}

#[test]
fn half_written_files_of_a_crash_are_removed_at_open() {
    let (folder, spool) = spool();
    let kept = put(&spool, "1.4", b"a");
    let leftovers = [spool.root.join(INCOMING).join("7.tmp"), spool.root.join(SEGMENTS).join("00000009.new")];
    for path in &leftovers {
        fs::write(path, b"half").unwrap();
    }
    // made, and the process was killed before it was used
    fs::write(spool.root.join(SEGMENTS).join("00000007.seg"), vec![0; 32 * 1024]).unwrap();
    drop(spool);
    let spool = reopened(&folder);
    assert!(leftovers.iter().all(|path| !path.exists()));
    assert_eq!(all(&spool), names(&[&kept]));
    let next = spool.append(&series(), &uid("1.5"), &[&vec![7; 25_000]]).unwrap();
    assert_eq!(Place::of(&next).unwrap().segment, 7, "the unused file is used");
}

#[test]
fn locations_lead_nowhere_else() {
    let (folder, spool) = spool();
    fs::write(folder.path().join("00000001.seg"), b"secret").unwrap();
    put(&spool, "1.4", b"a");
    for text in ["../1/4096/1/1", "1/4096/1", "1/4096/1/1/", "1/4096/1/+1", "01/4096/1/1", "1.2/1.3/1.4.dcm", "/", ""] {
        let location = Location(text.to_owned());
        assert!(matches!(spool.read(&location), Err(SpoolError::NoLocation(_))), "{text}");
        assert!(matches!(spool.remove(&location), Err(SpoolError::NoLocation(_))), "{text}");
    }
    for text in ["1/4096/1/1", "1/0/1/1", "1/5000/1/1", "2/4096/1/1", "1/18446744073709551615/1/1"] {
        assert!(matches!(spool.read(&Location(text.to_owned())), Err(SpoolError::Missing(_))), "{text}");
    }
}

#[test]
fn quarantined_bytes_keep_their_reason_and_each_other() {
    let (_folder, spool) = spool();
    let first = spool.quarantine("../1.5", "no SOP Instance UID", b"one", &mut &b"two"[..]).unwrap();
    let second = spool.quarantine("../1.5", "again", b"three", &mut io::empty()).unwrap();
    assert_eq!(first, spool.root.join("quarantine").join("_1.5"));
    assert_eq!(fs::read(&first).unwrap(), b"onetwo");
    let reason = spool.root.join("quarantine").join("_1.5.json");
    assert_eq!(fs::read_to_string(reason).unwrap(), "no SOP Instance UID\n");
    assert_eq!(fs::read(second).unwrap(), b"three");
    assert_eq!(all(&spool), BTreeSet::new());
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
fn a_spool_of_one_file_an_instance_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spool/1.2/1.3/1.4.dcm");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, b"an instance").unwrap();
    let refused = Spool::open(&folder.path().join("spool")).unwrap_err();
    assert!(refused.to_string().contains("sagittal send"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), b"an instance");
}

#[test]
fn beside_a_node_nothing_is_written() {
    let (_folder, spool) = spool();
    let location = put(&spool, "1.4", b"a");
    let beside = Spool::attach(&spool.root);
    assert!(matches!(beside.append(&series(), &uid("1.5"), &[b"b"]), Err(SpoolError::ReadOnly(_))));
    assert!(matches!(beside.remove(&location), Err(SpoolError::ReadOnly(_))));
    assert_eq!(spool.read(&location).unwrap(), b"a");
}

#[test]
fn a_spool_that_vanished_refuses_instead_of_losing() {
    let (_folder, spool) = spool();
    put(&spool, "1.4", b"a");
    fs::remove_dir_all(&spool.root).unwrap();
    for _ in 0..2 {
        let refused = spool.append(&series(), &uid("1.4"), &[b"a"]).unwrap_err();
        assert!(matches!(refused, SpoolError::Io { .. }), "{refused}");
    }
}

#[test]
fn the_reserve_is_filled_and_used() {
    let (_folder, spool) = spool();
    let (segment_bytes, stopping) = (SMALL.segment_bytes, Arc::default());
    let shared = spool.writer().unwrap().shared.clone();
    let reserve = Reserve { shared, segment_bytes, wanted: 2, stopping };
    reserve.fill().unwrap();
    reserve.fill().unwrap();
    let made = segments(&spool);
    assert_eq!(made.len(), 2);
    assert!(made.iter().all(|path| fs::read(path).unwrap() == vec![0; 32 * 1024]));
    let kept: Vec<Location> = (0..4).map(|_| put(&spool, "1.4", &[1; 5000])).collect();
    assert_eq!(segments(&spool), made);
    assert_eq!(all(&spool), names(&kept.iter().collect::<Vec<_>>()));
}

#[test]
fn many_threads_append_and_remove_many_small_objects_without_losing_any() {
    let (folder, spool) = spool();
    let work = |thread: u8| {
        let spool = &spool;
        move || {
            let one = |n: u8| {
                let doomed = put(spool, "1.4", b"doomed");
                let kept = put(spool, "1.4", &[thread, n].repeat(usize::from(n) * 8 + 1));
                spool.remove(&doomed).unwrap();
                (kept, thread, n)
            };
            (0..60).map(one).collect::<Vec<_>>()
        }
    };
    let kept: HashSet<(Location, u8, u8)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(work(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(kept.len(), 480);
    drop(spool);
    let spool = reopened(&folder);
    for (location, thread, n) in &kept {
        assert_eq!(spool.read(location).unwrap(), [*thread, *n].repeat(usize::from(*n) * 8 + 1), "{location:?}");
    }
    assert_eq!(all(&spool).len(), 480);
}
