//! A disk for tests: it remembers every write and flush, so that any power cut can be played back, and it can be
//! full, read-only or broken. Stands behind the files of the folders it watches.

#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Location;

/// A disk writes sectors whole, in any order.
const SECTOR: usize = 512;

static WATCHED: Mutex<BTreeMap<PathBuf, Arc<Disk>>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Default)]
pub(super) struct Disk {
    events: Mutex<Vec<Event>>,
    pub trouble: Mutex<Trouble>,
}

/// What is wrong with a disk.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Bytes that it still takes.
    pub room: Option<usize>,
    pub read_only: bool,
    pub flush_fails: bool,
}

#[derive(Debug)]
pub(super) enum Event {
    Made {
        file: String,
        length: u64,
    },
    Wrote {
        file: String,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// All events before number `covers` that concern `file` are durable.
    Flushed {
        file: String,
        covers: usize,
    },
    Renamed {
        file: String,
        name: String,
    },
    /// All files made or renamed before number `covers` have a durable name.
    Named {
        covers: usize,
    },
    /// The spool said yes to an object.
    Kept(Location, Vec<u8>),
    /// Somebody gives an object up.
    Dropped(Location),
    /// The spool said that it is gone.
    Gone(Location),
}

/// One file of a watched folder.
#[derive(Debug)]
pub(super) struct Place {
    disk: Arc<Disk>,
    file: String,
}

/// Watches the files of `folder` from now on.
pub(super) fn watch(folder: &Path) -> Arc<Disk> {
    let disk = Arc::new(Disk::default());
    lock(&WATCHED).insert(folder.to_owned(), disk.clone());
    disk
}

pub(super) fn place(path: &Path) -> Option<Place> {
    let disk = lock(&WATCHED).get(path.parent()?)?.clone();
    Some(Place { disk, file: path.file_name()?.to_str()?.to_owned() })
}

/// A file has another name.
pub(super) fn renamed(file: &Path, name: &Path) {
    if let (Some(Place { disk, file }), Some(Place { file: name, .. })) = (place(file), place(name)) {
        disk.note(Event::Renamed { file, name });
    }
}

/// The folder's names are durable.
pub(super) fn named(folder: &Path) {
    if let Some(disk) = lock(&WATCHED).get(folder) {
        let mut events = lock(&disk.events);
        let covers = events.len();
        events.push(Event::Named { covers });
    }
}

impl Place {
    pub fn making(&self, length: u64) -> io::Result<()> {
        let trouble = lock(&self.disk.trouble);
        if trouble.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.disk.note(Event::Made { file: self.file.clone(), length });
        Ok(())
    }

    /// How many of `bytes` the disk takes. They count as begun, not as done.
    pub fn writing(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut trouble = lock(&self.disk.trouble);
        if trouble.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let count = trouble.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        trouble.room = trouble.room.map(|room| room - count);
        self.disk.note(Event::Wrote { file: self.file.clone(), offset, bytes: bytes[..count].to_vec() });
        Ok(count)
    }

    pub fn syncing(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if lock(&self.disk.trouble).flush_fails {
            return Err(io::Error::other("the disk is broken"));
        }
        let covers = lock(&self.disk.events).len();
        sync()?;
        self.disk.note(Event::Flushed { file: self.file.clone(), covers });
        Ok(())
    }
}

impl Disk {
    pub fn note(&self, event: Event) {
        lock(&self.events).push(event);
    }

    pub fn len(&self) -> usize {
        lock(&self.events).len()
    }

    /// What was kept, and not given up, when `cut` events had happened.
    pub fn kept(&self, cut: usize) -> BTreeMap<String, Vec<u8>> {
        let mut kept = BTreeMap::new();
        for event in &lock(&self.events)[..cut] {
            match event {
                Event::Kept(location, bytes) => drop(kept.insert(location.0.clone(), bytes.clone())),
                Event::Dropped(location) => drop(kept.remove(&location.0)),
                _ => {}
            }
        }
        kept
    }

    /// What was gone when `cut` events had happened.
    pub fn gone(&self, cut: usize) -> Vec<String> {
        let gone = |event: &Event| if let Event::Gone(location) = event { Some(location.0.clone()) } else { None };
        lock(&self.events)[..cut].iter().filter_map(gone).collect()
    }

    /// Writes into `folder` what a power cut after `cut` events may leave: all that was flushed, and of the rest
    /// the sectors and the names that `dice` let through.
    pub fn after_power_cut(&self, cut: usize, folder: &Path, dice: &mut fastrand::Rng) {
        let events = &lock(&self.events)[..cut];
        let is_named = |at: usize| events.iter().any(|event| matches!(event, Event::Named { covers } if *covers > at));
        for (made, event) in events.iter().enumerate() {
            let Event::Made { file, length } = event else { continue };
            let later = events.iter().enumerate().find_map(|(at, event)| match event {
                Event::Renamed { file: from, name } if from == file => Some((at, name)),
                _ => None,
            });
            let stays = later.filter(|(at, _)| is_named(*at) || dice.bool()).map(|(_, name)| name);
            if stays.is_some() || is_named(made) || dice.bool() {
                let bytes = contents(events, [Some(file), later.map(|(_, name)| name)], *length, dice);
                fs::write(folder.join(stays.unwrap_or(file)), bytes).expect("the disk of the test has room");
            }
        }
    }
}

fn contents(events: &[Event], names: [Option<&String>; 2], length: u64, dice: &mut fastrand::Rng) -> Vec<u8> {
    let mut disk = vec![0; length as usize];
    let flushed = |event: &Event| match event {
        Event::Flushed { file, covers } if names.contains(&Some(file)) => *covers,
        _ => 0,
    };
    let durable = events.iter().map(flushed).max().unwrap_or(0);
    let lucky = dice.u8(0..=4);
    for (number, event) in events.iter().enumerate() {
        let Event::Wrote { file, offset, bytes } = event else { continue };
        if !names.contains(&Some(file)) {
            continue;
        }
        let (start, mut from) = (*offset as usize, 0);
        // a write behind its end makes a file longer
        disk.resize(disk.len().max(start + bytes.len()), 0);
        while from < bytes.len() {
            let to = bytes.len().min(from + SECTOR - (start + from) % SECTOR);
            if number < durable || dice.u8(0..4) < lucky {
                disk[start + from..start + to].copy_from_slice(&bytes[from..to]);
            }
            from = to;
        }
    }
    disk
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
