use crate::hub::log::log::{Log, LogState};
use crate::hub::sync::Leaf;
use crate::hub::topics::stats::HubStats;

/// Number of slots that are counted under one hold of the registry's lock.
pub(crate) const COUNTED: u32 = if cfg!(loom) { 1 } else { 256 };

/// Counts of all logs that are in progress, each in steps, slot by slot.
///
/// A log is counted when a count reaches its slot, or when it is dropped before that. Each log that existed when the
/// count began is therefore counted once.
#[derive(Debug, Default)]
pub(crate) struct Counts(Leaf<Vec<Underway>>);

#[derive(Debug)]
struct Underway {
    number: u64,
    /// First slot that is not counted yet.
    next: u32,
    /// Logs that were dropped before they were counted.
    dropped: HubStats,
}

impl Counts {
    /// Begins a count. Returns its number.
    pub(crate) fn begin(&self) -> u64 {
        let mut counts = self.0.lock();
        let number = counts.last().map_or(0, |last| last.number + 1);
        counts.push(Underway { number, next: 0, dropped: HubStats::default() });
        number
    }

    /// Notes that the slots before `next` are counted. The caller still holds the registry's lock under which it
    /// counted them.
    pub(crate) fn advance(&self, number: u64, next: u32) {
        let mut counts = self.0.lock();
        counts.iter_mut().filter(|count| count.number == number).for_each(|count| count.next = next);
    }

    /// Counts a log that is about to be dropped.
    pub(crate) fn add_dropped(&self, log: &Log, state: &LogState) {
        let mut counts = self.0.lock();
        counts.iter_mut().filter(|count| count.next <= log.slot).for_each(|count| count.dropped.add(log, state));
    }

    /// Ends a count. Returns the statistics of the dropped logs.
    pub(crate) fn end(&self, number: u64) -> HubStats {
        let mut counts = self.0.lock();
        let at = counts.iter().position(|count| count.number == number);
        at.map(|at| counts.remove(at).dropped).unwrap_or_default()
    }
}
