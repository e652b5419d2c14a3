use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::entry::RunEntry;
use crate::model::Topic;

/// Runs by topic, live and ended.
#[derive(Debug, Default)]
pub(crate) struct RunTable {
    pub(crate) by_topic: HashMap<Topic, Arc<RunEntry>>,
    /// Ended runs, in the order of their ends.
    ended: VecDeque<Arc<RunEntry>>,
    /// Number of runs that have not ended.
    pub(crate) live: usize,
    /// Whether new runs are refused.
    pub(crate) is_draining: bool,
    /// Wakers of drains that wait for the last live run.
    drains: Vec<Waker>,
}

impl RunTable {
    /// Adds a live run.
    pub(crate) fn begin(&mut self, entry: &Arc<RunEntry>) {
        self.by_topic.insert(entry.topic.clone(), Arc::clone(entry));
        self.live += 1;
    }

    /// Moves a run to the ended ones. Returns the wakers of drains if it was the last live one.
    pub(crate) fn end(&mut self, entry: &Arc<RunEntry>, now: Instant) -> Vec<Waker> {
        entry.complete_end(now);
        self.ended.push_back(Arc::clone(entry));
        self.live -= 1;
        if self.live == 0 { std::mem::take(&mut self.drains) } else { Vec::new() }
    }

    /// Removes the first ended run that may be forgotten and for which `is_meant` returns `true` from the ended ones. It keeps
    /// its topic until it is [removed](Self::remove).
    pub(crate) fn forget_first(&mut self, is_meant: impl Fn(&Arc<RunEntry>) -> bool) -> Option<Arc<RunEntry>> {
        let at = self.ended.iter().position(|entry| is_meant(entry) && entry.forget())?;
        self.ended.remove(at)
    }

    /// Removes a forgotten run.
    pub(crate) fn remove(&mut self, entry: &RunEntry) {
        self.by_topic.remove(&entry.topic);
    }

    /// Returns the number of ended runs.
    pub(crate) fn ended(&self) -> usize {
        self.ended.len()
    }

    /// Returns the run that ended first.
    pub(crate) fn first_ended(&self) -> Option<&Arc<RunEntry>> {
        self.ended.front()
    }

    /// Registers the waker of a drain. Returns `false` if no run is live.
    pub(crate) fn register_drain(&mut self, waker: &Waker) -> bool {
        if self.live > 0 && !self.drains.iter().any(|known| known.will_wake(waker)) {
            self.drains.push(waker.clone());
        }
        self.live > 0
    }
}
