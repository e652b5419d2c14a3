use std::sync::{Arc, Weak};

use crate::hub::holds::visit;
use crate::hub::log::Log;
use crate::hub::sync::{Count, Leaf};

/// Number of slots that are allocated at once, so that growth moves no slot.
const CHUNK: usize = 256;
/// Number of size classes: up to 1 KiB, then one for each doubling.
const CLASSES: usize = 24;
/// The base-two logarithm of the smallest class's lower bound.
const SMALLEST: u32 = 9;
/// Share of the listed bytes, an eighth, above which new topics are evicted before all others. A flood whose events have
/// many sizes would else be spread over many classes, each smaller than one class of topics in use.
const NEW_SHARE: u64 = 8;
/// No slot.
const NONE: u32 = u32::MAX;

/// The use that is made of a log, in the order in which logs of one size class give way: of the first two the one that was
/// filed less recently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// A topic that has begun one segment and has no subscription.
    New,
    /// A topic that has begun several segments and has no subscription.
    Idle,
    /// The log of a pattern, whose events are in the logs of their topics too.
    Pattern,
    /// A topic with subscriptions.
    Followed,
}

impl Rank {
    const ALL: [Self; 4] = [Self::New, Self::Idle, Self::Pattern, Self::Followed];
    const TOPICS: [Self; 3] = [Self::New, Self::Idle, Self::Followed];
    const UNUSED: [Self; 2] = [Self::New, Self::Idle];
    const USED: [Self; 2] = [Self::Pattern, Self::Followed];

    /// Returns how often the bytes of such a log count in the comparison of the classes.
    const fn weight(self) -> u64 {
        match self {
            Self::New => 4,
            Self::Idle => 2,
            Self::Pattern | Self::Followed => 1,
        }
    }
}

/// The place that a log is filed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
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
/// A log is filed anew when it begins a segment, when the last subscription ends of one that was filed as followed, and
/// when it has an event long after that. Its filed size is behind by at most a segment. Everything here takes constant time. The lock is
/// the last one that is taken.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    slots: Leaf<Slots>,
    /// Number of topics that are listed.
    topics: Count,
}

#[derive(Debug, Default)]
struct Slots {
    chunks: Vec<Vec<Slot>>,
    len: u32,
    free: Link,
    /// How often a log was filed last in a list. Wraps around.
    filings: u32,
    lists: [[List; Rank::ALL.len()]; CLASSES],
}

#[derive(Debug)]
struct Slot {
    /// The log. Dangling in a free slot.
    log: Weak<Log>,
    before: u32,
    /// The next slot of the list, or the next free one.
    after: u32,
    /// The number of the filing that put the log last in a list.
    filed: u32,
    listed: Option<(u8, Rank)>,
}

/// A slot's number, or [`NONE`].
#[derive(Debug, Clone, Copy)]
struct Link(u32);

impl Default for Link {
    fn default() -> Self {
        Self(NONE)
    }
}

#[derive(Debug, Default)]
struct List {
    first: Link,
    last: Link,
    bytes: u64,
}

impl Sizes {
    /// Returns a slot for a log.
    pub(super) fn add(&self, log: Weak<Log>) -> u32 {
        let fresh = Slot { log, before: NONE, after: NONE, filed: 0, listed: None };
        let mut slots = self.slots.lock();
        let free = slots.free.0;
        if let Some(slot) = slots.slot(free) {
            let next = slot.after;
            *slot = fresh;
            slots.free = Link(next);
            return free;
        }
        match slots.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(fresh),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(fresh);
                slots.chunks.push(chunk);
            }
        }
        slots.len += 1;
        slots.len - 1
    }

    /// Frees the slot of a log that is not listed.
    pub(super) fn remove(&self, number: u32) {
        let mut slots = self.slots.lock();
        let next = slots.free.0;
        let Some(slot) = slots.slot(number) else {
            return;
        };
        slot.after = next;
        let log = std::mem::take(&mut slot.log);
        slots.free = Link(number);
        drop(slots);
        drop(log);
    }

    /// Files a log that was filed with `old` bytes under `new`. 0 bytes: it is not listed. Only under the log's lock.
    pub(super) fn file(&self, number: u32, rank: Rank, old: u64, new: u64, place: Place) {
        let mut slots = self.slots.lock();
        let before = slots.unlink(number, old);
        if new > 0 {
            let class = before.filter(|_| place == Place::Stays).unwrap_or_else(|| class(new));
            slots.link(number, class, rank, new, place != Place::Last);
        }
        drop(slots);
        match (before.is_some(), new > 0, rank) {
            (_, _, Rank::Pattern) | (true, true, _) | (false, false, _) => {}
            (false, true, _) => self.topics.add(1),
            (true, false, _) => self.topics.sub(1),
        }
    }

    /// Returns how many topics hold events.
    pub(super) fn topics(&self) -> u64 {
        self.topics.load()
    }

    /// Returns the next log to evict: in the class with the most weighted bytes the least recently filed topic without a
    /// subscription, else the least recently filed log of the lowest rank. If new topics hold more than their share of all
    /// bytes, whatever their sizes, it is the least recently filed one of the class with the most bytes of new topics.
    pub(super) fn largest(&self) -> Option<Arc<Log>> {
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
    pub(super) fn is_of_highest_class(&self, bytes: u64) -> bool {
        let slots = self.slots.lock();
        let held = |class: &[List; 4]| Rank::TOPICS.iter().map(|&rank| class[rank as usize].bytes).sum::<u64>();
        // A class that holds less than one topic of it has only the rest of one that gave way.
        slots.lists.iter().zip(SMALLEST..).skip(class(bytes) + 1).all(|(class, bound)| held(class) < 1 << bound)
    }

    /// Returns the topic that gives way to a new one: of the lowest rank that there is, in the class that has the most
    /// bytes of it, the one that was filed least recently.
    pub(super) fn oldest_topic(&self) -> Option<Arc<Log>> {
        let slots = self.slots.lock();
        Rank::TOPICS.iter().find_map(|&rank| {
            let class = slots.lists.iter().max_by_key(|class| class[rank as usize].bytes)?;
            slots.first_of(class, rank)
        })
    }

    /// Adds the logs in these slots.
    pub(super) fn find(&self, numbers: impl Iterator<Item = u32>, logs: &mut Vec<Arc<Log>>) {
        let slots = self.slots.lock();
        for number in numbers {
            visit(1);
            logs.extend(slots.get(number).and_then(|slot| slot.log.upgrade()));
        }
    }

    /// Returns the logs in at most `most` slots from `at` on, and the number of the next slot; `None` after the last.
    pub(super) fn walk(&self, at: u32, most: u32, logs: &mut Vec<Arc<Log>>, wanted: usize) -> Option<u32> {
        let slots = self.slots.lock();
        for number in at..slots.len.min(at.saturating_add(most)) {
            visit(1);
            logs.extend(slots.get(number).and_then(|slot| slot.log.upgrade()));
            if logs.len() == wanted {
                return Some(number + 1).filter(|&next| next < slots.len);
            }
        }
        at.checked_add(most).filter(|&next| next < slots.len)
    }
}

impl Slots {
    fn get(&self, number: u32) -> Option<&Slot> {
        self.chunks.get(number as usize / CHUNK)?.get(number as usize % CHUNK)
    }

    fn slot(&mut self, number: u32) -> Option<&mut Slot> {
        self.chunks.get_mut(number as usize / CHUNK)?.get_mut(number as usize % CHUNK)
    }

    fn first_of(&self, class: &[List; Rank::ALL.len()], rank: Rank) -> Option<Arc<Log>> {
        self.get(class[rank as usize].first.0)?.log.upgrade()
    }

    /// Returns the topic of a class that was filed least recently, of those without a subscription.
    fn oldest_unused(&self, class: &[List; Rank::ALL.len()]) -> Option<Arc<Log>> {
        let firsts = Rank::UNUSED.iter().filter_map(|&rank| self.get(class[rank as usize].first.0));
        firsts.max_by_key(|slot| self.filings.wrapping_sub(slot.filed))?.log.upgrade()
    }

    /// Takes a log out of its list. Returns the class of the list; `None` if it was in none.
    fn unlink(&mut self, number: u32, bytes: u64) -> Option<usize> {
        let slot = self.slot(number)?;
        let (before, after) = (slot.before, slot.after);
        let (class, rank) = slot.listed.take()?;
        let list = &mut self.lists[usize::from(class)][rank as usize];
        list.bytes -= bytes;
        if list.first.0 == number {
            list.first.0 = after;
        }
        if list.last.0 == number {
            list.last.0 = before;
        }
        self.slot(before).into_iter().for_each(|slot| slot.after = after);
        self.slot(after).into_iter().for_each(|slot| slot.before = before);
        Some(class.into())
    }

    fn link(&mut self, number: u32, class: usize, rank: Rank, bytes: u64, is_first: bool) {
        let list = &mut self.lists[class][rank as usize];
        list.bytes += bytes;
        let (before, after) = if is_first { (NONE, list.first.0) } else { (list.last.0, NONE) };
        if before == NONE {
            list.first.0 = number;
        }
        if after == NONE {
            list.last.0 = number;
        }
        self.slot(before).into_iter().for_each(|slot| slot.after = number);
        self.slot(after).into_iter().for_each(|slot| slot.before = number);
        self.filings = self.filings.wrapping_add(u32::from(!is_first));
        let filings = self.filings;
        if let Some(slot) = self.slot(number) {
            (slot.before, slot.after, slot.listed) = (before, after, Some((class as u8, rank)));
            slot.filed = if is_first { slot.filed } else { filings };
        }
    }
}

/// Returns the size class of so many bytes, of which there is at least one.
fn class(bytes: u64) -> usize {
    (bytes.ilog2().saturating_sub(SMALLEST) as usize).min(CLASSES - 1)
}
