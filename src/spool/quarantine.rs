//! Where bytes that could not be taken are kept for a person to look at, with a note beside them: `<name>` and
//! `<name>.json`. Names come from the network or the command line and are made safe here.
//!
//! Who wants an object taken again leaves its name in `retry/`: only the node that has the spool open takes it up.
//! Never looks into the bytes, never reads a note.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{INCOMING, Spool, SpoolError, durable};

const FOLDER: &str = "quarantine";
const RETRY: &str = "retry";
const NOTE: &str = ".json";
const LONGEST: usize = 100;

/// An object in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub name: String,
    /// What was written beside it; empty when somebody took it away.
    pub note: String,
    /// Bytes of the object.
    pub length: u64,
}

impl Spool {
    /// Keeps bytes that could not be taken, with a note beside them; returns the file's path.
    /// `name` is made safe for a file name first; an earlier file of that name is kept.
    pub fn quarantine(&self, name: &str, note: &str, head: &[u8], body: &mut dyn Read) -> Result<PathBuf, SpoolError> {
        let (written, file) = self.write_aside(head, body)?;
        durable::sync(&file, &written)?;
        let _placing = self.quarantining.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&self.root, &written, name, note)
    }

    /// Writes a temporary file on the spool's own file system, so that a rename can place it. It is not durable yet.
    fn write_aside(&self, head: &[u8], body: &mut dyn Read) -> Result<(PathBuf, File), SpoolError> {
        let path = self.root.join(INCOMING).join(format!("{}.tmp", self.next.fetch_add(1, Ordering::Relaxed)));
        let written = durable::create(&path, &[head]).and_then(|mut file| {
            io::copy(body, &mut file).map_err(SpoolError::io("write", &path))?;
            Ok(file)
        });
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|file| (path, file))
    }

    /// All objects of the quarantine, by name.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, SpoolError> {
        let paths = entries(&self.root.join(FOLDER))?;
        Ok(paths.iter().filter_map(|path| quarantined(path)).collect())
    }

    /// The bytes of an object of the quarantine.
    pub fn read_quarantined(&self, name: &str) -> Result<Vec<u8>, SpoolError> {
        let path = self.quarantine_path(name)?;
        fs::read(&path).map_err(SpoolError::io("read", &path))
    }

    /// Writes another note beside an object of the quarantine.
    pub fn renote_quarantined(&self, name: &str, note: &str) -> Result<(), SpoolError> {
        let path = note_path(&self.quarantine_path(name)?);
        fs::write(&path, note).map_err(SpoolError::io("write", &path))
    }

    /// Removes an object of the quarantine, its note, and the wish to have it taken again.
    pub fn drop_quarantined(&self, name: &str) -> Result<(), SpoolError> {
        let path = self.quarantine_path(name)?;
        fs::remove_file(&path).map_err(SpoolError::io("remove", &path))?;
        remove(&note_path(&path))?;
        remove(&self.wish_path(name))
    }

    /// Asks the node that has this spool open to take an object of the quarantine; `how` is told to it.
    pub fn wish_retry(&self, name: &str, how: &str) -> Result<(), SpoolError> {
        self.quarantine_path(name)?;
        let path = self.wish_path(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, how));
        written.map_err(SpoolError::io("write", &path))
    }

    /// The wishes that nobody has met yet: name and how.
    pub fn wishes(&self) -> Result<Vec<(String, String)>, SpoolError> {
        let paths = entries(&self.root.join(FOLDER).join(RETRY))?;
        Ok(paths.iter().filter_map(|path| Some((name_of(path)?, fs::read_to_string(path).ok()?))).collect())
    }

    /// The wish was looked at, whatever came of it.
    pub fn forget_wish(&self, name: &str) -> Result<(), SpoolError> {
        remove(&self.wish_path(&sanitized(name)))
    }

    fn wish_path(&self, name: &str) -> PathBuf {
        self.root.join(FOLDER).join(RETRY).join(name)
    }

    fn quarantine_path(&self, name: &str) -> Result<PathBuf, SpoolError> {
        let path = self.root.join(FOLDER).join(name);
        let is_known = sanitized(name) == name && !name.ends_with(NOTE) && path.is_file();
        if is_known { Ok(path) } else { Err(SpoolError::NotQuarantined(name.to_owned())) }
    }
}

/// Moves a written file into the quarantine; returns its path there.
pub(super) fn keep(root: &Path, written: &Path, name: &str, note: &str) -> Result<PathBuf, SpoolError> {
    let folder = root.join(FOLDER);
    durable::make_folders(root, &folder)?;
    let path = folder.join(free_name(&folder, &sanitized(name)));
    // the note first: bytes without one would tell nobody anything
    durable::write(&note_path(&path), &[note.as_bytes(), b"\n"])?;
    durable::name(written, &path)?;
    durable::sync_folder(&folder)?;
    Ok(path)
}

fn quarantined(path: &Path) -> Option<Quarantined> {
    let name = name_of(path).filter(|name| !name.ends_with(NOTE))?;
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let note = fs::read_to_string(note_path(path)).unwrap_or_default();
    Some(Quarantined { name, note, length: metadata.len() })
}

fn name_of(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

/// The entries of a folder that may not be there yet.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    if folder.exists() { durable::entries(folder) } else { Ok(Vec::new()) }
}

fn remove(path: &Path) -> Result<(), SpoolError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(SpoolError::io("remove", path)(source)),
        _ => Ok(()),
    }
}

fn note_path(object: &Path) -> PathBuf {
    let mut name = object.as_os_str().to_owned();
    name.push(NOTE);
    PathBuf::from(name)
}

fn free_name(folder: &Path, name: &str) -> String {
    let mut free = name.to_owned();
    let mut copy = 0_u32;
    while folder.join(&free).exists() || note_path(&folder.join(&free)).exists() {
        copy += 1;
        free = format!("{name}.{copy}");
    }
    free
}

/// Letters, digits, dot, hyphen and underscore stay; the first character is no dot.
fn sanitized(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.trim_start_matches('.').chars().take(LONGEST).map(safe).collect();
    if name.is_empty() || name == RETRY { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_from_the_network_become_file_names() {
        let check = |name: &str, expected: &str| assert_eq!(sanitized(name), expected, "{name:?}");
        check("1.2.840.1", "1.2.840.1");
        check("../../etc/passwd", "_.._etc_passwd");
        check("..", "unnamed");
        check("", "unnamed");
        check("retry", "unnamed");
        check("a b\0ü", "a_b__");
        assert_eq!(sanitized(&"9".repeat(300)).len(), LONGEST);
    }

    #[test]
    fn what_is_kept_can_be_listed_read_and_dropped_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("spool")).unwrap();
        assert_eq!(spool.quarantined().unwrap(), []);
        spool.quarantine("1.2.dcm", "why", b"by", &mut &b"tes"[..]).unwrap();
        let [kept] = &spool.quarantined().unwrap()[..] else { panic!("one object") };
        assert_eq!((kept.name.as_str(), kept.note.as_str(), kept.length), ("1.2.dcm", "why\n", 5));
        assert_eq!(spool.read_quarantined("1.2.dcm").unwrap(), b"bytes");
        spool.wish_retry("1.2.dcm", "as-is").unwrap();
        assert_eq!(spool.wishes().unwrap(), [("1.2.dcm".to_owned(), "as-is".to_owned())]);
        for name in ["1.2.dcm.json", "retry", "../1.2.dcm", "1.3.dcm", ""] {
            assert!(matches!(spool.drop_quarantined(name), Err(SpoolError::NotQuarantined(_))), "{name}");
            assert!(spool.wish_retry(name, "").is_err(), "{name}");
        }
        spool.drop_quarantined("1.2.dcm").unwrap();
        assert!(spool.quarantined().unwrap().is_empty() && spool.wishes().unwrap().is_empty());
    }
}
