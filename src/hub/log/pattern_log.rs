//! The log of a pattern: what every subscription of it reads.
//!
//! Each event of a topic that matches is in it too, in the hub's order, from the pattern's first subscription to its
//! last. So to follow a pattern is to have one place in one log, however many topics there are and whether or not they
//! have a log yet, and a publish does as much for a pattern as for one more topic.
//!
//! It holds little. A subscription that falls behind it finds what it has not read in the topics' own logs, see
//! [`Backfill`](crate::hub::subscription::backfill::Backfill).
//!
//! A topic's log knows the pattern_logs of the patterns that match. It looks them up when it is made, and again before an event
//! is appended if the registry's patterns are of another generation since. A pattern_log is entered into the registry, with a
//! new generation, before the subscription reads the watermark with no publish under way; each publish after that finds
//! the new generation under the sequencer. So that watermark is the seam between the events that are replayed and those
//! that are read here, and to follow a pattern costs the same however many topics match.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::Entry;
use crate::hub::budget::budget::LogPool;
use crate::hub::holds::STRETCH;
use crate::hub::log::append::Appended;
use crate::hub::log::log::{Log, LogState};
use crate::model::{Pattern, Retention, Topic};

/// What a pattern_log keeps: enough for a burst, and no more than a small topic. Next to nothing under loom, which is to see it
/// outrun its readers.
const KEPT: Retention =
    Retention { count: if cfg!(loom) { 0 } else { 1_024 }, bytes: 256 * 1024, age: Duration::from_secs(10) };

impl Log {
    /// Returns a new log of a pattern.
    pub(crate) fn of_pattern(pattern: Pattern, pool: Arc<LogPool<Self>>) -> Arc<Self> {
        Self::new(pattern, Arc::new(KEPT), 0, Box::default(), 0, pool)
    }

    /// Sets the pattern_logs of this topic, which were found among the patterns of a generation. Under the registry's lock, so that
    /// an earlier generation never comes later. Returns the pattern_logs that it had before.
    #[cold]
    pub(crate) fn set_pattern_logs(&self, pattern_logs: Box<[Arc<Self>]>, generation: u64) -> Box<[Arc<Self>]> {
        let mut state = self.state();
        self.pattern_log_count.set(pattern_logs.len() as u32);
        self.generation.set(generation);
        std::mem::replace(&mut state.pattern_logs, pattern_logs)
    }

    /// Forgets the patterns that nobody follows any more.
    pub(crate) fn forget_pattern_logs(&self) {
        let mut state = self.state();
        let live = state.pattern_logs.iter().filter(|pattern_log| pattern_log.live().is_some()).cloned().collect();
        let old = std::mem::replace(&mut state.pattern_logs, live);
        self.pattern_log_count.set(state.pattern_logs.len() as u32);
        drop(state);
        drop(old);
    }

    /// Begins to mark replaced events, if one of the pattern_logs does and few are in memory: the caller is a publisher, which must
    /// not wait for a long history to be marked. A subscription that reads such a history has it marked.
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

    /// Puts an event of a topic that pattern_logs this log into it. `false` if the log was dropped.
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
    /// Puts an event of this topic into the pattern_logs, and forgets those that were dropped.
    #[cold]
    pub(crate) fn put_in_patterns(&mut self, topic: &Topic, entry: &Entry) -> Vec<(Arc<Log>, Appended)> {
        // An event of each log leaves history, and after that a segment of one of them memory.
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
