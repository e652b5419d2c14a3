use std::sync::{Arc, Weak};

use crate::hub::budget::rank::{CLASSES, Rank};
use crate::hub::budget::slots::{List, Slots};
use crate::hub::holds::count_steps;
use crate::hub::sync::{Count, Leaf};

/// The base-two logarithm of the smallest class's lower bound.
const SMALLEST: u32 = 9;
/// Share of the listed bytes, an eighth, above which new topics are evicted before all others. A flood whose events have
/// many sizes would else be spread over many classes, each smaller than one class of topics in use.
const NEW_SHARE: u64 = 8;

/// The place that a log is filed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileAt {
    /// Last in the list of its size class.
    Last,
    /// First there: it is the next of the list to give way.
    First,
    /// First in the list of the class that it was filed under before, which it is too small for by now: it gave way, and
    /// goes on until nothing is left of it.
    Stays,
}

/// The logs in memory, each in a slot of its own. Those that hold events are listed by size class and rank, the one that
/// was filed least recently first.
///
/// A log is filed anew when it has begun a segment or an event has evicted one, when the last subscription ends of one that
/// was filed as followed, and when it has an event long after that. Its filed size is behind by at most a segment. Everything
/// here takes constant time. The lock is the last one that is taken.
#[derive(Debug)]
pub(crate) struct LogsBySize<L> {
    slots: Leaf<Slots<L>>,
    /// Number of topics that are listed.
    topics: Count,
}

impl<L> Default for LogsBySize<L> {
    fn default() -> Self {
        Self { slots: Leaf::default(), topics: Count::default() }
    }
}

impl<L> LogsBySize<L> {
    /// Returns a slot for a log.
    pub(crate) fn add(&self, log: Weak<L>) -> u32 {
        self.slots.lock().add(log)
    }

    /// Frees the slot of a log that is not listed by size.
    pub(crate) fn remove(&self, number: u32) {
        let log = self.slots.lock().remove(number);
        drop(log);
    }

    /// Puts a log last among those with something in memory that retention does not promise, if it is not among them.
    /// Only under the log's lock.
    pub(crate) fn offer(&self, number: u32) {
        self.slots.lock().offer(number);
    }

    /// Takes the first log out of these.
    pub(crate) fn take_offered(&self) -> Option<Arc<L>> {
        self.slots.lock().take_offered()
    }

    /// Returns the number of these.
    pub(crate) fn offers(&self) -> usize {
        self.slots.lock().offers
    }

    /// Files a log that was filed with `old` bytes under `new`. 0 bytes: it is not listed. Only under the log's lock.
    pub(crate) fn file(&self, number: u32, rank: Rank, old: u64, new: u64, place: FileAt) {
        let mut slots = self.slots.lock();
        let before = slots.unlink(number, old);
        if new > 0 {
            let class = before.filter(|_| place == FileAt::Stays).unwrap_or_else(|| class(new));
            slots.link(number, class, rank, new, place != FileAt::Last);
        }
        drop(slots);
        match (before.is_some(), new > 0, rank) {
            (_, _, Rank::Pattern) | (true, true, _) | (false, false, _) => {}
            (false, true, _) => self.topics.add(1),
            (true, false, _) => self.topics.sub(1),
        }
    }

    /// Returns how many topics hold events.
    pub(crate) fn topics(&self) -> u64 {
        self.topics.load()
    }

    /// Returns the next log to evict: in the class with the most weighted bytes the least recently filed topic without a
    /// subscription, else the least recently filed log of the lowest rank. If new topics hold more than their share of all
    /// bytes, whatever their sizes, it is the least recently filed one of the class with the most bytes of new topics.
    pub(crate) fn largest(&self) -> Option<Arc<L>> {
        let slots = self.slots.lock();
        let new = |class: &&[List; 4]| class[Rank::New as usize].bytes;
        let all: u64 = slots.lists.iter().flatten().map(|list| list.bytes).sum();
        if slots.lists.iter().map(|class| new(&class)).sum::<u64>() > all / NEW_SHARE {
            let class = slots.lists.iter().max_by_key(new)?;
            if let Some(log) = slots.first_of(class, Rank::New) {
                return Some(log);
            }
        }
        let weighted = |class: &&[List; 4]| {
            Rank::ALL.iter().zip(*class).map(|(rank, list)| list.bytes * rank.weight()).sum::<u64>()
        };
        let class = slots.lists.iter().max_by_key(weighted)?;
        let used = || Rank::USED.into_iter().find_map(|rank| slots.first_of(class, rank));
        slots.oldest_unused(class).or_else(used)
    }

    /// Returns whether no topic is of a higher class than one with so many bytes.
    pub(crate) fn is_of_highest_class(&self, bytes: u64) -> bool {
        let slots = self.slots.lock();
        let held = |class: &[List; 4]| Rank::TOPICS.iter().map(|&rank| class[rank as usize].bytes).sum::<u64>();
        // A class that holds less than one topic of it has only the rest of one that gave way.
        slots.lists.iter().zip(SMALLEST..).skip(class(bytes) + 1).all(|(class, bound)| held(class) < 1 << bound)
    }

    /// Returns the topic that gives way to a new one: of the lowest rank that there is, in the class that has the most
    /// bytes of it, the one that was filed least recently.
    pub(crate) fn oldest_topic(&self) -> Option<Arc<L>> {
        let slots = self.slots.lock();
        Rank::TOPICS.iter().find_map(|&rank| {
            let class = slots.lists.iter().max_by_key(|class| class[rank as usize].bytes)?;
            slots.first_of(class, rank)
        })
    }

    /// Adds the logs in these slots.
    pub(crate) fn find(&self, numbers: impl Iterator<Item = u32>, logs: &mut Vec<Arc<L>>) {
        let slots = self.slots.lock();
        for number in numbers {
            count_steps(1);
            logs.extend(slots.log(number));
        }
    }

    /// Returns the logs in at most `most` slots from `at` on, and the number of the next slot; `None` after the last.
    pub(crate) fn walk(&self, at: u32, most: u32, logs: &mut Vec<Arc<L>>, wanted: usize) -> Option<u32> {
        let slots = self.slots.lock();
        for number in at..slots.end().min(at.saturating_add(most)) {
            count_steps(1);
            logs.extend(slots.log(number));
            if logs.len() == wanted {
                return Some(number + 1).filter(|&next| next < slots.end());
            }
        }
        at.checked_add(most).filter(|&next| next < slots.end())
    }
}

/// Returns the size class of so many bytes, of which there is at least one.
fn class(bytes: u64) -> usize {
    (bytes.ilog2().saturating_sub(SMALLEST) as usize).min(CLASSES - 1)
}
