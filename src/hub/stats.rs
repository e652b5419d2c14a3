use crate::hub::log::{Log, State};
use crate::hub::shared::Shared;

/// Contents of a hub, and counts of all that was published to it.
///
/// When nobody publishes or polls at the moment, and each subscription was last found to have nothing more to read, or was
/// dropped, these hold exactly:
///
/// - `published` = `retained` + `evicted`;
/// - for each subscription of topics (not of patterns) that began before they had any event: what was published to them = what it added to
///   `delivered` + `missed` + `conflated` + `expired`, + what it has not come to yet;
/// - `bytes` ≥ `retained_bytes` + `cached_bytes` + `pinned_bytes`, and 0 when there is no topic and no subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HubStats {
    /// Events published since the hub was built.
    pub published: u64,
    /// Times that an event was handed to a subscription. Counted when the subscription has read all that there is, or
    /// much, and when it is dropped.
    pub delivered: u64,
    /// Gaps that subscriptions were told of.
    pub gaps: u64,
    /// Events that subscriptions found gone: those of gaps with a count, and those for which one
    /// [asked to be let go](crate::Overflow::Disconnect). A client that comes back to a gap does not know how many.
    pub missed: u64,
    /// Times that a subscription stepped over an event because a newer one of its key was there, see
    /// [`Overflow::Latest`](crate::Overflow::Latest).
    pub conflated: u64,
    /// Times that a subscription stepped over an event whose time to live was over.
    pub expired: u64,
    /// Events that are not in history any more.
    pub evicted: u64,
    /// Those of them that went because the hub's [budget](crate::LocalHubBuilder::max_bytes) was spent.
    pub evicted_by_budget: u64,
    /// Events in history, expired ones behind others that live among them.
    pub retained: u64,
    /// Their payloads, names and keys, in bytes.
    pub retained_bytes: usize,
    /// Bytes of encoded events.
    pub cached_bytes: usize,
    /// Bytes of evicted history that readers hold.
    pub pinned_bytes: usize,
    /// All that the [budget](crate::LocalHubBuilder::max_bytes) counts: events in history and in
    /// [live buffers](crate::LocalHubBuilder::live_buffer), what it takes to keep them, and the two above.
    pub bytes: usize,
    /// Subscriptions, counted once for each of their topics and patterns.
    pub subscriptions: usize,
    /// Those of them that are registered for the topic's next event.
    pub parked: usize,
    /// Topics in memory.
    pub topics: usize,
    /// Dropped topics whose last sequence is remembered, including those that came back.
    pub tombstones: usize,
    /// Patterns that are followed.
    pub patterns: usize,
}

impl HubStats {
    pub(super) fn of(shared: &Shared) -> Self {
        let [history, pinned, cached] = shared.budget.used().map(|bytes| bytes as usize);
        let stats = Self {
            gaps: shared.gaps.load(),
            expired: shared.expired.load(),
            missed: shared.missed.load(),
            conflated: shared.conflated.load(),
            evicted_by_budget: shared.budget.evicted.load(),
            cached_bytes: cached,
            pinned_bytes: pinned,
            bytes: history + pinned + cached,
            ..shared.registry.count()
        };
        Self { delivered: stats.delivered + shared.replayed.load(), ..stats }
    }

    /// Adds what came of topics that were dropped.
    pub(super) fn add_all(&mut self, other: &Self) {
        self.published += other.published;
        self.evicted += other.evicted;
        self.retained += other.retained;
        self.retained_bytes += other.retained_bytes;
        self.subscriptions += other.subscriptions;
        self.parked += other.parked;
        self.delivered += other.delivered;
    }

    /// Adds what a topic holds, and what came of what was published to it.
    pub(super) fn add(&mut self, log: &Log, state: &State) {
        // What a pattern's log has, the topics' logs have, or had.
        if log.name.as_topic().is_some() {
            self.published += state.next;
            self.evicted += state.first;
            self.retained += state.next - state.first;
            self.retained_bytes += state.kept().bytes;
        }
        self.subscriptions += state.subscriptions as usize;
        self.parked += state.waiters.len() + state.followers.as_ref().map_or(0, |followers| followers.len());
        self.delivered += state.delivered;
    }
}
