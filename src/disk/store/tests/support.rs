//! Directories, records and reads that the tests share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::disk::store::open::Opened;
use crate::disk::store::{Durability, Limit, LogPage, Record, Store, StoreOptions};
use crate::model::{Event, Retention, Topic};

/// Directory that is removed when the test ends.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("tidings-disk-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn open(&self, epoch: u64) -> (Store, Opened) {
        Store::open(&self.0, &written(Retention::count(usize::MAX).bytes(usize::MAX)), epoch).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns options without a sync, which the tests do not need but where they say so.
pub(crate) fn written(retention: Retention) -> StoreOptions {
    StoreOptions {
        durability: Durability::Written,
        retention: Arc::new(move |_| retention),
        cache: 1 << 20,
        ..StoreOptions::default()
    }
}

pub(crate) fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

pub(crate) fn event(sequence: u64, name: &str, event: impl Into<Event>) -> Record {
    Record::Event { sequence, topic: topic(name), at: sequence, event: event.into() }
}

/// Returns the text that every test gives the event of a sequence, so that a read can be checked without a model.
pub(crate) fn text(sequence: u64) -> String {
    format!("{sequence:>64}")
}

pub(crate) const ALL: Limit = Limit { events: usize::MAX, bytes: usize::MAX };

/// Reads a topic in pages.
pub(crate) fn read_pages(
    mut page: impl FnMut(u64) -> Result<LogPage, crate::disk::store::DiskError>,
    after: u64,
) -> Result<Vec<Record>, crate::disk::store::DiskError> {
    let (mut records, mut after) = (Vec::new(), after);
    loop {
        let next = page(after)?;
        records.extend(next.records);
        if !next.has_more {
            return Ok(records);
        }
        assert!(next.up_to > after, "a page makes progress");
        after = next.up_to;
    }
}

pub(crate) fn sequences(records: &[Record]) -> Vec<u64> {
    records.iter().map(Record::sequence).collect()
}

/// Copies a directory with its folders.
pub(crate) fn copy(from: &Path, to: &Path) {
    try_copy(from, to).unwrap();
}

fn try_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { try_copy(&from, &to)? } else { fs::copy(&from, &to).map(drop)? }
    }
    Ok(())
}

/// Copies the directory of a store that is open, as a process that was killed leaves it, without the zeros at the end
/// of journals.
pub(crate) fn copy_killed(from: &Directory) -> Directory {
    // fjall's threads may write and remove files. A copy that was made meanwhile is of no one time.
    let killed = loop {
        let (before, killed) = (versions(&from.0), Directory::new());
        if try_copy(&from.0, &killed.0).is_ok()
            && before.is_ok_and(|before| versions(&from.0).is_ok_and(|now| now == before))
        {
            break killed;
        }
    };
    for path in files(&killed.0) {
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let written = written_part(&fs::read(&path).unwrap());
            fs::File::options().write(true).open(&path).unwrap().set_len(written as u64).unwrap();
        }
    }
    killed
}

/// Returns the files of a directory, each with its size and the time of its last change.
fn versions(directory: &Path) -> io::Result<Vec<(PathBuf, u64, SystemTime)>> {
    let versions = files(directory).into_iter().map(|path| {
        let metadata = fs::metadata(&path)?;
        Ok((path, metadata.len(), metadata.modified()?))
    });
    versions.collect()
}

/// Returns the place after the last byte that is not zero.
pub(crate) fn written_part(bytes: &[u8]) -> usize {
    let zeros = bytes.rchunks(4_096).take_while(|chunk| **chunk == [0; 4_096][..chunk.len()]).map(<[u8]>::len);
    let rest = bytes.len() - zeros.sum::<usize>();
    bytes[..rest].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// Returns the files of a directory and of its folders, in order.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
