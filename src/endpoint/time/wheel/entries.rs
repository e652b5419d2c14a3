use std::task::Waker;

/// The place of no entry.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Number of pages for each word of bits.
const WORD: usize = 64;
/// Number of places in a page. A page has half a kilobyte.
const PAGE: usize = 16;
/// Number of empty pages that are kept, so that entries come and go without allocations.
const SPARE: usize = 16;

/// Entry of an alarm that is set, in the list of a slot.
pub(super) struct Entry {
    pub(super) tick: u64,
    /// The entry behind it, or [`NOWHERE`].
    pub(super) next: u32,
    /// The entry before it, or a slot.
    pub(super) back: u32,
    pub(super) waker: Waker,
}

/// Entries of a dial, in pages. An entry stays at its place.
///
/// A new entry goes to the lowest page that has room, and an empty page is freed. So the memory of many alarms is freed
/// when they are gone.
#[derive(Default)]
pub(super) struct Entries {
    pages: Vec<Option<Box<Page>>>,
    /// Bits of the pages that have room, allocated or not.
    room: Vec<u64>,
    /// First page that has room, or the number of pages if none has.
    lowest: usize,
    /// Number of pages that are allocated and empty.
    spare: usize,
}

#[derive(Default)]
struct Page {
    /// Bits of the places that are taken.
    taken: u16,
    entries: [Option<Entry>; PAGE],
}

impl Entries {
    pub(super) fn get(&self, place: u32) -> Option<&Entry> {
        let (page, index) = split(place);
        self.pages.get(page)?.as_ref()?.entries[index].as_ref()
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Entry> {
        let (page, index) = split(place);
        self.pages.get_mut(page)?.as_mut()?.entries[index].as_mut()
    }

    /// Adds an entry. Returns its place.
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let number = self.lowest;
        if number == self.pages.len() {
            self.room.push(u64::MAX);
            self.pages.resize_with(number + WORD, || None);
        }
        let page = match &mut self.pages[number] {
            Some(page) => {
                self.spare -= usize::from(page.taken == 0);
                page
            }
            none => none.insert(Box::default()),
        };
        let index = page.taken.trailing_ones() as usize;
        page.taken |= 1 << index;
        let is_full = page.taken == u16::MAX;
        page.entries[index] = Some(entry);
        if is_full {
            self.fill(number);
        }
        (number * PAGE + index) as u32
    }

    /// Removes and returns the entry at this place, which is free then.
    pub(super) fn remove(&mut self, place: u32) -> Option<Entry> {
        let (number, index) = split(place);
        let page = self.pages.get_mut(number)?.as_mut()?;
        let entry = page.entries[index].take()?;
        page.taken &= !(1 << index);
        if page.taken == 0 {
            if self.spare < SPARE {
                self.spare += 1;
            } else {
                self.pages[number] = None;
            }
        }
        self.room[number / WORD] |= 1 << (number % WORD);
        self.lowest = self.lowest.min(number);
        Some(entry)
    }

    /// Clones the wakers in the pages from `page` on that have places for `max` entries. Returns the page after them, if
    /// there is one.
    pub(super) fn wakers(&self, page: usize, max: usize, into: &mut Vec<Waker>) -> Option<usize> {
        let end = (page + max / PAGE).min(self.pages.len());
        let entries = self.pages.get(page..end)?.iter().flatten().flat_map(|page| page.entries.iter().flatten());
        into.extend(entries.map(|entry| entry.waker.clone()));
        Some(end).filter(|&end| end < self.pages.len())
    }

    /// Notes that the lowest page is full.
    fn fill(&mut self, number: usize) {
        let mut word = number / WORD;
        self.room[word] &= !(1 << (number % WORD));
        while self.room.get(word) == Some(&0) {
            word += 1;
        }
        self.lowest = word * WORD + self.room.get(word).map_or(0, |room| room.trailing_zeros() as usize);
    }
}

/// The page, and the place in it.
fn split(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / PAGE, place % PAGE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(tick: u64) -> Entry {
        Entry { tick, next: NOWHERE, back: NOWHERE, waker: Waker::noop().clone() }
    }

    proptest! {
        #[test]
        fn entries_have_distinct_places_and_removed_groups_free_their_memory(
            groups in prop::collection::vec((0..3_000_usize, any::<u64>()), 1..6),
        ) {
            let (mut entries, mut places) = (Entries::default(), Vec::new());
            let mut ticks = 0..;
            for (group, seed) in groups {
                places.extend(ticks.by_ref().take(group).map(|tick| (tick, entries.insert(entry(tick)))));
                let most = places.len();
                for &(tick, place) in &places {
                    prop_assert_eq!(entries.get(place).map(|entry| entry.tick), Some(tick));
                }
                // All but a few leave, in any order.
                fastrand::Rng::with_seed(seed).shuffle(&mut places);
                for (tick, place) in places.drain(seed as usize % 8.min(most + 1)..) {
                    prop_assert_eq!(entries.remove(place).map(|entry| entry.tick), Some(tick));
                    prop_assert!(entries.remove(place).is_none());
                }
                let pages = entries.pages.iter().flatten().count();
                prop_assert!(pages <= places.len() + SPARE);
            }
        }
    }
}
