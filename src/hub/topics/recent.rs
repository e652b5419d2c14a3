use std::collections::VecDeque;
use std::sync::Arc;

use crate::hub::holds::{STRETCH, count_steps};
use crate::hub::sync::{Leaf, Mirror};

/// Number of events in a block. Small under loom, so that events leave the index.
const BLOCK: u64 = if cfg!(loom) { 2 } else { 512 };
/// Largest number of blocks: 4,194,304 events, which take 16 MiB.
const MAX_BLOCKS: usize = 8_192;
/// Largest number of blocks that are released when one is begun.
const RELEASED: usize = 2;

/// Index of the hub's newest events: the slot of each event's topic, by sequence.
///
/// It holds at least as many events as there are topics, up to [`MAX_BLOCKS`] blocks. Each event takes 4 bytes, which
/// count as a part of each [topic](crate::hub::budget::footprint::topic). The topics with events after a cursor are
/// therefore found in the index, or there are more such events than topics and it costs less to look at every topic.
#[derive(Debug, Default)]
pub(crate) struct Recent(Leaf<VecDeque<Arc<Block>>>);

/// Slots of consecutive events.
///
/// Written by the publisher that holds the sequencer, before it appends the event. Read up to the watermark, or up to
/// an event that has left a pattern's log; the watermark or the lock of that log orders the two.
#[derive(Debug)]
pub(crate) struct Block {
    /// Sequence of the first event.
    first: u64,
    slots: Box<[Mirror]>,
}

impl Recent {
    /// Adds an event of the topic in a slot. Called under the sequencer, which keeps the newest block. `topics` returns
    /// the number of topics.
    #[inline]
    pub(crate) fn push(&self, newest: &mut Option<Arc<Block>>, sequence: u64, slot: u32, topics: impl FnOnce() -> u64) {
        let place = newest.as_ref().and_then(|block| block.place(sequence));
        match place {
            Some(place) => place.set(slot),
            None => *newest = Some(self.begin(newest.as_deref(), sequence, slot, topics())),
        }
    }

    /// Begins a block with an event. Sequences may be missing: blocks stay consecutive, and after a whole block of them the
    /// index begins anew.
    #[cold]
    fn begin(&self, newest: Option<&Block>, sequence: u64, slot: u32, topics: u64) -> Arc<Block> {
        let follows = newest.map(|newest| newest.first + BLOCK).filter(|first| sequence - first < BLOCK);
        let block = Block { first: follows.unwrap_or(sequence), slots: (0..BLOCK).map(|_| Mirror::new(0)).collect() };
        block.slots[(sequence - block.first) as usize].set(slot);
        let block = Arc::new(block);
        let mut blocks = self.0.lock();
        if follows.is_none() {
            blocks.clear();
        }
        // Number of full blocks, and the new one.
        let kept = (topics.div_ceil(BLOCK) as usize).clamp(1, MAX_BLOCKS - 1);
        let excess = blocks.len().saturating_sub(kept);
        let released: Vec<_> = blocks.drain(..excess.min(RELEASED)).collect();
        blocks.push_back(Arc::clone(&block));
        drop(blocks);
        drop(released);
        block
    }

    /// Returns the blocks with every event after a sequence; `None` if some have left the index.
    pub(crate) fn after(&self, sequence: u64) -> Option<Vec<Arc<Block>>> {
        let (mut found, mut next) = (Vec::new(), sequence + 1);
        loop {
            let blocks = self.0.lock();
            let skipped = next.checked_sub(blocks.front()?.first)? / BLOCK;
            let skipped = (skipped as usize).min(blocks.len());
            let stretch = blocks.range(skipped..).take(STRETCH);
            found.extend(stretch.inspect(|_| count_steps(1)).cloned());
            let is_all = blocks.len() - skipped <= STRETCH;
            drop(blocks);
            match found.last() {
                Some(last) if !is_all => next = last.first + BLOCK,
                _ => return Some(found),
            }
        }
    }
}

impl Block {
    /// Returns the slots of the events after `after`, up to `last`.
    pub(crate) fn slots(&self, after: u64, last: u64) -> impl Iterator<Item = u32> {
        let place = |sequence: u64| (sequence + 1).saturating_sub(self.first).min(BLOCK) as usize;
        let (start, end) = (place(after), place(last));
        self.slots[start..end.max(start)].iter().map(Mirror::load)
    }

    #[inline]
    fn place(&self, sequence: u64) -> Option<&Mirror> {
        self.slots.get(sequence.checked_sub(self.first)? as usize)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Returns an index of `events` events, each in the slot of its sequence, with the number of topics.
    fn index(events: u64, topics: u64) -> Recent {
        let (recent, mut newest) = (Recent::default(), None);
        (1..=events).for_each(|sequence| recent.push(&mut newest, sequence, sequence as u32, || topics));
        recent
    }

    fn found(recent: &Recent, after: u64, last: u64) -> Option<Vec<u32>> {
        Some(recent.after(after)?.iter().flat_map(|block| block.slots(after, last)).collect())
    }

    #[test]
    fn every_event_after_a_sequence_is_found_up_to_the_last() {
        let recent = index(3 * BLOCK, 3 * BLOCK);
        let edges = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK - 1, 3 * BLOCK];
        for after in edges {
            for last in edges {
                let expected: Vec<_> = (after as u32 + 1..=last as u32).collect();
                assert_eq!(found(&recent, after, last), Some(expected), "after {after} to {last}");
            }
        }
        assert_eq!(found(&Recent::default(), 0, 0), None);
    }

    #[test]
    fn index_holds_as_many_events_as_there_are_topics() {
        for topics in [0, 1, BLOCK, BLOCK + 1, 5 * BLOCK] {
            let events = 20 * BLOCK;
            let recent = index(events, topics);
            let kept = topics.max(1).div_ceil(BLOCK) * BLOCK;
            assert!(found(&recent, events - kept, events).is_some(), "{topics} topics");
            assert_eq!(found(&recent, events - kept - BLOCK - 1, events), None, "{topics} topics");
        }
    }

    #[test]
    fn missing_sequences_are_found_in_no_topic() {
        let (recent, mut newest) = (Recent::default(), None);
        let mut push = |sequence| recent.push(&mut newest, sequence, sequence as u32, || u64::MAX);
        [1, 5, BLOCK + 7, 2 * BLOCK].into_iter().for_each(&mut push);
        let found_after =
            |after| found(&recent, after, 2 * BLOCK).map(|found| found.into_iter().filter(|slot| *slot > 0));
        let all: Vec<_> = found_after(0).unwrap().collect();
        assert_eq!(all, [1, 5, BLOCK as u32 + 7, 2 * BLOCK as u32]);
        assert_eq!(found_after(BLOCK + 7).unwrap().collect::<Vec<_>>(), [2 * BLOCK as u32]);
        // After a whole block the index begins anew.
        push(4 * BLOCK + 1);
        assert!(recent.after(4 * BLOCK - 1).is_none() && recent.after(4 * BLOCK).is_some());
    }

    #[test]
    fn blocks_are_found_in_several_stretches() {
        let blocks = 3 * STRETCH as u64 + 1;
        let recent = index(blocks * BLOCK, u64::MAX);
        for after in [0, BLOCK, blocks * BLOCK - 1] {
            assert_eq!(found(&recent, after, u64::MAX - 1).unwrap().len() as u64, blocks * BLOCK - after);
        }
    }

    #[test]
    fn index_shrinks_by_one_block_at_a_time_after_topics_were_dropped() {
        let recent = index(50 * BLOCK, 50 * BLOCK);
        let mut newest = recent.0.lock().back().cloned();
        let mut blocks = recent.0.lock().len();
        for sequence in 50 * BLOCK + 1..=150 * BLOCK {
            recent.push(&mut newest, sequence, 0, || 1);
            let now = recent.0.lock().len();
            assert!(now + 1 >= blocks, "{blocks} blocks, then {now}");
            blocks = now;
        }
        assert_eq!(blocks, 2);
    }
}
