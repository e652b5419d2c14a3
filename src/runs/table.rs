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
    /// Bytes of the ended runs.
    pub(crate) ended_bytes: usize,
    /// Number of runs that have not ended.
    pub(crate) live: usize,
    /// Runs whose task was dropped while their end was being published.
    #[cfg(feature = "disk")]
    pub(crate) without_task: Vec<Arc<RunEntry>>,
    /// Whether new runs are refused.
    pub(crate) is_draining: bool,
    /// Wakers of drains that wait for the last live run, by the number of the drain.
    drains: HashMap<u64, Waker>,
    /// Number of drains that have begun.
    drain_count: u64,
}

impl RunTable {
    /// Adds a live run.
    pub(crate) fn begin(&mut self, entry: &Arc<RunEntry>) {
        self.by_topic.insert(entry.topic.clone(), Arc::clone(entry));
        self.live += 1;
    }

    /// Moves a run to the ended ones. Returns the wakers of drains if it was the last live one.
    pub(crate) fn end(&mut self, entry: &Arc<RunEntry>, now: Instant) -> Vec<Waker> {
        self.ended_bytes += entry.complete_end(now);
        self.ended.push_back(Arc::clone(entry));
        self.live -= 1;
        if self.live == 0 { self.drains.drain().map(|(_, waker)| waker).collect() } else { Vec::new() }
    }

    /// Adds an ended run. Those that ended earlier precede it.
    #[cfg(feature = "disk")]
    pub(crate) fn add_ended(&mut self, entry: Arc<RunEntry>) {
        self.ended_bytes += entry.bytes();
        self.by_topic.insert(entry.topic.clone(), Arc::clone(&entry));
        self.ended.push_back(entry);
    }

    /// Removes the first ended run that may be forgotten and for which `is_meant` returns `true` from the ended ones. It keeps
    /// its topic until it is [removed](Self::remove).
    pub(crate) fn forget_first(&mut self, is_meant: impl Fn(&Arc<RunEntry>) -> bool) -> Option<Arc<RunEntry>> {
        let at = self.ended.iter().position(|entry| is_meant(entry) && entry.forget())?;
        let entry = self.ended.remove(at)?;
        self.ended_bytes -= entry.bytes();
        Some(entry)
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

    /// Refuses new runs from now on. Returns the number of the drain.
    pub(crate) fn begin_drain(&mut self) -> u64 {
        self.is_draining = true;
        self.drain_count += 1;
        self.drain_count
    }

    /// Registers the waker of a drain. Returns the one that it replaces, which the caller drops without a lock.
    pub(crate) fn register_drain(&mut self, drain: u64, waker: Waker) -> Option<Waker> {
        self.drains.insert(drain, waker)
    }

    /// Removes the waker of a drain. The caller drops it without a lock.
    pub(crate) fn remove_drain(&mut self, drain: u64) -> Option<Waker> {
        self.drains.remove(&drain)
    }
}
