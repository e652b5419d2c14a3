use std::sync::{Arc, Weak};

use crate::hub::budget::rank::{CLASSES, Rank};
use crate::hub::budget::slots::{List, Slots};
use crate::hub::holds::count_steps;
use crate::hub::sync::{Count, Leaf};

/// Base-two logarithm of the lower bound of the smallest class.
const SMALLEST: u32 = 9;
/// Share of the listed bytes, an eighth, above which new topics are evicted before all others. Otherwise a flood of
/// events of many sizes would be spread over many classes, each smaller than one class of topics in use.
const NEW_SHARE: u64 = 8;

/// Place in its list at which a log is filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileAt {
    /// Last in the list of its size class.
    Last,
    /// First in that list: the next log to be evicted.
    First,
    /// First in the list of its previous class, although it holds less by now: it is evicted until it is empty.
    Stays,
}

/// Logs in memory, each in its own slot. Those that hold events are listed by size class and rank, the least recently
/// filed log first.
///
/// A log is filed again when it has begun a segment or an event has evicted one, when the last subscription of a log
/// that was filed as followed ends, and when it has an event long after that. Its filed size is out of date by at most
/// a segment. Every operation takes constant time. The lock is the last one that is taken.
#[derive(Debug)]
pub(crate) struct LogsBySize<L> {
    slots: Leaf<Slots<L>>,
    /// Number of listed topics.
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

    /// Offers a log for eviction before history: it has something in memory that retention does not promise. Called
    /// under the log's lock.
    pub(crate) fn offer(&self, number: u32) {
        self.slots.lock().offer(number);
    }

    /// Takes the log that was offered first.
    pub(crate) fn take_offered(&self) -> Option<Arc<L>> {
        self.slots.lock().take_offered()
    }

    /// Returns the number of offered logs.
    pub(crate) fn offers(&self) -> usize {
        self.slots.lock().offers
    }

    /// Files a log that was filed with `old` bytes under `new`. A log of 0 bytes is not listed. Called under the log's
    /// lock.
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

    /// Returns the number of topics that hold events.
    pub(crate) fn topics(&self) -> u64 {
        self.topics.load()
    }

    /// Returns the next log to evict: from the class with the most weighted bytes the least recently filed topic
    /// without a subscription, otherwise the least recently filed log of the lowest rank. If new topics hold more than
    /// their share of all bytes, it is the least recently filed one of the class with the most bytes of new topics.
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

    /// Returns whether no topic is of a higher class than a topic of this size.
    pub(crate) fn is_of_highest_class(&self, bytes: u64) -> bool {
        let slots = self.slots.lock();
        let held = |class: &[List; 4]| Rank::TOPICS.iter().map(|&rank| class[rank as usize].bytes).sum::<u64>();
        // A class that holds less than one topic of it has only the rest of one that is being evicted.
        slots.lists.iter().zip(SMALLEST..).skip(class(bytes) + 1).all(|(class, bound)| held(class) < 1 << bound)
    }

    /// Returns the topic that is evicted in favour of a new one: of the lowest rank in use, and of the class with the
    /// most bytes of that rank, the least recently filed topic.
    pub(crate) fn oldest_topic(&self) -> Option<Arc<L>> {
        let slots = self.slots.lock();
        Rank::TOPICS.iter().find_map(|&rank| {
            let class = slots.lists.iter().max_by_key(|class| class[rank as usize].bytes)?;
            slots.first_of(class, rank)
        })
    }

    /// Adds the logs in these slots to `logs`.
    pub(crate) fn find(&self, numbers: impl Iterator<Item = u32>, logs: &mut Vec<Arc<L>>) {
        let slots = self.slots.lock();
        for number in numbers {
            count_steps(1);
            logs.extend(slots.log(number));
        }
    }

    /// Adds the logs in at most `most` slots from `at` on, until there are `wanted` logs. Returns the number of the
    /// next slot; `None` after the last.
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

/// Returns the size class of a number of bytes, at least 1.
fn class(bytes: u64) -> usize {
    (bytes.ilog2().saturating_sub(SMALLEST) as usize).min(CLASSES - 1)
}
