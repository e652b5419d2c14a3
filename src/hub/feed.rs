//! The log of a pattern: what every subscription of it reads.
//!
//! Each event of a topic that matches is in it too, in the hub's order, from the pattern's first subscription to its
//! last. So to follow a pattern is to have one place in one log, however many topics there are and whether or not they
//! have a log yet, and a publish does as much for a pattern as for one more topic.
//!
//! It holds little. A subscription that falls behind it finds what it has not read in the topics' own logs, see
//! [`Replay`](super::replay::Replay).
//!
//! A topic's log knows the feeds of the patterns that match. It looks them up when it is made, and again before an event
//! is appended if the registry's patterns are of another generation since. A feed is entered into the registry, with a
//! new generation, before the subscription reads the watermark with no publish under way; each publish after that finds
//! the new generation under the sequencer. So that watermark is the seam between the events that are replayed and those
//! that are read here, and to follow a pattern costs the same however many topics match.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::Entry;
use crate::hub::appended::Appended;
use crate::hub::budget::Budget;
use crate::hub::holds::STRETCH;
use crate::hub::log::{Log, State};
use crate::model::{Pattern, Retention, Topic};

/// Retention of a feed: enough for a burst, and no more than that of a small topic. Next to nothing under loom, so that
/// a feed outruns its readers there.
const KEPT: Retention =
    Retention { count: if cfg!(loom) { 0 } else { 1_024 }, bytes: 256 * 1024, age: Duration::from_secs(10) };

impl Log {
    /// Returns a new log of a pattern.
    pub(super) fn feed(pattern: Pattern, budget: Arc<Budget>) -> Arc<Self> {
        Self::new(pattern, Arc::new(KEPT), 0, Box::default(), 0, budget)
    }

    /// Sets the feeds of this topic, which were found among the patterns of a generation. Under the registry's lock, so that
    /// an earlier generation never comes later. Returns the feeds that it had before.
    #[cold]
    pub(super) fn set_feeds(&self, feeds: Box<[Arc<Self>]>, generation: u64) -> Box<[Arc<Self>]> {
        let mut state = self.state();
        self.fed.set(feeds.len() as u32);
        self.generation.set(generation);
        std::mem::replace(&mut state.feeds, feeds)
    }

    /// Begins to mark replaced events, if one of the feeds does and few are in memory: the caller is a publisher, which must
    /// not wait for a long history to be marked. A subscription that reads such a history has it marked.
    #[cold]
    pub(super) fn conflate_as_feeds(&self) {
        let state = self.state();
        let is_short = state.next - state.floor() <= STRETCH as u64;
        let begins = is_short && !state.conflates && state.feeds.iter().any(|feed| feed.state().conflates);
        drop(state);
        if begins {
            self.conflate();
        }
    }

    /// Puts an event of a topic that feeds this log into it. `false` if the log was dropped.
    fn take_in(
        self: &Arc<Self>,
        topic: &Topic,
        entry: &Entry,
        left: &mut usize,
        fed: &mut Vec<(Arc<Self>, Appended)>,
    ) -> bool {
        let Some(mut state) = self.live() else {
            return false;
        };
        fed.push((Arc::clone(self), self.put(&mut state, topic, entry.clone(), false, left)));
        true
    }
}

impl State {
    /// Puts an event of this topic into the feeds, and forgets those that were dropped.
    #[cold]
    pub(super) fn feed(&mut self, topic: &Topic, entry: &Entry) -> Vec<(Arc<Log>, Appended)> {
        // An event of each log leaves history, and after that a segment of one of them memory.
        let (mut fed, mut left) = (Vec::with_capacity(self.feeds.len()), STRETCH + self.feeds.len());
        let live = self.feeds.iter().filter(|feed| feed.take_in(topic, entry, &mut left, &mut fed)).count();
        if live < self.feeds.len() {
            self.feeds = fed.iter().map(|(feed, _)| Arc::clone(feed)).collect();
        }
        fed
    }
}
