//! One file under positioned reads and writes: all that segments ask of a disk.
//!
//! Tests put a disk behind it that loses what was not flushed, fills up, or refuses (`fault`).

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

#[cfg(test)]
use super::fault;
use super::record::PAGE;

#[derive(Debug)]
pub(super) struct Medium {
    file: File,
    /// The same file past the page cache.
    direct: Option<File>,
    #[cfg(test)]
    disk: Option<fault::Place>,
}

impl Medium {
    pub fn open(path: &Path, writable: bool) -> io::Result<Medium> {
        let file = OpenOptions::new().read(true).write(writable).open(path)?;
        #[cfg(test)]
        let disk = fault::place(path);
        Ok(Medium {
            file,
            direct: None,
            #[cfg(test)]
            disk,
        })
    }

    /// Has [`Medium::write_run`] leave the page cache alone, where the file system can do that: what is flushed at
    /// once need not be copied first.
    pub fn bypass_cache(&mut self, path: &Path) {
        self.direct = OpenOptions::new().write(true).custom_flags(direct_flag()).open(path).ok();
    }

    /// Makes a file of `length` zeros that take no room yet.
    pub fn make(path: &Path, length: u64) -> io::Result<()> {
        #[cfg(test)]
        fault::place(path).map_or(Ok(()), |disk| disk.making(length))?;
        File::create_new(path)?.set_len(length)
    }

    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether someone deleted the file: what is written to it now is lost.
    pub fn is_deleted(&self) -> bool {
        // Not `metadata`: who asks for times has the next write note its own, and the next flush write that, too.
        let (flags, wanted) = (rustix::fs::AtFlags::EMPTY_PATH, rustix::fs::StatxFlags::NLINK);
        rustix::fs::statx(&self.file, "", flags, wanted).map_or(true, |found| found.stx_nlink == 0)
    }

    pub fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(disk) = &self.disk {
            let taken = disk.writing(bytes, offset);
            self.file.write_all_at(&bytes[..taken.as_ref().map_or(0, |count| *count)], offset)?;
            return match taken {
                Ok(count) if count < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
        }
        self.file.write_all_at(bytes, offset)
    }

    /// Writes slices one behind the other: whole pages that begin at pages, in memory and in the file.
    pub fn write_run(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if self.disk.is_some() {
            return slices
                .iter()
                .try_fold(offset, |at, slice| self.write(slice, at).map(|()| at + slice.len() as u64))
                .map(drop);
        }
        if let Some(direct) = &self.direct {
            match write_all(direct, slices, offset) {
                // no direct writes after all, or not so
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                outcome => return outcome,
            }
        }
        write_all(&self.file, slices, offset)
    }

    /// Alters bytes inside one page. Where writes go past the page cache this one does, too: a page that is in the cache
    /// with a change of its own cannot be replaced by what is written beside it.
    pub fn patch(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.direct.is_none() {
            return self.write(bytes, offset);
        }
        let begin = offset / PAGE * PAGE;
        let mut room = vec![0; 2 * PAGE as usize];
        let start = room.as_ptr().align_offset(PAGE as usize);
        let page = &mut room[start..][..PAGE as usize];
        self.read_exact(page, begin)?;
        page[(offset - begin) as usize..][..bytes.len()].copy_from_slice(bytes);
        self.write_run(&[IoSlice::new(page)], begin)
    }

    /// Returns when all that was written is on stable storage.
    pub fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(disk) = &self.disk {
            return disk.syncing(|| self.file.sync_data());
        }
        self.file.sync_data()
    }

    pub fn read_exact(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Reads until `buffer` is full or the file ends; how much was read.
    pub fn read_up_to(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }
}

/// For [`OpenOptionsExt::custom_flags`]: past the page cache.
pub(super) fn direct_flag() -> i32 {
    rustix::fs::OFlags::DIRECT.bits().cast_signed()
}

/// Slices that one system call takes.
const AT_ONCE: usize = 1024;

fn write_all(file: &File, slices: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    for group in slices.chunks(AT_ONCE) {
        let mut group = group.to_vec();
        let mut left = group.as_mut_slice();
        while !left.is_empty() {
            match rustix::io::pwritev(file, left, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
