use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, RwLock};

use crate::disk::store::directory::create_directory;
use crate::disk::store::epochs::EpochList;
use crate::disk::store::error::{DiskError, no_panic};
use crate::disk::store::files::{HeadFile, HighWater, LockFile};
use crate::disk::store::journals::Journals;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::options::{Durability, StoreOptions};
use crate::disk::store::rows::Rows;
use crate::disk::store::store::{Store, Writer};
use crate::disk::store::topics::TopicCache;

/// State in which a store was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Last sequence. The next event has a greater one.
    pub(crate) head: u64,
    /// Loss of history, if there is one. No older cursor is valid then.
    pub(crate) lost: Option<Loss>,
    /// EpochList, the oldest first, each with its last sequence. The last one is the new epoch.
    pub(crate) epochs: Vec<(u64, u64)>,
}

/// Loss of acknowledged events that was found at open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The rows end before the last acknowledged event: a cut journal, a restored database or a removed one.
    Tail {
        /// Last sequence of the rows.
        stored: u64,
        /// Last sequence that was acknowledged.
        acknowledged: u64,
    },
    /// A journal was damaged that is not the last one: events before the last sequence are missing.
    Journal,
    /// The file with the last acknowledged sequence is missing or damaged, so a loss cannot be excluded.
    Unverified,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tail { stored, acknowledged } => {
                write!(f, "events after sequence {stored}, up to {acknowledged}, are missing")
            }
            Self::Journal => f.write_str("a journal was damaged, and its events are missing"),
            Self::Unverified => f.write_str("the file `head` is missing or damaged, so events may be missing"),
        }
    }
}

impl Store {
    /// Opens the store of a directory, or creates it, and begins an epoch. The log is not scanned.
    ///
    /// # Errors
    ///
    /// - [`DiskError::InUse`]: another store has the directory open.
    /// - [`DiskError::Settings`]: the path is empty, or not one of a directory, or the directory has files and is not one of a store.
    /// - [`DiskError::Damaged`]: files cannot be read.
    /// - [`DiskError::Full`], [`DiskError::ReadOnly`], [`DiskError::Io`]: the new epoch cannot be written.
    pub(crate) fn open(path: &Path, options: &StoreOptions, epoch: u64) -> Result<(Self, Opened), DiskError> {
        let path = create_directory(path)?;
        let lock = LockFile::acquire(&path)?;
        no_panic(|| Self::open_locked(&path, options, epoch, lock))
    }

    fn open_locked(
        path: &Path,
        options: &StoreOptions,
        epoch: u64,
        lock: LockFile,
    ) -> Result<(Self, Opened), DiskError> {
        let (mut file, high_water) = HeadFile::open(path)?;
        let database = path.join(Self::ROWS);
        let journals = Journals::check(&database, path)?;
        let rows = Rows::open(&database, options)?;
        let view = rows.view();
        let stored = view.get(keys::HEAD)?.map(|value| Head::decode(&value)).transpose()?;
        let epochs = view.get(keys::EPOCHS)?.map(|value| EpochList::decode(&value)).transpose()?;
        let mut head = stored.unwrap_or_default();
        let lost = if journals.are_damaged { Some(Loss::Journal) } else { lost(head.sequence, high_water) };
        let mut epochs = epochs.filter(|_| lost.is_none()).unwrap_or_default();
        if let HighWater::At(acknowledged) = high_water {
            head.sequence = head.sequence.max(acknowledged);
        }
        head.epoch = epochs.begin(epoch, head.sequence);
        let mut batch = rows.batch();
        batch.put(keys::HEAD, head.encode());
        batch.put(keys::EPOCHS, epochs.encode());
        rows.commit(batch, Durability::Synced)?;
        file.write(head.epoch, head.sequence)?;
        file.sync()?;
        journals.forget()?;
        let opened = Opened { head: head.sequence, lost, epochs: epochs.list(head.sequence) };
        let writer = Writer {
            head,
            epochs,
            file,
            topics: TopicCache::default(),
            untrimmed: BTreeSet::new(),
            replaced: Vec::new(),
            trimmed_up_to: None,
            ordered_up_to: None,
            has_failed: false,
            lock: Some(lock),
        };
        let store = Self {
            rows: RwLock::new(Some(rows)),
            writer: Mutex::new(writer),
            directory: path.to_owned(),
            options: options.clone(),
        };
        Ok((store, opened))
    }
}

/// Compares the head of the rows with the file beside them.
fn lost(stored: u64, high_water: HighWater) -> Option<Loss> {
    match high_water {
        HighWater::At(acknowledged) if acknowledged > stored => Some(Loss::Tail { stored, acknowledged }),
        // A store that was created and not written to has no file yet.
        HighWater::At(_) => None,
        HighWater::Missing if stored == 0 => None,
        HighWater::Missing | HighWater::Unreadable => Some(Loss::Unverified),
    }
}
