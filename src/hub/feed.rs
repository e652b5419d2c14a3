//! The log of a pattern: what every subscription of it reads.
//!
//! Each event of a topic that matches is in it too, in the hub's order, from the pattern's first subscription to its
//! last. So to follow a pattern is to have one place in one log, however many topics there are and whether or not they
//! have a log yet, and a publish does as much for a pattern as for one more topic.
//!
//! It holds little. A subscription that falls behind it finds what it has not read in the topics' own logs, see
//! [`Replay`](super::replay::Replay).
//!
//! What holds it together: a feed is entered into the registry before it is attached to the logs that there are, and a
//! log is made with the feeds that are entered. An event goes to its topic's log and to the feeds in one go, under the
//! log's lock and the sequencer. So for each topic there is a moment from which all its events are in the feed too, and
//! all before it are in the topic's log; the watermark that is loaded after the last of these moments, with no publish
//! under way, is the seam between what is replayed and what is read here.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::Entry;
use crate::hub::appended::Appended;
use crate::hub::budget::Budget;
use crate::hub::history::EVICTED;
use crate::hub::log::{Log, State};
use crate::model::{Pattern, Retention, Topic};

/// What a feed keeps: enough for a burst, and no more than a small topic. Next to nothing under loom, which is to see it
/// outrun its readers.
const KEPT: Retention =
    Retention { count: if cfg!(loom) { 0 } else { 1_024 }, bytes: 256 * 1024, age: Duration::from_secs(10) };

impl Log {
    /// The log of a pattern.
    pub(super) fn feed(pattern: Pattern, budget: Arc<Budget>) -> Arc<Self> {
        Self::new(pattern, Arc::new(KEPT), 0, Box::default(), budget)
    }

    /// Adds a pattern's log to this topic's feeds. Begins to mark replaced events if that log marks them.
    pub(super) fn attach(&self, feed: &Arc<Self>) {
        if feed.state().conflates {
            self.conflate();
        }
        let mut state = self.state();
        if state.feeds.iter().any(|known| Arc::ptr_eq(known, feed)) {
            return;
        }
        let live = state.feeds.iter().filter(|known| known.live().is_some());
        let feeds = live.chain([feed]).map(Arc::clone).collect();
        let old = std::mem::replace(&mut state.feeds, feeds);
        self.fed.set(state.feeds.len() as u32);
        drop(state);
        drop(old);
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
        let (mut fed, mut left) = (Vec::with_capacity(self.feeds.len()), EVICTED);
        let live = self.feeds.iter().filter(|feed| feed.take_in(topic, entry, &mut left, &mut fed)).count();
        if live < self.feeds.len() {
            self.feeds = fed.iter().map(|(feed, _)| Arc::clone(feed)).collect();
        }
        fed
    }
}
