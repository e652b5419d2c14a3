use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::hub::budget::logs_by_size::LogsBySize;
use crate::hub::log::log::Log;
use crate::hub::sync::{Count, Leaf};

/// Time from the start of one round to the start of the next: one second, in nanoseconds.
const INTERVAL: u64 = 1_000_000_000;
/// Number of logs that one publish sweeps.
const A_FEW: usize = 2;
/// Number of slots in which one publish looks for them.
const LOOKS: u32 = 64;

/// Round over all logs: each publish sweeps a few, and none is left out.
#[derive(Debug)]
pub(crate) struct Sweeper {
    /// Time at which a log is due, readable without the lock.
    due: Count,
    round: Leaf<SweepRound>,
}

#[derive(Debug, Default)]
struct SweepRound {
    began: u64,
    /// Next slot.
    at: u32,
    /// Logs with more to evict than one hold of the lock evicts. They are swept first.
    again: VecDeque<Weak<Log>>,
}

impl Sweeper {
    pub(crate) fn new() -> Self {
        Self { due: Count::new(0), round: Leaf::default() }
    }

    /// Returns whether a log may be due.
    #[inline]
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.due.load() <= now
    }

    /// Adds a log that was swept in part, to be swept again.
    #[cold]
    pub(crate) fn again(&self, log: &Arc<Log>) {
        let mut round = self.round.lock();
        round.again.push_back(Arc::downgrade(log));
        self.due.set(0);
    }

    /// Makes the next publish sweep, too.
    #[cold]
    pub(crate) fn hurry(&self) {
        self.due.set(0);
    }

    /// Returns the next logs of the round, a few at most.
    pub(crate) fn take(&self, now: u64, sizes: &LogsBySize<Log>) -> Vec<Arc<Log>> {
        let mut round = self.round.lock();
        if let Some(log) = round.again.pop_front() {
            if round.again.is_empty() && round.at == 0 {
                self.due.set(round.began.saturating_add(INTERVAL));
            }
            return log.upgrade().into_iter().collect();
        }
        if round.at == 0 {
            round.began = now;
        }
        let at = round.at;
        round.at = at.saturating_add(LOOKS);
        drop(round);
        let mut logs = Vec::new();
        let next = sizes.walk(at, LOOKS, &mut logs, A_FEW);
        let mut round = self.round.lock();
        match next {
            // Other threads may have taken the next slots meanwhile: slots that were left out here are taken again.
            Some(next) if next < at.saturating_add(LOOKS) => round.at = round.at.min(next),
            Some(_) => {}
            None => {
                round.at = 0;
                self.due.set(round.began.saturating_add(INTERVAL));
            }
        }
        logs
    }
}
