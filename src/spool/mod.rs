//! Bytes on disk: received instances and results, kept until they are dropped.
//!
//! A [`Location`] is an opaque word that only this module can resolve, so that one file an instance can
//! become a log of segments without touching the callers. Paths are made of checked [`Uid`]s only.
//! Never parses DICOM, never talks to the ledger.
//!
//! Durability: [`Spool::append`] returns after the bytes, and the directory entries leading to them, are
//! on stable storage.

mod durable;
mod quarantine;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::dicom::{SeriesKey, Uid};
pub use quarantine::Quarantined;

/// Half-written objects; no UID begins with a dot.
const INCOMING: &str = ".incoming";
const SUFFIX: &str = ".dcm";

/// Where an object lies in the spool; kept in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location(pub String);

/// SHA-256 of an object's bytes, hexadecimal: how two copies are compared without reading both.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A folder of durable objects. Shared by many threads of one process.
#[derive(Debug)]
pub struct Spool {
    root: PathBuf,
    /// Series folders whose entry is known to be durable. Held while a file is put into its folder or taken
    /// out, never while bytes are written.
    durable: Mutex<HashSet<PathBuf>>,
    next: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot {action} {}: {source}; check the disk that holds the spool", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the spool has no object at {0:?}; the ledger names bytes that are gone")]
    Missing(String),
    #[error("{0:?} is no place in a spool; the ledger was altered by another program")]
    NoLocation(String),
    #[error("the quarantine holds no {0:?}; `sagittal quarantine list` shows what it holds")]
    NotQuarantined(String),
}

impl SpoolError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
        move |source| SpoolError::Io { action, path: path.to_owned(), source }
    }
}

impl Spool {
    /// Opens (making it when absent) the spool at `root` and removes half-written objects of a crash.
    pub fn open(root: &Path) -> Result<Spool, SpoolError> {
        let incoming = root.join(INCOMING);
        fs::create_dir_all(&incoming).map_err(SpoolError::io("make the folder", &incoming))?;
        for leftover in durable::entries(&incoming)? {
            fs::remove_file(&leftover).map_err(SpoolError::io("remove the half-written file", &leftover))?;
        }
        durable::sync_folder(root)?;
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            durable::sync_folder(parent)?;
        }
        Ok(Spool::attach(root))
    }

    /// The spool at `root` beside a node that has it open: half-written objects are that node's and stay.
    #[must_use]
    pub fn attach(root: &Path) -> Spool {
        Spool { root: root.to_owned(), durable: Mutex::default(), next: AtomicU64::new(0) }
    }

    /// Appends one object to its series, durably. `parts` are written one after the other.
    /// Two appends of the same SOP Instance UID give two locations; neither overwrites the other.
    pub fn append(&self, series: &SeriesKey, instance: &Uid, parts: &[&[u8]]) -> Result<Location, SpoolError> {
        let (written, file) = self.write_aside(parts)?;
        let folder = self.root.join(series.study.as_str()).join(series.series.as_str());
        let placed = self.place(&written, &folder, instance);
        if placed.is_err() {
            // the error that matters is the first; what stays is swept when the spool is opened next
            let _ = fs::remove_file(&written);
        }
        let name = placed?;
        // In its place before it is durable: nobody knows the location yet, and a crash leaves an object without a row.
        durable::sync_with_folder(&file, &folder.join(&name), &folder)?;
        Ok(Location(format!("{}/{}/{name}", series.study, series.series)))
    }

    /// The bytes of an object, not verified.
    pub fn read(&self, location: &Location) -> Result<Vec<u8>, SpoolError> {
        self.read_head(location, usize::MAX)
    }

    /// The first `limit` bytes of an object (its header).
    pub fn read_head(&self, location: &Location, limit: usize) -> Result<Vec<u8>, SpoolError> {
        let (path, file) = self.open_file(location)?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(limit));
        file.take(limit as u64).read_to_end(&mut bytes).map_err(SpoolError::io("read", &path))?;
        Ok(bytes)
    }

    /// A reader over an object, for those who need not hold all of it.
    pub fn open_reader(&self, location: &Location) -> Result<Box<dyn Read + Send>, SpoolError> {
        let (_, file) = self.open_file(location)?;
        Ok(Box::new(io::BufReader::new(file)))
    }

    /// Removes an object; removing what is gone already is no error.
    pub fn remove(&self, location: &Location) -> Result<(), SpoolError> {
        let path = self.resolve(location)?;
        let mut durable = self.lock();
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(SpoolError::Io { action: "remove", path, source });
            }
            _ => {}
        }
        if let Some(folder) = path.parent() {
            prune(&mut durable, folder);
        }
        Ok(())
    }

    /// Keeps bytes that could not be taken, with a note beside them; returns the file's path.
    /// `name` is made safe for a file name first; an earlier file of that name is kept.
    pub fn quarantine(&self, name: &str, note: &str, parts: &[&[u8]]) -> Result<PathBuf, SpoolError> {
        let (written, file) = self.write_aside(parts)?;
        durable::sync(&file, &written)?;
        let _placing = self.lock();
        quarantine::keep(&self.root, &written, name, note)
    }

    /// All objects of the spool, one folder in memory at a time, quarantine excepted. Objects that no
    /// ledger row names were never acknowledged and may be removed while nothing is being received.
    pub fn locations(&self) -> Result<impl Iterator<Item = Result<Location, SpoolError>> + '_, SpoolError> {
        let studies = uid_folders(&self.root)?;
        let series = studies.into_iter().flat_map(|study| split(uid_folders(&study)));
        let files = series.flat_map(|folder| split(folder.and_then(|folder| durable::entries(&folder))));
        Ok(files.filter_map(|path| path.map(|path| self.location_of(&path)).transpose()))
    }

    /// Writes a temporary file on the spool's own file system, so that a rename can place it. It is not durable yet.
    fn write_aside(&self, parts: &[&[u8]]) -> Result<(PathBuf, File), SpoolError> {
        let path = self.root.join(INCOMING).join(format!("{}.tmp", self.next.fetch_add(1, Ordering::Relaxed)));
        let written = durable::create(&path, parts);
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|file| (path, file))
    }

    /// Moves a written file to a name of its instance that is free; returns the name.
    fn place(&self, written: &Path, folder: &Path, instance: &Uid) -> Result<String, SpoolError> {
        let mut durable = self.lock();
        if !(durable.contains(folder) && folder.is_dir()) {
            durable::make_folders(&self.root, folder)?;
            durable.insert(folder.to_owned());
        }
        let name = free_name(folder, instance);
        fs::rename(written, folder.join(&name)).map_err(SpoolError::io("move a received object into", folder))?;
        Ok(name)
    }

    fn open_file(&self, location: &Location) -> Result<(PathBuf, File), SpoolError> {
        let path = self.resolve(location)?;
        match File::open(&path) {
            Ok(file) => Ok((path, file)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Err(SpoolError::Missing(location.0.clone())),
            Err(source) => Err(SpoolError::Io { action: "open", path, source }),
        }
    }

    /// The path of a location, whose text may come from a ledger that someone edited.
    fn resolve(&self, location: &Location) -> Result<PathBuf, SpoolError> {
        let parts: Vec<&str> = location.0.split('/').collect();
        match parts[..] {
            [study, series, file] if is_uid(study) && is_uid(series) && is_object(file) => {
                Ok(self.root.join(study).join(series).join(file))
            }
            _ => Err(SpoolError::NoLocation(location.0.clone())),
        }
    }

    /// The location of a path found in the spool; `None` for a file that the spool did not make.
    fn location_of(&self, path: &Path) -> Option<Location> {
        let location = Location(path.strip_prefix(&self.root).ok()?.to_str()?.to_owned());
        self.resolve(&location).ok().map(|_| location)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `<sop instance>.dcm`, or `<sop instance>.<n>.dcm` with the first free n.
fn free_name(folder: &Path, instance: &Uid) -> String {
    let mut name = format!("{instance}{SUFFIX}");
    let mut copy = 0_u32;
    while folder.join(&name).exists() {
        copy += 1;
        name = format!("{instance}.{copy}{SUFFIX}");
    }
    name
}

/// Removes a series folder that became empty, and then its study's; a folder in use just stays.
fn prune(durable: &mut HashSet<PathBuf>, folder: &Path) {
    if fs::remove_dir(folder).is_ok() {
        durable.remove(folder);
        if let Some(study) = folder.parent() {
            let _ = fs::remove_dir(study);
        }
    }
}

fn uid_folders(parent: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let mut found = durable::entries(parent)?;
    found.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_uid) && path.is_dir());
    Ok(found)
}

/// The paths of a folder one by one, or the one error that reading it gave.
fn split(paths: Result<Vec<PathBuf>, SpoolError>) -> impl Iterator<Item = Result<PathBuf, SpoolError>> {
    let (paths, error) = match paths {
        Ok(paths) => (paths, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    paths.into_iter().map(Ok).chain(error.map(Err))
}

fn is_uid(text: &str) -> bool {
    Uid::parse(text).is_ok_and(|uid| uid.as_str() == text)
}

fn is_object(name: &str) -> bool {
    name.strip_suffix(SUFFIX).is_some_and(|stem| {
        stem.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && stem.split('.').all(|part| !part.is_empty())
    })
}
