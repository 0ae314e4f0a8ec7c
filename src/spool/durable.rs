//! Writing so that a power cut finds all of it: data first, then every directory entry that leads to it.
//!
//! A file's own fsync does not make its name durable (POSIX fsync(2)); the folder has to be synced too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::SpoolError;

/// Writes `parts` into a new file and brings them to stable storage.
pub(super) fn write(path: &Path, parts: &[&[u8]]) -> Result<(), SpoolError> {
    sync(&create(path, parts)?, path)
}

/// Writes `parts` into a new file, for the system to bring to stable storage in its own time.
pub(super) fn create(path: &Path, parts: &[&[u8]]) -> Result<File, SpoolError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(SpoolError::io("make the file", path))?;
    for part in parts {
        file.write_all(part).map_err(SpoolError::io("write", path))?;
    }
    Ok(file)
}

/// Brings the bytes of a file to stable storage.
pub(super) fn sync(file: &File, path: &Path) -> Result<(), SpoolError> {
    file.sync_data().map_err(SpoolError::io("sync", path))
}

/// Makes the folders from `root` down to `folder` and brings their entries to stable storage. A folder
/// that exists is synced all the same: an earlier process may have died before it did so.
pub(super) fn make_folders(root: &Path, folder: &Path) -> Result<(), SpoolError> {
    fs::create_dir_all(folder).map_err(SpoolError::io("make the folder", folder))?;
    let below_root = folder.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(root));
    below_root.into_iter().try_for_each(sync_folder)
}

/// Gives a file its name; durable when its folder was synced.
pub(super) fn name(file: &Path, name: &Path) -> Result<(), SpoolError> {
    fs::rename(file, name).map_err(SpoolError::io("name", name))?;
    #[cfg(test)]
    super::fault::renamed(file, name);
    Ok(())
}

/// Brings the entries of a folder to stable storage.
pub(super) fn sync_folder(folder: &Path) -> Result<(), SpoolError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(SpoolError::io("sync the folder", folder))?;
    #[cfg(test)]
    super::fault::named(folder);
    Ok(())
}

/// The paths in a folder, sorted.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let list =
        || -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect() };
    let mut paths = list().map_err(SpoolError::io("list the folder", folder))?;
    paths.sort_unstable();
    Ok(paths)
}
