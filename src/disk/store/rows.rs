//! The database: rows that sort by their keys, batches, views.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Snapshot,
    UserKey, UserValue,
};

use crate::disk::store::error::{DiskError, no_panic};
use crate::disk::store::manifest;
use crate::disk::store::options::{Durability, StoreOptions};

/// Size at which a memtable becomes a table.
const MEMTABLE: u64 = 16 << 20;
/// Size of all journals at which fjall writes memtables to remove one.
const JOURNALS: u64 = 64 << 20;
/// Removed rows above which all tables are merged, as a part of the other rows and in bytes. fjall merges tables when
/// there are many, however much of them was removed.
const REMOVED: (f64, u64) = (0.3, MEMTABLE);
/// Memtables that wait to be written above which a commit waits, and the same in bytes. fjall waits without a limit at
/// 4.
const WAITING: (usize, u64) = (2, 6 * MEMTABLE);
/// Longest wait of a commit for a memtable, in steps of 1 ms. After that the database is opened again.
const LONGEST_WAIT: u32 = 60_000;

/// Open database.
pub(super) struct Rows {
    database: Database,
    keyspace: Keyspace,
    merge: Mutex<Merge>,
}

/// Merge of all tables, in a thread of its own.
#[derive(Default)]
struct Merge {
    /// Returns the size of the tables.
    thread: Option<JoinHandle<u64>>,
    /// Size after the last merge.
    size: u64,
}

/// Key and value.
pub(super) type Row = (UserKey, UserValue);

/// Rows at one time.
pub(super) struct View {
    snapshot: Snapshot,
    keyspace: Keyspace,
}

/// Changes that are made together.
pub(super) struct Batch {
    changes: OwnedWriteBatch,
    keyspace: Keyspace,
    /// Last change of each key that may change more than once. fjall writes all changes of a batch with one number, so
    /// it has no order of two changes of one key.
    latest: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Rows {
    pub(super) fn open(path: &Path, options: &StoreOptions) -> Result<Self, DiskError> {
        manifest::check(path)?;
        let database = Database::builder(path)
            .cache_size(options.cache)
            .max_journaling_size(JOURNALS)
            .worker_threads(2)
            .journal_compression(CompressionType::None)
            .manual_journal_persist(true)
            .open()?;
        let create = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE)
                .manual_journal_persist(true)
                .data_block_size_policy(BlockSizePolicy::all(16 << 10))
                .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        };
        let keyspace = database.keyspace("rows", create)?;
        Ok(Self { database, keyspace, merge: Mutex::default() })
    }

    pub(super) fn view(&self) -> View {
        View { snapshot: self.database.snapshot(), keyspace: self.keyspace.clone() }
    }

    pub(super) fn batch(&self) -> Batch {
        Batch { changes: self.database.batch(), keyspace: self.keyspace.clone(), latest: HashMap::new() }
    }

    /// Makes the changes, all or none.
    pub(super) fn commit(&self, batch: Batch, durability: Durability) -> Result<(), DiskError> {
        self.wait_for_memtables()?;
        let Batch { mut changes, keyspace, latest } = batch;
        for (key, value) in latest {
            match value {
                Some(value) => changes.insert(&keyspace, key, value),
                None => changes.remove(&keyspace, key),
            }
        }
        let mode = match durability {
            Durability::Synced => PersistMode::SyncData,
            Durability::Written => PersistMode::Buffer,
        };
        Ok(changes.durability(Some(mode)).commit()?)
    }

    /// Removes the last rows, syncs the journal, and writes the memtable to a table.
    pub(super) fn finish(&self, replaced: Vec<Vec<u8>>) -> Result<(), DiskError> {
        let mut batch = self.batch();
        for key in replaced {
            batch.remove(key);
        }
        self.commit(batch, Durability::Synced)?;
        self.database.persist(PersistMode::SyncAll)?;
        self.keyspace.rotate_memtable()?;
        self.wait(|| self.keyspace.sealed_memtable_count() == 0)
    }

    /// Returns the bytes of the database's files.
    pub(super) fn disk_space(&self) -> Result<u64, DiskError> {
        Ok(self.keyspace.disk_space())
    }

    /// Begins to merge all tables if they have many removed rows. The other rows have a number of bytes.
    pub(super) fn merge_tables(&self, bytes: u64) -> Result<(), DiskError> {
        let mut merge = self.merge.lock().unwrap_or_else(PoisonError::into_inner);
        if merge.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        if let Some(thread) = merge.thread.take() {
            // After an error it is not tried again. fjall's threads find that error, too.
            merge.size = thread.join().unwrap_or(u64::MAX);
        }
        // Rows of states are not counted: the size after a merge has them.
        let limit = bytes.max(merge.size) as f64 * (1.0 + REMOVED.0) + REMOVED.1 as f64;
        if self.keyspace.disk_space() as f64 > limit {
            let keyspace = self.keyspace.clone();
            let merging = move || match no_panic(|| Ok(keyspace.major_compact()?)) {
                Ok(()) => keyspace.disk_space(),
                Err(_) => u64::MAX,
            };
            merge.thread = Some(thread::Builder::new().name("tidings-merge".to_owned()).spawn(merging)?);
        }
        Ok(())
    }

    fn wait_for_memtables(&self) -> Result<(), DiskError> {
        let is_free =
            || self.keyspace.sealed_memtable_count() <= WAITING.0 && self.database.write_buffer_size() <= WAITING.1;
        if is_free() { Ok(()) } else { self.wait(is_free) }
    }

    /// Waits for fjall's threads. They end on an error and on a panic, after which the database refuses to persist.
    #[cold]
    fn wait(&self, is_over: impl Fn() -> bool) -> Result<(), DiskError> {
        for _ in 0..LONGEST_WAIT {
            if is_over() {
                return Ok(());
            }
            self.database.persist(PersistMode::Buffer)?;
            thread::park_timeout(Duration::from_millis(1));
        }
        Err(DiskError::Io(std::io::Error::other("fjall wrote no table for 60 s")))
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        let merge = self.merge.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The thread returns what it has: an error has no receiver here.
        let _ = merge.thread.take().map(JoinHandle::join);
    }
}

impl View {
    pub(super) fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<UserValue>, DiskError> {
        Ok(self.snapshot.get(&self.keyspace, key)?)
    }

    /// Returns the rows of a range of keys, in order. The iterator is double-ended.
    pub(super) fn range<K: AsRef<[u8]>>(
        &self,
        range: RangeInclusive<K>,
    ) -> impl DoubleEndedIterator<Item = Result<Row, DiskError>> + use<K> {
        self.snapshot.range(&self.keyspace, range).map(|row| Ok(row.into_inner()?))
    }

    /// Returns the rows whose keys begin with a prefix, in order.
    pub(super) fn prefix(&self, prefix: &[u8]) -> impl Iterator<Item = Result<Row, DiskError>> + use<> {
        self.snapshot.prefix(&self.keyspace, prefix).map(|row| Ok(row.into_inner()?))
    }
}

impl Batch {
    /// Writes a row whose key no other change of the batch has.
    pub(super) fn put_once(&mut self, key: impl AsRef<[u8]>, value: impl Into<UserValue>) {
        self.changes.insert(&self.keyspace, key.as_ref(), value);
    }

    /// Removes a row whose key no other change of the batch has.
    pub(super) fn remove_once(&mut self, key: impl AsRef<[u8]>) {
        self.changes.remove(&self.keyspace, key.as_ref());
    }

    /// Writes a row. The last change of a key counts.
    pub(super) fn put(&mut self, key: impl AsRef<[u8]>, value: Vec<u8>) {
        self.latest.insert(key.as_ref().to_vec(), Some(value));
    }

    /// Removes a row. The last change of a key counts.
    pub(super) fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.latest.insert(key.as_ref().to_vec(), None);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.latest.is_empty()
    }
}
