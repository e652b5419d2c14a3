use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::hub::log::Log;
use crate::hub::sync::{Count, Mutex};

/// How long after one look a topic is due for the next, in nanoseconds: a second.
const INTERVAL: u64 = 1_000_000_000;
/// How many topics one publish looks after.
const A_FEW: usize = 2;

/// The topics in turn, so that each publish can look after a few and none is forgotten.
#[derive(Debug)]
pub(super) struct Sweeper {
    /// When the first one is due, to be asked without the lock.
    due: Count,
    turn: Mutex<VecDeque<(u64, Weak<Log>)>>,
}

impl Sweeper {
    pub(super) fn new() -> Self {
        Self { due: Count::new(0), turn: Mutex::default() }
    }

    /// Adds a topic, last in turn.
    pub(super) fn add(&self, log: &Arc<Log>, due: u64) {
        let mut turn = self.turn.lock();
        if turn.len() == turn.capacity() {
            // Only publishes take turns: between two of them, topics may have come and gone with their subscribers.
            turn.retain(|(_, log)| log.strong_count() > 0);
            let len = turn.len();
            turn.reserve(len + 1);
        }
        turn.push_back((due, Arc::downgrade(log)));
    }

    /// Whether a topic may be due.
    #[inline]
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.due.load() <= now
    }

    /// The topics that are due, a few at most. They are out of turn until they are [added](Self::add) again.
    pub(super) fn take(&self, now: u64) -> impl Iterator<Item = Arc<Log>> {
        let mut taken: [Option<Weak<Log>>; A_FEW] = Default::default();
        let mut turn = self.turn.lock();
        for place in &mut taken {
            if turn.front().is_some_and(|&(due, _)| due <= now) {
                *place = turn.pop_front().map(|(_, log)| log);
            }
        }
        // With nothing in turn, whatever is added is due within the interval.
        self.due.set(turn.front().map_or(now.saturating_add(INTERVAL), |&(due, _)| due));
        drop(turn);
        taken.into_iter().flatten().filter_map(|log| log.upgrade())
    }

    /// When a topic that was looked after now is due again.
    pub(super) fn next(now: u64) -> u64 {
        now.saturating_add(INTERVAL)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::hub::budget::Budget;
    use crate::model::Topic;

    #[test]
    fn topics_that_come_and_go_while_nothing_is_published_leave_nothing_behind() {
        let sweeper = Sweeper::new();
        let budget = Budget::new(1, 0);
        let log = |name: String| {
            let name = Topic::new(name).unwrap().into();
            Arc::new(Log::new(name, Arc::default(), 0, Box::default(), Arc::clone(&budget)))
        };
        let stay: Vec<_> = (0..10).map(|n| log(format!("stay/{n}"))).collect();
        stay.iter().for_each(|log| sweeper.add(log, 0));
        for n in 0..10_000 {
            sweeper.add(&log(format!("go/{n}")), 0);
        }
        let turn = sweeper.turn.lock();
        assert!(turn.len() <= 4 * stay.len(), "{}", turn.len());
        assert_eq!(turn.iter().filter(|(_, log)| log.strong_count() > 0).count(), stay.len());
    }
}
