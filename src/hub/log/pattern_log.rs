//! Logs of patterns. All subscriptions of a pattern read its log.
//!
//! Each event of a topic that matches is appended to the pattern's log, too, in the hub's order, from the pattern's
//! first subscription to its last. A subscription of a pattern is therefore one position in one log, for any number of
//! topics and for topics without a log. A publish costs as much for a pattern as for one more topic.
//!
//! The log is short. A subscription that falls behind it reads the rest from the logs of the topics, see
//! [`Backfill`](crate::hub::subscription::backfill::Backfill).
//!
//! A topic's log holds the logs of the patterns that match. It looks them up when it is created, and again before an
//! event is appended if the generation of the registry's patterns has changed. A pattern's log is entered into the
//! registry, with a new generation, before the subscription reads the watermark while no publish is in progress. Each
//! later publish finds the new generation under the sequencer. That watermark is the boundary between the events that
//! are read from the topics and those that are read here. Following a pattern costs the same for any number of matching
//! topics.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::Entry;
use crate::hub::budget::budget::LogPool;
use crate::hub::holds::STRETCH;
use crate::hub::log::append::Appended;
use crate::hub::log::log::{Log, LogState};
use crate::model::{Pattern, Retention, Topic};

/// Retention of a pattern's log: enough for a burst, and no more than a small topic. Nearly nothing under loom, so that
/// its readers fall behind.
const KEPT: Retention = Retention {
    count: if cfg!(loom) { 0 } else { 1_024 },
    bytes: 256 * 1024,
    age: Duration::from_secs(10),
    state: None,
};

impl Log {
    /// Returns a new log of a pattern.
    pub(crate) fn of_pattern(pattern: Pattern, pool: Arc<LogPool<Self>>) -> Arc<Self> {
        Self::new(pattern, Arc::new(KEPT), 0, None, Box::default(), 0, pool)
    }

    /// Sets the pattern logs of this topic, which were found among the patterns of a generation. Called under the
    /// registry's lock, so that generations are set in their order. Returns the previous pattern logs.
    #[cold]
    pub(crate) fn set_pattern_logs(&self, pattern_logs: Box<[Arc<Self>]>, generation: u64) -> Box<[Arc<Self>]> {
        let mut state = self.state();
        self.pattern_log_count.set(pattern_logs.len() as u32);
        self.generation.set(generation);
        std::mem::replace(&mut state.pattern_logs, pattern_logs)
    }

    /// Forgets the patterns without subscriptions.
    pub(crate) fn forget_pattern_logs(&self) {
        let mut state = self.state();
        let live = state.pattern_logs.iter().filter(|pattern_log| pattern_log.live().is_some()).cloned().collect();
        let old = std::mem::replace(&mut state.pattern_logs, live);
        self.pattern_log_count.set(state.pattern_logs.len() as u32);
        drop(state);
        drop(old);
    }

    /// Begins to mark replaced events if one of the pattern logs does and few events are in memory. The caller is a
    /// publisher, which must not wait until a long history is marked. A subscription that reads such a history has it
    /// marked.
    #[cold]
    pub(crate) fn conflate_as_patterns(&self) {
        let state = self.state();
        let is_short = state.next - state.floor() <= STRETCH as u64;
        let begins =
            is_short && !state.conflates && state.pattern_logs.iter().any(|pattern_log| pattern_log.state().conflates);
        drop(state);
        if begins {
            self.conflate();
        }
    }

    /// Appends an event of a topic that the pattern matches. Returns `false` if the log was dropped.
    fn take_in(
        self: &Arc<Self>,
        topic: &Topic,
        entry: &Entry,
        left: &mut usize,
        in_patterns: &mut Vec<(Arc<Self>, Appended)>,
    ) -> bool {
        let Some(mut state) = self.live() else {
            return false;
        };
        in_patterns.push((Arc::clone(self), self.put(&mut state, topic, entry.clone(), false, left)));
        true
    }
}

impl LogState {
    /// Appends an event of this topic to the pattern logs, and forgets those that were dropped.
    #[cold]
    pub(crate) fn put_in_patterns(&mut self, topic: &Topic, entry: &Entry) -> Vec<(Arc<Log>, Appended)> {
        // One event of each log leaves history, then one segment of one of them leaves memory.
        let (mut in_patterns, mut left) =
            (Vec::with_capacity(self.pattern_logs.len()), STRETCH + self.pattern_logs.len());
        let live = self
            .pattern_logs
            .iter()
            .filter(|pattern_log| pattern_log.take_in(topic, entry, &mut left, &mut in_patterns))
            .count();
        if live < self.pattern_logs.len() {
            self.pattern_logs = in_patterns.iter().map(|(pattern_log, _)| Arc::clone(pattern_log)).collect();
        }
        in_patterns
    }
}
