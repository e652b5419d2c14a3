use std::fmt;
use std::sync::Arc;

use crate::model::{Retention, Topic};

/// Options of a store.
#[derive(Clone)]
pub(crate) struct StoreOptions {
    /// Time at which a write returns. Default: [`Durability::Synced`].
    pub(crate) durability: Durability,
    /// Returns the retention of a topic.
    pub(crate) retention: Arc<dyn Fn(&Topic) -> Retention + Send + Sync>,
    /// Maximum sum of the rows of history, in bytes. The oldest events of all topics are trimmed first. While fjall
    /// compacts its files the directory may use twice as much. Default: 1 GiB.
    pub(crate) max_bytes: u64,
    /// Number of topics above which empty topics are forgotten. Default: 1,000,000.
    pub(crate) max_topics: u64,
    /// Size of the cache of blocks that were read, in bytes. Default: 16 MiB.
    pub(crate) cache: u64,
}

/// Time at which a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// After `fdatasync` of the journal: events survive a power loss.
    Synced,
    /// After the write: events survive the end of the process, and not a power loss.
    Written,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Synced,
            retention: Arc::new(|_| Retention::default()),
            max_bytes: 1 << 30,
            max_topics: 1_000_000,
            cache: 16 << 20,
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("durability", &self.durability)
            .field("max_bytes", &self.max_bytes)
            .field("max_topics", &self.max_topics)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
