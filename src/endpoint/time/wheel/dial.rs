use std::task::Waker;

use super::entries::{Entries, Entry, NOWHERE};

/// The tick of an alarm that is not set.
pub(super) const NEVER: u64 = u64::MAX;
/// Last tick of a dial.
pub(super) const LAST: u64 = (1 << (DIGIT * LEVELS as u32)) - 1;
/// Number of entries that one hold of the lock visits at most.
pub(super) const ROUND: usize = 64;

/// Number of bits of a tick for each level.
const DIGIT: u32 = 6;
const LEVELS: usize = 7;
const SLOTS: usize = 1 << DIGIT;
/// Bit that marks `back` of the first entry of a slot's list, beside the slot's number.
const SLOT: u32 = 1 << 31;

/// Hierarchical timing wheel (Varghese and Lauck, 1987). Its levels are the digits of a tick.
///
/// An entry is filed by the first digit in which its tick differs from the dial's own. A near entry is in the slot of its
/// tick. A far entry is in the slot of a range of ticks, and moves to a lower level when the dial reaches that range. So
/// filing takes constant time, and an entry moves at most once for each level. Entries of a lower level are due before
/// those of a higher one. The slots of a level are due in order.
pub(super) struct Dial {
    /// The dial's own tick. Earlier ticks are over.
    at: u64,
    /// Bits of the slots that have entries.
    filled: [u64; LEVELS],
    heads: [u32; SLOTS * LEVELS],
    /// Slot whose entries were not all moved by the last round.
    unfinished: Option<usize>,
    entries: Entries,
}

impl Dial {
    pub(super) fn new() -> Self {
        Self {
            at: 0,
            filled: [0; LEVELS],
            heads: [NOWHERE; SLOTS * LEVELS],
            unfinished: None,
            entries: Entries::default(),
        }
    }

    /// Adds an entry. Returns its place, which is the caller's until the entry is removed or due.
    pub(super) fn insert(&mut self, tick: u64, waker: Waker) -> u32 {
        let slot = self.slot(tick);
        let next = self.heads[slot];
        let place = self.entries.insert(Entry { tick, next, back: SLOT | slot as u32, waker });
        self.push_front(slot, place, next);
        place
    }

    /// Moves an entry to another tick, with another waker. Returns the old waker.
    pub(super) fn replace(&mut self, place: u32, tick: u64, waker: Waker) -> Option<Waker> {
        self.move_to(place, tick);
        self.entries.get_mut(place).map(|entry| std::mem::replace(&mut entry.waker, waker))
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, place: u32) -> Option<Waker> {
        let Entry { next, back, waker, .. } = self.entries.remove(place)?;
        self.unlink(next, back);
        Some(waker)
    }

    /// Advances to `now`, by at most one round of entries, and adds the wakers that are due to `due`. Returns whether `now` is
    /// reached.
    pub(super) fn advance(&mut self, now: u64, due: &mut Vec<Waker>) -> bool {
        for _ in 0..ROUND {
            let Some(slot) = self.reached(now) else {
                self.at = now;
                return true;
            };
            let place = self.heads[slot];
            match self.entries.get(place) {
                Some(entry) if entry.tick > now => self.move_to(place, entry.tick),
                _ => due.extend(self.remove(place)),
            }
        }
        false
    }

    /// Returns the tick to advance to next: that of the first entry, or an earlier one at which it can be determined.
    pub(super) fn next(&self) -> u64 {
        let Some((slot, start)) = self.first() else { return NEVER };
        let (mut place, mut tick) = (self.heads[slot], NEVER);
        for _ in 0..ROUND {
            let Some(entry) = self.entries.get(place) else { return tick };
            (place, tick) = (entry.next, tick.min(entry.tick));
        }
        start
    }

    /// Clones the wakers of a round of entries, in pages from `page` on. Returns the page after them, if there is one.
    pub(super) fn wakers(&self, page: usize, into: &mut Vec<Waker>) -> Option<usize> {
        self.entries.wakers(page, ROUND, into)
    }

    /// Returns the first slot whose ticks have begun, while it has entries. The dial stays there until they have moved.
    fn reached(&mut self, now: u64) -> Option<usize> {
        let left = self.unfinished.take().filter(|&slot| self.heads[slot] != NOWHERE);
        self.unfinished = left.or_else(|| {
            let (slot, start) = self.first().filter(|&(_, start)| start <= now)?;
            self.at = start;
            Some(slot)
        });
        self.unfinished
    }

    /// Returns the first slot that has entries, and its first tick.
    fn first(&self) -> Option<(usize, u64)> {
        let level = self.filled.iter().position(|&filled| filled != 0)?;
        let digit = self.filled[level].trailing_zeros();
        let shift = DIGIT * level as u32;
        let above = self.at >> (shift + DIGIT) << (shift + DIGIT);
        Some((level * SLOTS + digit as usize, above | u64::from(digit) << shift))
    }

    /// Returns the slot of an entry.
    fn slot(&self, tick: u64) -> usize {
        // A late entry is due in the dial's own slot, which is the first and otherwise empty.
        let tick = tick.max(self.at);
        let differs = (tick ^ self.at) | (SLOTS as u64 - 1);
        let level = differs.ilog2() / DIGIT;
        let digit = (tick >> (level * DIGIT)) as usize % SLOTS;
        level as usize * SLOTS + digit
    }

    /// Moves an entry to another tick.
    fn move_to(&mut self, place: u32, tick: u64) {
        let Some(&mut Entry { next, back, .. }) = self.entries.get_mut(place) else { return };
        self.unlink(next, back);
        let slot = self.slot(tick);
        let next = self.heads[slot];
        if let Some(entry) = self.entries.get_mut(place) {
            (entry.tick, entry.next, entry.back) = (tick, next, SLOT | slot as u32);
        }
        self.push_front(slot, place, next);
    }

    /// Puts an entry before `next`, which was the first of the slot's list.
    fn push_front(&mut self, slot: usize, place: u32, next: u32) {
        self.heads[slot] = place;
        self.filled[slot / SLOTS] |= 1 << (slot % SLOTS);
        if let Some(next) = self.entries.get_mut(next) {
            next.back = place;
        }
    }

    /// Links the neighbours of an entry that is removed.
    fn unlink(&mut self, next: u32, back: u32) {
        if let Some(next) = self.entries.get_mut(next) {
            next.back = back;
        }
        if let Some(back) = self.entries.get_mut(back) {
            back.next = next;
            return;
        }
        let slot = (back & !SLOT) as usize;
        self.heads[slot] = next;
        if next == NOWHERE {
            self.filled[slot / SLOTS] &= !(1 << (slot % SLOTS));
        }
    }
}
