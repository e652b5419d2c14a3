use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::endpoint::mutex::Mutex;
use crate::endpoint::shared::Shared;
use crate::time::Clock;

/// The clients that were refused by a 200 or a 101, because a status would not reach them or would end them for good,
/// and that keep their connection for the moment that takes. They are no sessions, so they have a limit of their own.
#[derive(Debug)]
pub(crate) struct Rejects {
    roll: Mutex<Roll>,
    max: usize,
    /// After how long one that is still here makes way for another.
    stall: Duration,
}

#[derive(Default)]
struct Roll {
    /// How many there were, which is the next one's number.
    total: u64,
    /// By number, which is in the order of their coming.
    here: BTreeMap<u64, Instant>,
    /// Tasks that wait until all before this number are gone.
    waiting: Vec<(u64, Waker)>,
}

/// A place among them, until it is dropped.
pub(crate) struct Place {
    shared: Arc<Shared>,
    number: u64,
}

impl Rejects {
    pub(crate) fn new(max: usize, stall: Duration) -> Self {
        Self { roll: Mutex::new(Roll::default()), max, stall }
    }

    /// How many are here, and how many there were.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let roll = self.roll.lock();
        (roll.here.len(), roll.total)
    }

    /// Ready when all those are gone that came before number `before`: later ones must not delay a drain.
    pub(crate) fn poll_gone(&self, before: u64, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut roll = self.roll.lock();
        if !roll.holds_up(before) {
            return Poll::Ready(());
        }
        if !roll.waiting.iter().any(|(at, waiting)| *at >= before && waiting.will_wake(&waker)) {
            roll.waiting.push((before, waker));
        }
        Poll::Pending
    }
}

impl Place {
    /// `None` where there are as many as may be.
    pub(crate) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let now = shared.runtime.wheel.now();
        let Rejects { roll, max, stall } = &shared.rejects;
        let mut roll = roll.lock();
        if roll.here.len() >= *max {
            // The HTTP stack may never ask for the rest of a body whose client takes nothing.
            while let Some(first) = roll.here.first_entry() {
                if now.saturating_duration_since(*first.get()) < *stall {
                    break;
                }
                first.remove();
            }
        }
        if roll.here.len() >= *max {
            return None;
        }
        let number = roll.total;
        roll.total += 1;
        roll.here.insert(number, now);
        drop(roll);
        Some(Self { shared: shared.clone(), number })
    }
}

impl Roll {
    fn holds_up(&self, before: u64) -> bool {
        self.here.first_key_value().is_some_and(|(&first, _)| first < before)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut roll = self.shared.rejects.roll.lock();
        roll.here.remove(&self.number);
        let waiting = std::mem::take(&mut roll.waiting).into_iter();
        let (waiting, ready): (_, Vec<_>) = waiting.partition(|(before, _)| roll.holds_up(*before));
        roll.waiting = waiting;
        drop(roll);
        ready.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl fmt::Debug for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roll").field("total", &self.total).field("here", &self.here.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("number", &self.number).finish_non_exhaustive()
    }
}
