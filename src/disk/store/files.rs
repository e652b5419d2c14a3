//! The files beside the database: the lock with the process id, and the high-water mark.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk::store::codec::crc;
use crate::disk::store::error::DiskError;

/// First bytes of a [`HeadFile`].
pub(super) const MAGIC: &[u8; 8] = b"tidings1";

/// Lock of the directory. It is released when the process ends, in whatever way.
#[derive(Debug)]
pub(super) struct LockFile(File);

impl LockFile {
    /// Locks the directory and writes the process id into the file.
    pub(super) fn acquire(directory: &Path) -> Result<Self, DiskError> {
        let path = directory.join("lock");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if let Err(error) = try_lock(&file) {
            let fs::TryLockError::WouldBlock = error else { return Err(DiskError::from(std::io::Error::from(error))) };
            let mut pid = String::new();
            let pid = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
            return Err(DiskError::InUse { path: directory.to_owned(), pid });
        }
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

#[allow(clippy::incompatible_msrv, reason = "the feature has its own oldest version")]
fn try_lock(file: &File) -> Result<(), fs::TryLockError> {
    file.try_lock()
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // The next process does not show the id of this one. An error changes nothing.
        let _ = self.0.set_len(0);
    }
}

/// File with the last acknowledged position, outside of the database.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
    path: PathBuf,
}

/// Content of a [`HeadFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HighWater {
    /// The file did not exist.
    Missing,
    /// The file has another length or a wrong checksum.
    Unreadable,
    /// Last sequence that was acknowledged.
    At(u64),
}

impl HeadFile {
    /// Opens or creates the file and reads it.
    pub(super) fn open(directory: &Path) -> Result<(Self, HighWater), DiskError> {
        let path = directory.join("head");
        let is_missing = !path.try_exists()?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let content = if is_missing { HighWater::Missing } else { parse(&bytes) };
        Ok((Self { file, path }, content))
    }

    /// Rewrites the file in place. It is not synced: an older value is harmless.
    pub(super) fn write(&mut self, epoch: u64, sequence: u64) -> Result<(), DiskError> {
        let mut bytes = [0; 28];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
        let sum = crc(b"", &bytes[..24]);
        bytes[24..].copy_from_slice(&sum.to_le_bytes());
        self.file.seek(SeekFrom::Start(0))?;
        Ok(self.file.write_all(&bytes)?)
    }

    /// Syncs the file and its directory, once, after it was created.
    pub(super) fn sync(&self) -> Result<(), DiskError> {
        self.file.set_len(28)?;
        self.file.sync_all()?;
        Ok(sync_directory(self.path.parent().unwrap_or(&self.path))?)
    }

    /// Returns an error if the file was removed or replaced, since a write to a removed directory would be lost.
    pub(super) fn check(&self, rows: &Path) -> Result<(), DiskError> {
        let is_same = fs::metadata(&self.path).is_ok_and(|there| is_same(&there, &self.file));
        if is_same && rows.is_dir() {
            return Ok(());
        }
        Err(DiskError::damaged(format!("{} or its directory was removed while it was open", self.path.display())))
    }
}

/// Syncs the entries of a directory, where the operating system can.
pub(super) fn sync_directory(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn is_same(there: &fs::Metadata, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|open| (open.ino(), open.dev()) == (there.ino(), there.dev()))
}

#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &File) -> bool {
    true
}

fn parse(bytes: &[u8]) -> HighWater {
    let read = || {
        let (content, sum) = bytes.split_last_chunk()?;
        let is_valid = bytes.len() == 28 && content.starts_with(MAGIC) && u32::from_le_bytes(*sum) == crc(b"", content);
        is_valid.then(|| content.last_chunk().map(|sequence| u64::from_le_bytes(*sequence)))?
    };
    read().map_or(HighWater::Unreadable, HighWater::At)
}
