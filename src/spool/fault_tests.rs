//! Power cuts and bad disks: nothing that was said to be kept is lost, nothing that was not stored appears.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::fault::{self, Disk, Event};
use super::*;

const SMALL: SpoolOptions = SpoolOptions { durability: Durability::PowerLoss, segment_bytes: 32 * 1024, reserve: 0 };
const THREADS: usize = 4;
const OBJECTS: usize = 40;
const CUTS: usize = 300;
/// An instance too large to wait in memory.
const LARGE: &str = "1.9.8";

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn series() -> SeriesKey {
    SeriesKey { study: uid("1.2"), series: uid("1.3") }
}

struct Stand {
    _folder: tempfile::TempDir,
    root: PathBuf,
    disk: Arc<Disk>,
    spool: Spool,
}

impl Stand {
    fn new() -> Stand {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("spool");
        fs::create_dir_all(root.join(SEGMENTS)).unwrap();
        let disk = fault::watch(&root.join(SEGMENTS));
        let spool = Spool::open_with(&root, SMALL).unwrap();
        Stand { _folder: folder, root, disk, spool }
    }

    /// Stores the object that belongs to an instance; `None` when the spool refused it.
    fn put(&self, instance: &str) -> Option<Location> {
        let bytes = object(instance);
        let location = self.spool.append(&series(), &uid(instance), &[&bytes]).ok()?;
        self.disk.note(Event::Kept(location.clone(), bytes));
        Some(location)
    }

    fn give_up(&self, location: &Location) {
        self.disk.note(Event::Dropped(location.clone()));
        self.spool.remove(location).unwrap();
        // the file of a large object is deleted, which this disk does not play back
        if Place::of(location).unwrap().length < SMALL.segment_bytes {
            self.disk.note(Event::Gone(location.clone()));
        }
    }

    /// Has the power fail after `cut` events; looks at what a start finds, and whether it goes on from there.
    fn cut_power(&self, cut: usize, dice: &mut fastrand::Rng) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("spool");
        fs::create_dir_all(root.join(SEGMENTS)).unwrap();
        fs::copy(self.root.join(SEGMENTS).join("epoch"), root.join(SEGMENTS).join("epoch")).unwrap();
        self.disk.after_power_cut(cut, &root.join(SEGMENTS), dice);
        let spool = Spool::open_with(&root, SMALL).unwrap();
        let found = Stand::sound_objects(&spool);
        for (location, bytes) in self.disk.kept(cut) {
            assert!(found.get(&location) == Some(&bytes), "cut at {cut}: {location} is lost");
        }
        for location in self.disk.gone(cut) {
            assert!(!found.contains_key(&location), "cut at {cut}: {location} is back");
        }
        let next = spool.append(&series(), &uid("1.9.9"), &[&object("1.9.9")]).unwrap();
        drop(spool);
        let again = Stand::sound_objects(&Spool::open_with(&root, SMALL).unwrap());
        let expected: BTreeSet<&String> = found.keys().chain([&next.0]).collect();
        assert_eq!(again.keys().collect::<BTreeSet<_>>(), expected, "cut at {cut}");
    }

    /// What the spool holds, every byte of it being what was stored under that UID.
    fn sound_objects(spool: &Spool) -> BTreeMap<String, Vec<u8>> {
        let sound = |record: Record| {
            let bytes = spool.read(&record.location).unwrap();
            assert!(bytes == object(record.instance.as_str()), "{} was never stored like this", record.instance);
            (record.location.0, bytes)
        };
        spool.records().unwrap().map(|record| sound(record.unwrap())).collect()
    }
}

/// Other bytes and another length for every instance; some are larger than a segment.
fn object(instance: &str) -> Vec<u8> {
    let seed = u64::from(crc32fast::hash(instance.as_bytes()));
    let mut dice = fastrand::Rng::with_seed(seed);
    let length = match dice.u8(0..20) {
        _ if instance == LARGE => 1_200_000,
        0 => 40_000,
        _ => dice.usize(1..6000),
    };
    std::iter::repeat_with(|| dice.u8(..)).take(length).collect()
}

/// Shown to find what it is for: it fails when a group is not flushed (`pen::write_run`), the next one also when a large
/// object or its name is not (`Draft::keep_aside`).
#[test]
fn a_power_cut_at_any_moment_takes_nothing_that_was_kept() {
    let stand = Stand::new();
    let work = |thread: usize| {
        let mut dice = fastrand::Rng::with_seed(thread as u64);
        for n in 0..OBJECTS {
            let location = stand.put(&format!("1.{thread}.{n}")).unwrap();
            // else no segment would ever be used again
            if dice.u8(0..4) > 0 {
                stand.give_up(&location);
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    let mut dice = fastrand::Rng::with_seed(7);
    for _ in 0..CUTS {
        stand.cut_power(dice.usize(0..=stand.disk.len()), &mut dice);
    }
}

#[test]
fn a_power_cut_takes_no_large_object_that_was_kept() {
    let stand = Stand::new();
    assert!(object(LARGE).len() > draft::SPILL);
    for instance in ["1.1.1", LARGE, "1.1.2"] {
        stand.put(instance).unwrap();
    }
    let mut dice = fastrand::Rng::with_seed(7);
    for cut in 0..=stand.disk.len() {
        stand.cut_power(cut, &mut dice);
    }
}

/// Puts objects until the disk's trouble shows, mends the disk, and goes on; all that was kept must be there.
fn survives(trouble: impl FnOnce(&mut fault::Trouble)) {
    let stand = Stand::new();
    for n in 0..8 {
        stand.put(&format!("1.1.{n}")).unwrap();
    }
    trouble(&mut stand.disk.trouble.lock().unwrap());
    let refused = (0..12).filter(|n| stand.put(&format!("1.2.{n}")).is_none()).count();
    assert!(refused > 0, "the trouble shows");
    *stand.disk.trouble.lock().unwrap() = fault::Trouble::default();
    for n in 0..8 {
        stand.put(&format!("1.3.{n}")).unwrap();
    }
    let kept = stand.disk.kept(stand.disk.len());
    assert_eq!(kept.len(), 28 - refused);
    let root = stand.root.clone();
    drop(stand.spool);
    let found = Stand::sound_objects(&Spool::open_with(&root, SMALL).unwrap());
    assert!(kept.iter().all(|(location, bytes)| found.get(location) == Some(bytes)));
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_an_object_refuses_it_and_keeps_the_others() {
    for room in [0, 40, 5_000, 9_000, 17_321, 40_000] {
        survives(|trouble| trouble.room = Some(room));
    }
}

#[test]
fn a_disk_that_became_read_only_refuses_and_keeps_what_it_has() {
    survives(|trouble| trouble.read_only = true);
}

#[test]
fn an_object_whose_flush_failed_is_refused() {
    survives(|trouble| trouble.flush_fails = true);
}
