//! How much of the disk the spool takes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Spool;

/// Unit of `st_blocks` (stat(2)).
const BLOCK: u64 = 512;

impl Spool {
    /// Bytes on the disk: records, space reserved for more, the quarantine. What vanishes meanwhile is not counted.
    #[must_use]
    pub fn disk_use(&self) -> u64 {
        below(&self.root)
    }
}

fn below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => below(&entry.path()),
        Ok(data) => data.blocks() * BLOCK,
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn files_of_all_folders_count() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::attach(folder.path());
        assert_eq!(spool.disk_use(), 0);
        fs::create_dir(folder.path().join("quarantine")).unwrap();
        fs::write(folder.path().join("quarantine/one"), vec![1; 100_000]).unwrap();
        let used = spool.disk_use();
        assert!((100_000..200_000).contains(&used), "{used}");
    }
}
