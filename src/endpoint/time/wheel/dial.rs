use std::task::Waker;

use super::entries::{Entries, Entry, NOWHERE};

/// No tick: nothing is due.
pub(super) const NEVER: u64 = u64::MAX;
/// The last tick that a dial knows.
pub(super) const LAST: u64 = (1 << (DIGIT * LEVELS as u32)) - 1;
/// How many entries one look at the dial touches at most, and so for how long a lock is held.
pub(super) const ROUND: usize = 64;

/// Bits of a tick that one level tells apart.
const DIGIT: u32 = 6;
const LEVELS: usize = 7;
const SLOTS: usize = 1 << DIGIT;
/// Marks an entry's `back` as the number of the slot whose list it leads.
const SLOT: u32 = 1 << 31;

/// When each entry is due: a hierarchical timing wheel (Varghese and Lauck, 1987), whose levels are the digits of a tick.
///
/// An entry is filed by the first digit in which its tick differs from the dial's own: what is near by its tick, what
/// is far by a range of ticks, in a list that is dealt out to the levels below when the dial gets there. So it is filed
/// in constant time, and dealt out once a level at most. What a lower level has is due before what a higher one has, and
/// the slots of a level are due in order, each with a digit past the dial's own.
pub(super) struct Dial {
    /// The dial's own tick. All before it is over.
    at: u64,
    /// A bit for each slot that has entries.
    filled: [u64; LEVELS],
    heads: [u32; SLOTS * LEVELS],
    /// The slot that a round left half dealt out.
    dealt: Option<usize>,
    entries: Entries,
}

impl Dial {
    pub(super) fn new() -> Self {
        Self { at: 0, filled: [0; LEVELS], heads: [NOWHERE; SLOTS * LEVELS], dealt: None, entries: Entries::default() }
    }

    /// Files an entry. Its place is the caller's until it is removed or was due.
    pub(super) fn insert(&mut self, tick: u64, waker: Waker) -> u32 {
        let slot = self.slot(tick);
        let next = self.heads[slot];
        let place = self.entries.insert(Entry { tick, next, back: SLOT | slot as u32, waker });
        self.lead(slot, place, next);
        place
    }

    /// Files an entry anew, for another waker; the one it had.
    pub(super) fn replace(&mut self, place: u32, tick: u64, waker: Waker) -> Option<Waker> {
        self.move_to(place, tick);
        self.entries.get_mut(place).map(|entry| std::mem::replace(&mut entry.waker, waker))
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, place: u32) -> Option<Waker> {
        let Entry { next, back, waker, .. } = self.entries.remove(place)?;
        self.close(next, back);
        Some(waker)
    }

    /// Moves on to `now`, or a round of entries towards it. What is due goes to `due`. Whether it got there.
    pub(super) fn turn(&mut self, now: u64, due: &mut Vec<Waker>) -> bool {
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

    /// The tick to turn to next: the first that is due, or one before it from which on that can be told.
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

    /// The first slot whose time has come, while it has entries: the dial stays there until they are dealt out.
    fn reached(&mut self, now: u64) -> Option<usize> {
        let left = self.dealt.take().filter(|&slot| self.heads[slot] != NOWHERE);
        self.dealt = left.or_else(|| {
            let (slot, start) = self.first().filter(|&(_, start)| start <= now)?;
            self.at = start;
            Some(slot)
        });
        self.dealt
    }

    /// The first slot that has entries, and the first tick of those that it is for.
    fn first(&self) -> Option<(usize, u64)> {
        let level = self.filled.iter().position(|&filled| filled != 0)?;
        let digit = self.filled[level].trailing_zeros();
        let shift = DIGIT * level as u32;
        let above = self.at >> (shift + DIGIT) << (shift + DIGIT);
        Some((level * SLOTS + digit as usize, above | u64::from(digit) << shift))
    }

    /// Returns the slot of an entry.
    fn slot(&self, tick: u64) -> usize {
        // What is late is due in the dial's own slot, which is otherwise empty and the first.
        let tick = tick.max(self.at);
        let differs = (tick ^ self.at) | (SLOTS as u64 - 1);
        let level = differs.ilog2() / DIGIT;
        let digit = (tick >> (level * DIGIT)) as usize % SLOTS;
        level as usize * SLOTS + digit
    }

    /// Files an entry anew.
    fn move_to(&mut self, place: u32, tick: u64) {
        let Some(&mut Entry { next, back, .. }) = self.entries.get_mut(place) else { return };
        self.close(next, back);
        let slot = self.slot(tick);
        let next = self.heads[slot];
        if let Some(entry) = self.entries.get_mut(place) {
            (entry.tick, entry.next, entry.back) = (tick, next, SLOT | slot as u32);
        }
        self.lead(slot, place, next);
    }

    /// Puts an entry before `next`, which led the slot's list.
    fn lead(&mut self, slot: usize, place: u32, next: u32) {
        self.heads[slot] = place;
        self.filled[slot / SLOTS] |= 1 << (slot % SLOTS);
        if let Some(next) = self.entries.get_mut(next) {
            next.back = place;
        }
    }

    /// Makes neighbours of what was on both sides of an entry.
    fn close(&mut self, next: u32, back: u32) {
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
