use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::disk::store::epochs::EpochList;
use crate::disk::store::error::{DiskError, no_panic};
use crate::disk::store::files::{HeadFile, LockFile};
use crate::disk::store::journals::Journals;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::options::StoreOptions;
use crate::disk::store::rows::{Rows, View};
use crate::disk::store::topics::TopicCache;

/// Log of a hub in a directory of this machine. Calls block. Reads run beside a write; writes and trims run one after
/// another.
pub(crate) struct Store {
    /// The database. `None` after [`Store::close`], or if it could not be opened again after an error.
    pub(super) rows: RwLock<Option<Rows>>,
    pub(super) writer: Mutex<Writer>,
    pub(super) directory: PathBuf,
    pub(super) options: StoreOptions,
}

/// State of the one writer.
pub(super) struct Writer {
    pub(super) head: Head,
    pub(super) epochs: EpochList,
    pub(super) file: HeadFile,
    pub(super) topics: TopicCache,
    /// Topics with events since they were trimmed last.
    pub(super) untrimmed: BTreeSet<u32>,
    /// Rows that the last write has replaced. The next one removes them, since the last one may be rolled back.
    pub(super) replaced: Vec<Vec<u8>>,
    /// Topic that a round of trimming continues after.
    pub(super) trimmed_up_to: Option<u32>,
    /// Sequence that a round of trimming of the order continues after.
    pub(super) ordered_up_to: Option<u64>,
    /// Whether the database must be opened again before the next write.
    pub(super) has_failed: bool,
    /// Lock of the directory. `None` after [`Store::close`]. It is the last field, so it is released last.
    pub(super) lock: Option<LockFile>,
}

impl Store {
    /// Returns the last sequence.
    pub(crate) fn head(&self) -> u64 {
        self.writer().head.sequence
    }

    /// Returns the bytes of the rows of history, which [`StoreOptions::max_bytes`] limits.
    pub(crate) fn bytes(&self) -> u64 {
        self.writer().head.bytes
    }

    /// Returns the bytes of the tables on disk, without journals.
    pub(crate) fn disk_space(&self) -> Result<u64, DiskError> {
        no_panic(|| {
            self.rows.read().unwrap_or_else(PoisonError::into_inner).as_ref().ok_or(DiskError::Closed)?.disk_space()
        })
    }

    /// Writes all events to tables, closes the files and releases the directory. Later calls return
    /// [`DiskError::Closed`].
    pub(crate) fn close(&self) -> Result<(), DiskError> {
        let mut writer = self.writer();
        if writer.has_failed && writer.lock.is_some() {
            // Records of the failed write are removed, if that is possible.
            let _ = self.reopen(&mut writer);
        }
        let rows = self.rows.write().unwrap_or_else(PoisonError::into_inner).take();
        let replaced = std::mem::take(&mut writer.replaced);
        let flushed = no_panic(|| rows.as_ref().map_or(Ok(()), |rows| rows.finish(replaced)));
        // The database is closed before the lock is released.
        let closed = no_panic(|| {
            drop(rows);
            Ok(())
        });
        writer.lock = None;
        flushed.and(closed)
    }

    /// Calls `read` with the rows at one time.
    pub(super) fn with_view<T>(&self, read: impl FnOnce(&View) -> Result<T, DiskError>) -> Result<T, DiskError> {
        no_panic(|| {
            let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
            let view = rows.as_ref().ok_or(DiskError::Closed)?.view();
            read(&view)
        })
    }

    /// Calls `change` with the open database.
    pub(super) fn with_rows<T>(&self, change: impl FnOnce(&Rows) -> Result<T, DiskError>) -> Result<T, DiskError> {
        no_panic(|| {
            let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
            change(rows.as_ref().ok_or(DiskError::Closed)?)
        })
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the writer with an open database and an existing directory.
    pub(super) fn ready_writer(&self) -> Result<MutexGuard<'_, Writer>, DiskError> {
        let mut writer = self.writer();
        if writer.lock.is_none() {
            return Err(DiskError::Closed);
        }
        writer.file.check(&self.directory.join(Self::ROWS))?;
        if writer.has_failed {
            self.reopen(&mut writer)?;
        }
        Ok(writer)
    }

    /// Opens the database again after an error, and removes events that were written and not acknowledged.
    #[cold]
    fn reopen(&self, writer: &mut Writer) -> Result<(), DiskError> {
        let stored = self.reload(writer)?;
        if stored.sequence > writer.head.sequence {
            self.with_rows(|rows| rows.roll_back(stored, writer.head.sequence, &self.options))?;
        }
        writer.head = self.stored_head()?;
        writer.has_failed = false;
        Ok(())
    }

    /// Opens the database again. Returns the head of the rows.
    pub(super) fn reload(&self, writer: &mut Writer) -> Result<Head, DiskError> {
        writer.topics.clear();
        writer.has_failed = true;
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let old = rows.take();
        no_panic(|| {
            drop(old);
            let path = self.directory.join(Self::ROWS);
            if Journals::check(&path, &self.directory)?.are_damaged {
                return Err(DiskError::damaged("a journal was damaged while the store was open"));
            }
            *rows = Some(Rows::open(&path, &self.options)?);
            Ok(())
        })?;
        drop(rows);
        let stored = self.stored_head()?;
        if stored.sequence < writer.head.sequence {
            let text = format!("acknowledged events from {} on are missing", stored.sequence + 1);
            return Err(DiskError::Damaged { sequence: Some(stored.sequence + 1), detail: text });
        }
        Ok(stored)
    }

    fn stored_head(&self) -> Result<Head, DiskError> {
        self.with_view(|view| {
            let value = view.get(keys::HEAD)?.ok_or_else(|| DiskError::damaged("head is missing"))?;
            Head::decode(&value)
        })
    }

    /// Name of the database's directory.
    pub(super) const ROWS: &str = "rows";
}

impl Drop for Store {
    fn drop(&mut self) {
        // An error has no receiver here. Acknowledged events are in the journal.
        let _ = self.close();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("directory", &self.directory).finish_non_exhaustive()
    }
}
