//! Stores, records and reads that the tests share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) use super::files::{Directory, copy, cut_zeros, files, try_copy, written_part};
use crate::disk::store::open::Opened;
use crate::disk::store::{Durability, Limit, LogPage, Record, Store, StoreOptions};
use crate::model::{Event, Retention, Topic};

impl Directory {
    pub(crate) fn open(&self, epoch: u64) -> (Store, Opened) {
        Store::open(&self.0, &written(Retention::count(usize::MAX).bytes(usize::MAX)), epoch).unwrap()
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

/// Writes records that are in the rows, and that the writer takes for failed.
pub(crate) fn fail(store: &Store, records: &[Record]) {
    let (head, replaced) = {
        let writer = store.writer();
        (writer.head, writer.replaced.clone())
    };
    store.write(records).unwrap();
    let mut writer = store.writer();
    writer.file.write(head.epoch, head.sequence).unwrap();
    (writer.head, writer.replaced, writer.has_failed) = (head, replaced, true);
}

/// Replaces the value of a row.
pub(crate) fn damage(store: &Store, key: &[u8]) {
    store
        .with_rows(|rows| {
            let mut batch = rows.batch();
            batch.put(key, b"damaged".to_vec());
            rows.commit(batch, Durability::Written)
        })
        .unwrap();
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
    cut_zeros(&killed.0);
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
