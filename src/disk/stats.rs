use std::sync::{Mutex, PoisonError};

use crate::disk::store::DiskError;

/// State of a [`DiskHub`](crate::disk::DiskHub)'s directory, for an operator. See
/// [`DiskHub::disk_stats`](crate::disk::DiskHub::disk_stats).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskStats {
    /// Bytes of the stored events, which [`max_bytes`](crate::disk::DiskHubBuilder::max_bytes) limits.
    pub bytes: u64,
    /// Bytes of the tables on disk. They are compressed, and contain removed events until they are compacted. Journals take
    /// up to 64 MiB more.
    pub table_bytes: u64,
    /// Number of events and ends of topics that were stored since the directory was opened.
    pub stored: u64,
    /// Number of publishes that wait for the disk, at most 65,536 and one of each live run.
    pub queued_publishes: usize,
    /// Number of reads that wait for the disk, at most one for each subscription.
    pub queued_reads: usize,
    /// Number of writes that failed since the directory was opened. Their publishers got
    /// [`PublishError::Unavailable`](crate::PublishError::Unavailable).
    pub failed_writes: u64,
    /// Error of the last access of the writer, if it failed. `None` as soon as a write succeeds.
    pub last_error: Option<Box<str>>,
}

/// Failures of the writer.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<(u64, Option<Box<str>>)>);

impl Failures {
    /// Notes the result of a write, or of the removal of old events. Returns it.
    pub(super) fn note<T>(&self, is_write: bool, result: Result<T, DiskError>) -> Result<T, DiskError> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.1 = match &result {
            // A removal may have nothing to do on a disk that is full.
            Ok(_) if !is_write => failures.1.take(),
            Ok(_) => None,
            Err(error) => Some(error.to_string().into()),
        };
        failures.0 += u64::from(is_write && result.is_err());
        drop(failures);
        result
    }

    /// Returns the number of failed writes, and the last error.
    pub(super) fn get(&self) -> (u64, Option<Box<str>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
