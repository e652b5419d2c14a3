use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use crate::hub::budget::rank::{CLASSES, Rank};

/// Number of slots that are allocated at once, so that growth moves no slot.
const CHUNK: usize = 256;
/// Largest number of empty chunks at the end that are removed when a slot becomes free.
const REMOVED: usize = 2;
/// Number that is no slot.
const NONE: u32 = u32::MAX;

/// Slots of logs, and the lists through them. Every operation takes constant time, or time that grows with the
/// logarithm of the number of chunks.
#[derive(Debug)]
pub(crate) struct Slots<L> {
    chunks: Vec<Chunk<L>>,
    /// Chunks with a free slot. The lowest one is filled first, so that others become empty and are freed.
    open: BTreeSet<u32>,
    /// Number of times that a log was filed last in a list. Wraps around.
    filings: u32,
    pub(crate) lists: [[List; Rank::ALL.len()]; CLASSES],
    /// Logs that are evicted before history is.
    offered: Chain,
    pub(crate) offers: usize,
}

/// Consecutive slots, allocated while one of them is in use.
#[derive(Debug)]
struct Chunk<L> {
    slots: Vec<Slot<L>>,
    /// First free slot of the chunk.
    free: SlotLink,
    used: usize,
}

#[derive(Debug)]
struct Slot<L> {
    /// Log in the slot. Dangling in a free slot.
    log: Weak<L>,
    /// Neighbours in the list of a size class. In a free slot, `after` is the next free slot.
    filed: Neighbours,
    offered: Neighbours,
    /// Number of the filing that put the log last in a list.
    filing: u32,
    listed: Option<(u8, Rank)>,
    is_offered: bool,
}

#[derive(Debug, Clone, Copy)]
struct Neighbours {
    before: u32,
    after: u32,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self { before: NONE, after: NONE }
    }
}

/// Number of a slot, or [`NONE`].
#[derive(Debug, Clone, Copy)]
struct SlotLink(u32);

impl Default for SlotLink {
    fn default() -> Self {
        Self(NONE)
    }
}

/// Ends of a list.
#[derive(Debug, Default)]
struct Chain {
    first: SlotLink,
    last: SlotLink,
}

#[derive(Debug, Default)]
pub(crate) struct List {
    chain: Chain,
    pub(crate) bytes: u64,
}

/// Accessor of the links of one list.
type Links<L> = fn(&mut Slot<L>) -> &mut Neighbours;

impl<L> Default for Slots<L> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            open: BTreeSet::new(),
            filings: 0,
            lists: Default::default(),
            offered: Chain::default(),
            offers: 0,
        }
    }
}

impl<L> Default for Chunk<L> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: SlotLink::default(), used: 0 }
    }
}

impl<L> Slots<L> {
    /// Returns a slot for a log.
    pub(crate) fn add(&mut self, log: Weak<L>) -> u32 {
        let number = self.open.first().copied().unwrap_or_else(|| {
            self.chunks.push(Chunk::default());
            self.open.insert(self.chunks.len() as u32 - 1);
            self.chunks.len() as u32 - 1
        });
        let chunk = &mut self.chunks[number as usize];
        let fresh = Slot {
            log,
            filed: Neighbours::default(),
            offered: Neighbours::default(),
            filing: 0,
            listed: None,
            is_offered: false,
        };
        let free = chunk.free.0;
        let place = match chunk.slots.get_mut(free as usize % CHUNK).filter(|_| free != NONE) {
            Some(slot) => {
                chunk.free = SlotLink(slot.filed.after);
                *slot = fresh;
                free as usize % CHUNK
            }
            None => {
                chunk.slots.reserve_exact(if chunk.slots.is_empty() { CHUNK } else { 0 });
                chunk.slots.push(fresh);
                chunk.slots.len() - 1
            }
        };
        chunk.used += 1;
        if chunk.used == CHUNK {
            self.open.remove(&number);
        }
        number * CHUNK as u32 + place as u32
    }

    /// Frees a slot. Returns the log, which the caller drops outside of the lock.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Weak<L>> {
        self.withdraw_offer(number);
        let index = number / CHUNK as u32;
        let chunk = self.chunks.get_mut(index as usize)?;
        let slot = chunk.slots.get_mut(number as usize % CHUNK)?;
        let log = std::mem::take(&mut slot.log);
        slot.filed.after = chunk.free.0;
        chunk.free = SlotLink(number);
        chunk.used -= 1;
        if chunk.used == CHUNK - 1 {
            self.open.insert(index);
        }
        // The first chunk stays, for a hub that has few topics at a time.
        if chunk.used == 0 && index > 0 {
            *chunk = Chunk::default();
        }
        for _ in 0..REMOVED {
            let last = self.chunks.len() - 1;
            if last > 0 && self.chunks[last].used == 0 {
                self.chunks.pop();
                self.open.remove(&(last as u32));
            }
        }
        Some(log)
    }

    /// Returns the number after the last slot.
    pub(crate) fn end(&self) -> u32 {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.slots.len()) as u32
    }

    /// Returns the log in a slot.
    pub(crate) fn log(&self, number: u32) -> Option<Arc<L>> {
        self.get(number)?.log.upgrade()
    }

    fn get(&self, number: u32) -> Option<&Slot<L>> {
        self.chunks.get(number as usize / CHUNK)?.slots.get(number as usize % CHUNK)
    }

    fn slot(&mut self, number: u32) -> Option<&mut Slot<L>> {
        self.chunks.get_mut(number as usize / CHUNK)?.slots.get_mut(number as usize % CHUNK)
    }

    pub(crate) fn first_of(&self, class: &[List; Rank::ALL.len()], rank: Rank) -> Option<Arc<L>> {
        self.log(class[rank as usize].chain.first.0)
    }

    /// Returns the least recently filed topic of a class that has no subscription.
    pub(crate) fn oldest_unused(&self, class: &[List; Rank::ALL.len()]) -> Option<Arc<L>> {
        let firsts = Rank::UNUSED.iter().filter_map(|&rank| self.get(class[rank as usize].chain.first.0));
        firsts.max_by_key(|slot| self.filings.wrapping_sub(slot.filing))?.log.upgrade()
    }

    /// Removes a log from the list of its size class. Returns the class; `None` if it was in none.
    pub(crate) fn unlink(&mut self, number: u32, bytes: u64) -> Option<usize> {
        let (class, rank) = self.slot(number)?.listed.take()?;
        let list = &mut self.lists[usize::from(class)][rank as usize];
        list.bytes -= bytes;
        let chain = std::mem::take(&mut list.chain);
        self.lists[usize::from(class)][rank as usize].chain = self.unlink_from(chain, number, |slot| &mut slot.filed);
        Some(class.into())
    }

    pub(crate) fn link(&mut self, number: u32, class: usize, rank: Rank, bytes: u64, is_first: bool) {
        let list = &mut self.lists[class][rank as usize];
        list.bytes += bytes;
        let chain = std::mem::take(&mut list.chain);
        self.lists[class][rank as usize].chain = self.link_into(chain, number, is_first, |slot| &mut slot.filed);
        self.filings = self.filings.wrapping_add(u32::from(!is_first));
        let filings = self.filings;
        if let Some(slot) = self.slot(number) {
            slot.listed = Some((class as u8, rank));
            slot.filing = if is_first { slot.filing } else { filings };
        }
    }

    /// Offers a log for eviction before history, unless it is offered already.
    pub(crate) fn offer(&mut self, number: u32) {
        let Some(slot) = self.slot(number).filter(|slot| !slot.is_offered) else {
            return;
        };
        slot.is_offered = true;
        self.offers += 1;
        let chain = std::mem::take(&mut self.offered);
        self.offered = self.link_into(chain, number, false, |slot| &mut slot.offered);
    }

    /// Takes the log that was offered first.
    pub(crate) fn take_offered(&mut self) -> Option<Arc<L>> {
        let first = self.offered.first.0;
        self.withdraw_offer(first);
        self.log(first)
    }

    /// Removes a log from those that are offered.
    fn withdraw_offer(&mut self, number: u32) {
        let Some(slot) = self.slot(number).filter(|slot| slot.is_offered) else {
            return;
        };
        slot.is_offered = false;
        self.offers -= 1;
        let chain = std::mem::take(&mut self.offered);
        self.offered = self.unlink_from(chain, number, |slot| &mut slot.offered);
    }

    /// Removes a slot from a list.
    fn unlink_from(&mut self, mut chain: Chain, number: u32, links: Links<L>) -> Chain {
        let Some(Neighbours { before, after }) = self.slot(number).map(links).map(std::mem::take) else {
            return chain;
        };
        match self.slot(before) {
            Some(slot) => links(slot).after = after,
            None => chain.first.0 = after,
        }
        match self.slot(after) {
            Some(slot) => links(slot).before = before,
            None => chain.last.0 = before,
        }
        chain
    }

    /// Inserts a slot at the start or at the end of a list.
    fn link_into(&mut self, mut chain: Chain, number: u32, is_first: bool, links: Links<L>) -> Chain {
        let (before, after) = if is_first { (NONE, chain.first.0) } else { (chain.last.0, NONE) };
        match self.slot(before) {
            Some(slot) => links(slot).after = number,
            None => chain.first.0 = number,
        }
        match self.slot(after) {
            Some(slot) => links(slot).before = number,
            None => chain.last.0 = number,
        }
        if let Some(slot) = self.slot(number) {
            *links(slot) = Neighbours { before, after };
        }
        chain
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Add,
        Remove(usize),
        File { which: usize, class: usize, is_first: bool },
        Unlink(usize),
        Offer(usize),
        TakeOffered,
    }

    fn step() -> impl Strategy<Value = Step> {
        let which = any::<usize>();
        prop_oneof![
            3 => Just(Step::Add),
            2 => which.prop_map(Step::Remove),
            3 => (which, 0..2_usize, any::<bool>()).prop_map(|(which, class, is_first)| Step::File { which, class, is_first }),
            1 => which.prop_map(Step::Unlink),
            3 => which.prop_map(Step::Offer),
            1 => Just(Step::TakeOffered),
        ]
    }

    /// Lists as queues of the numbers of slots.
    #[derive(Default)]
    struct Model {
        logs: Vec<(u32, Arc<()>)>,
        classes: [VecDeque<u32>; 2],
        offered: VecDeque<u32>,
    }

    proptest! {
        #[test]
        fn slot_lists_behave_as_queues(before in 0..600_usize, steps in prop::collection::vec(step(), 0..300)) {
            let (mut slots, mut model) = (Slots::default(), Model::default());
            for _ in 0..before {
                let log = Arc::new(());
                model.logs.push((slots.add(Arc::downgrade(&log)), log));
            }
            for step in steps {
                let pick = |which: usize| model.logs.get(which % model.logs.len().max(1)).map(|(number, _)| *number);
                match step {
                    Step::Add => {
                        let log = Arc::new(());
                        let number = slots.add(Arc::downgrade(&log));
                        prop_assert!(model.logs.iter().all(|(other, _)| *other != number), "{number} is in use");
                        model.logs.push((number, log));
                    }
                    Step::File { which, class, is_first } => {
                        if let Some(number) = pick(which) {
                            slots.unlink(number, 1);
                            slots.link(number, class, Rank::New, 1, is_first);
                            model.classes.iter_mut().for_each(|class| class.retain(|other| *other != number));
                            match is_first {
                                true => model.classes[class].push_front(number),
                                false => model.classes[class].push_back(number),
                            }
                        }
                    }
                    Step::Unlink(which) => {
                        if let Some(number) = pick(which) {
                            let class = model.classes.iter().position(|class| class.contains(&number));
                            prop_assert_eq!(slots.unlink(number, 1), class);
                            model.classes.iter_mut().for_each(|class| class.retain(|other| *other != number));
                        }
                    }
                    Step::Offer(which) => {
                        if let Some(number) = pick(which) {
                            slots.offer(number);
                            if !model.offered.contains(&number) {
                                model.offered.push_back(number);
                            }
                        }
                    }
                    Step::TakeOffered => {
                        let first = model.offered.pop_front();
                        let expected = model.logs.iter().find(|(number, _)| Some(*number) == first).map(|(_, log)| log);
                        let taken = slots.take_offered();
                        prop_assert_eq!(taken.as_ref().map(Arc::as_ptr), expected.map(Arc::as_ptr));
                    }
                    Step::Remove(which) => {
                        if let Some(number) = pick(which) {
                            slots.unlink(number, 1);
                            prop_assert!(slots.remove(number).is_some());
                            model.logs.retain(|(other, _)| *other != number);
                            model.offered.retain(|other| *other != number);
                            model.classes.iter_mut().for_each(|class| class.retain(|other| *other != number));
                        }
                    }
                }
                prop_assert_eq!(slots.offers, model.offered.len());
                for (list, class) in slots.lists.iter().zip(&model.classes) {
                    let first = class.front().and_then(|first| slots.log(*first));
                    prop_assert_eq!(slots.first_of(list, Rank::New).as_ref().map(Arc::as_ptr), first.as_ref().map(Arc::as_ptr));
                    prop_assert_eq!(list[Rank::New as usize].bytes, class.len() as u64);
                }
            }
            let allocated = slots.chunks.iter().filter(|chunk| chunk.slots.capacity() > 0).count();
            prop_assert!(allocated <= 1 + model.logs.len(), "chunks without a log are freed");
            prop_assert!((0..slots.end()).filter(|number| slots.log(*number).is_some()).count() == model.logs.len());
        }
    }
}
