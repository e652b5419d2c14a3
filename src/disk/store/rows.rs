//! The database: rows that sort by their keys, batches, views.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::thread;
use std::time::Duration;

use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Snapshot,
    UserKey, UserValue,
};

use crate::disk::store::error::DiskError;
use crate::disk::store::manifest;
use crate::disk::store::options::{Durability, StoreOptions};

/// Size at which a memtable becomes a table.
const MEMTABLE: u64 = 16 << 20;
/// Size of all journals at which fjall writes memtables to remove one.
const JOURNALS: u64 = 64 << 20;
/// Memtables that wait to be written above which a commit waits, and the same in bytes. fjall waits without a limit at
/// 4.
const WAITING: (usize, u64) = (2, 6 * MEMTABLE);
/// Longest wait of a commit for a memtable, in steps of 1 ms. After that the database is opened again.
const LONGEST_WAIT: u32 = 60_000;

/// Open database.
pub(super) struct Rows {
    database: Database,
    keyspace: Keyspace,
}

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
            .worker_threads(1)
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
        Ok(Self { database, keyspace })
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

    fn wait_for_memtables(&self) -> Result<(), DiskError> {
        let is_free =
            || self.keyspace.sealed_memtable_count() <= WAITING.0 && self.database.write_buffer_size() <= WAITING.1;
        if is_free() { Ok(()) } else { self.wait(is_free) }
    }

    /// Waits for fjall's threads. They end on an error, after which the database refuses to persist, and on a panic,
    /// which nothing shows but the time.
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

impl View {
    pub(super) fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<UserValue>, DiskError> {
        Ok(self.snapshot.get(&self.keyspace, key)?)
    }

    /// Returns the rows of a range of keys, in order. The iterator is double-ended.
    pub(super) fn range<K: AsRef<[u8]>>(
        &self,
        range: RangeInclusive<K>,
    ) -> impl DoubleEndedIterator<Item = Result<(UserKey, UserValue), DiskError>> + use<K> {
        self.snapshot.range(&self.keyspace, range).map(|row| Ok(row.into_inner()?))
    }

    /// Returns the rows whose keys begin with a prefix, in order.
    pub(super) fn prefix(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(UserKey, UserValue), DiskError>> + use<> {
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
