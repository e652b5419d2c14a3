use crate::hub::log::keyed_state::KeyedState;
use crate::hub::log::log::{Log, LogState};

/// Statistics of a hub.
///
/// When no thread publishes or polls, and each subscription was last found to have nothing more to read or was dropped,
/// these hold exactly:
///
/// - `published` = `retained` + `evicted`;
/// - for each subscription of topics (not of patterns) that began before they had any event: the number of events
///   published to them = the numbers that it added to `delivered` + `missed` + `conflated` + `expired` + `filtered`, + the
///   number that it has not read yet;
/// - `bytes` ≥ `retained_bytes` + `cached_bytes` + `pinned_bytes`, and 0 when there is no topic and no subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HubStats {
    /// Number of events published since the hub was built.
    pub published: u64,
    /// Number of deliveries of an event to a subscription. A subscription counts them when it has read everything,
    /// after many events, and when it is dropped.
    pub delivered: u64,
    /// Number of gaps delivered to subscriptions.
    pub gaps: u64,
    /// Number of events that subscriptions missed: those of gaps with a count, and those for which a subscription [was
    /// ended](crate::Overflow::Disconnect). A client that resumes at a gap does not know the number.
    pub missed: u64,
    /// Number of times that a subscription left out an event because a newer one of its key was there, see
    /// [`Overflow::Latest`](crate::Overflow::Latest).
    pub conflated: u64,
    /// Number of times that a subscription left out an event that had expired.
    pub expired: u64,
    /// Number of times that a subscription left out an event by its [predicate](crate::Subscribe::filter).
    pub filtered: u64,
    /// Number of events that have left history.
    pub evicted: u64,
    /// Number of those that were evicted to stay within the hub's [budget](crate::LocalHubBuilder::max_bytes).
    pub evicted_by_budget: u64,
    /// Number of events in history, including expired ones behind others that have not expired.
    pub retained: u64,
    /// Bytes of their payloads, names and keys.
    pub retained_bytes: usize,
    /// Bytes of encoded events in caches.
    pub cached_bytes: usize,
    /// Bytes of evicted history that readers hold.
    pub pinned_bytes: usize,
    /// All bytes that count in the [budget](crate::LocalHubBuilder::max_bytes): events in history and in [live
    /// buffers](crate::LocalHubBuilder::live_buffer), the structures that hold them, `cached_bytes` and `pinned_bytes`.
    pub bytes: usize,
    /// Number of subscriptions, each counted once for each of its topics and patterns. A subscription that has received the
    /// [end](crate::LocalHub::finish) of a topic no longer counts there.
    pub subscriptions: usize,
    /// Number of those that are registered for the topic's next event.
    pub parked: usize,
    /// Number of topics in memory.
    pub topics: usize,
    /// Number of dropped topics whose last sequence is remembered, including those that were created again.
    pub tombstones: usize,
    /// Number of topics whose [end](crate::LocalHub::finish) is remembered.
    pub finished_topics: usize,
    /// Number of keys in the states of topics that [keep the newest event of each
    /// key](crate::Retention::latest_per_key), not counting removed ones.
    pub keys: usize,
    /// Bytes of these states, removals and the structures that hold them included. They are in `bytes`, too.
    pub state_bytes: usize,
    /// Number of patterns that are followed.
    pub patterns: usize,
}

impl HubStats {
    /// Adds the statistics of dropped topics.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.published += other.published;
        self.evicted += other.evicted;
        self.retained += other.retained;
        self.retained_bytes += other.retained_bytes;
        self.subscriptions += other.subscriptions;
        self.parked += other.parked;
        self.delivered += other.delivered;
    }

    /// Adds the statistics of a log.
    pub(crate) fn add(&mut self, log: &Log, state: &LogState) {
        // Events of a pattern's log are counted in the topics' logs.
        if log.name.as_topic().is_some() {
            self.published += state.next;
            self.evicted += state.first;
            self.retained += state.next - state.first;
            self.retained_bytes += state.history().bytes;
        }
        self.keys += state.keyed().map_or(0, KeyedState::keys);
        self.subscriptions += state.subscriptions as usize;
        self.parked += state.waiters.len() + state.followers.as_ref().map_or(0, |followers| followers.len());
        self.delivered += state.delivered;
    }
}
