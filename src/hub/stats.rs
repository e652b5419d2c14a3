use crate::hub::shared::Shared;

/// What a hub holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HubStats {
    /// Events published since the hub was built.
    pub published: u64,
    /// Topics in memory.
    pub topics: usize,
    /// Dropped topics of which the last sequence is remembered.
    pub tombstones: usize,
    /// Subscriptions, counted once for each of their topics.
    pub subscriptions: usize,
    /// Events in history, expired ones behind others that live among them.
    pub retained: u64,
    /// Their payloads, names and keys, in bytes.
    pub retained_bytes: usize,
    /// Times that a subscriber stepped over an event whose time to live was over.
    pub expired: u64,
    /// Times that a subscriber stepped over an event because a newer one of its key was there, see
    /// [`Overflow::Latest`](crate::Overflow::Latest).
    pub conflated: u64,
}

impl HubStats {
    pub(super) fn of(shared: &Shared) -> Self {
        let (topics, tombstones) = shared.registry.len();
        let mut stats = Self {
            published: shared.published.load(),
            topics,
            tombstones,
            expired: shared.expired.load(),
            conflated: shared.conflated.load(),
            ..Self::default()
        };
        for log in shared.registry.logs() {
            let state = log.state();
            stats.subscriptions += state.subscriptions;
            stats.retained += state.next - state.first;
            stats.retained_bytes += state.bytes;
        }
        stats
    }
}
