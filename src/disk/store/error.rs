use std::io::{Error, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::model::Topic;

/// Error of a directory of a [`DiskHub`](crate::disk::DiskHub). The text contains the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// A hub, of this or another process, has the directory open. A process that has ended does not.
    #[error("{} is in use by {}: close it there, or use another directory", path.display(), process(*pid))]
    InUse {
        /// Directory of the store.
        path: PathBuf,
        /// Id of the process, if it is readable.
        pid: Option<u32>,
    },
    /// The file system has no space left. Stored events are readable, and publishes succeed again when there is space.
    #[error("disk is full: free space or lower the retention; the next write tries again ({0})")]
    Full(#[source] Error),
    /// The directory cannot be written: its permissions forbid it, or it is mounted read-only.
    #[error("directory of the store is not writable: change its permissions or mount it writable ({0})")]
    ReadOnly(#[source] Error),
    /// Files of the directory are damaged or missing. Restore all of the directory from a backup, or open another one: its clients
    /// get a gap with the reason [`Epoch`](crate::GapReason::Epoch).
    #[error("store is damaged{}: {detail}; restore a backup, or move the directory away", at(*sequence))]
    Damaged {
        /// Sequence of the damaged event, if it is known.
        sequence: Option<u64>,
        /// Damaged part.
        detail: String,
    },
    /// The state of a topic with [`Retention::latest_per_key`](crate::Retention::latest_per_key) does not fit into a limit.
    #[error("state of topic `{topic}` exceeds {setting}, which is {value}: raise it")]
    StateTooLarge {
        /// Topic of the state.
        topic: Topic,
        /// Name of the setting.
        setting: &'static str,
        /// Value of the setting.
        value: usize,
    },
    /// Settings of the builder contradict each other, or one of them is not possible: the path is not one of a directory, for
    /// example, or the directory has files of others and no history.
    #[error("{0}")]
    Settings(String),
    /// The hub was closed, or its files could not be opened again after an error. A publish tries that again.
    #[error("store is closed: open it again, or write to it if it failed before")]
    Closed,
    /// Another error of the operating system or of fjall, the database in the directory.
    #[error("store failed: {0}; the next write tries again")]
    Io(#[source] Error),
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn at(sequence: Option<u64>) -> String {
    sequence.map_or_else(String::new, |sequence| format!(" at sequence {sequence}"))
}

impl DiskError {
    /// Creates the error of a damaged part without a sequence.
    pub(super) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged { sequence: None, detail: detail.into() }
    }
}

impl From<Error> for DiskError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(error),
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Self::ReadOnly(error),
            ErrorKind::NotFound => Self::damaged(format!("a file is missing ({error})")),
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<DiskError> for Error {
    /// Keeps the kind of an error of the operating system. The text is that of the [`DiskError`].
    fn from(error: DiskError) -> Self {
        let kind = match &error {
            DiskError::Full(source) | DiskError::ReadOnly(source) | DiskError::Io(source) => source.kind(),
            DiskError::InUse { .. } => ErrorKind::ResourceBusy,
            DiskError::Damaged { .. } => ErrorKind::InvalidData,
            DiskError::Settings(_) | DiskError::StateTooLarge { .. } => ErrorKind::InvalidInput,
            DiskError::Closed => ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<fjall::Error> for DiskError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => error.into(),
            fjall::Error::Poisoned | fjall::Error::Locked => Self::Io(Error::other(error)),
            other => Self::damaged(other.to_string()),
        }
    }
}

/// Calls `f` and returns a panic as [`DiskError::Damaged`]: fjall may panic on damaged files.
pub(super) fn no_panic<T>(f: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(DiskError::damaged(format!("fjall panicked: {}", text.unwrap_or("no message"))))
    })
}
