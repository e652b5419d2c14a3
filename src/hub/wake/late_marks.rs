use std::sync::Arc;

use crate::hub::holds::count_steps;
use crate::hub::sync::{Count, Leaf, Signal};

/// Largest number of inboxes that are marked under a lock.
const MARKED: u64 = 128;

/// Logs whose followers are marked without a lock because there are many.
///
/// Few followers are marked under the sequencer before the watermark passes the event. If there are many, the slot of
/// the log is entered here instead: under the lock under which its followers are taken out, and before the watermark
/// passes the event. It is removed when all of them are marked. A reader loads the watermark, looks here, and takes its
/// inbox, in this order. For each event up to the watermark it therefore finds the log here or the mark in its inbox.
/// It treats a log that it finds here as marked, and ignores the mark that comes later.
#[derive(Debug)]
pub(crate) struct LateMarks {
    /// Largest number of inboxes that are marked under a lock.
    most: Count,
    is_on: Signal,
    /// Slots of the logs of each publisher that marks, in ascending order.
    all: Leaf<Vec<Arc<[u32]>>>,
}

/// Logs whose followers are being marked until this is dropped.
#[derive(Debug)]
pub(crate) struct Marking<'a> {
    marks: &'a LateMarks,
    slots: Arc<[u32]>,
}

impl Default for LateMarks {
    fn default() -> Self {
        Self { most: Count::new(MARKED), is_on: Signal::default(), all: Leaf::default() }
    }
}

impl LateMarks {
    /// Returns whether this number of inboxes is small enough to be marked under a lock.
    #[inline]
    pub(crate) fn are_few(&self, inboxes: usize) -> bool {
        inboxes == 0 || inboxes as u64 <= self.most.load()
    }

    /// Marks all inboxes without a lock from now on, so that a model needs one subscription instead of many.
    #[cfg(loom)]
    pub(crate) fn mark_all_late(&self) {
        self.most.set(0);
    }

    /// Enters the slots of logs whose followers are to be marked. A publisher calls this under the sequencer, and an
    /// eviction under the log's lock, so that no event is appended and passed by the watermark in between.
    #[cold]
    pub(crate) fn enter(&self, mut slots: Vec<u32>) -> Marking<'_> {
        slots.sort_unstable();
        // A pattern's log is entered once for each of its topics in a batch.
        slots.dedup();
        let slots = Arc::from(slots);
        let mut all = self.all.lock();
        all.push(Arc::clone(&slots));
        self.is_on.set(true);
        drop(all);
        Marking { marks: self, slots }
    }

    /// Returns whether followers of a log may be about to be marked.
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.is_on()
    }

    /// Returns the slots of the logs whose followers are about to be marked, for each publisher that marks, in
    /// ascending order. A log keeps its slot while it has followers.
    #[cold]
    pub(crate) fn current(&self) -> Vec<Arc<[u32]>> {
        let all = self.all.lock();
        count_steps(all.len());
        all.clone()
    }
}

impl Drop for Marking<'_> {
    fn drop(&mut self) {
        let mut all = self.marks.all.lock();
        count_steps(all.len());
        if let Some(at) = all.iter().position(|slots| Arc::ptr_eq(slots, &self.slots)) {
            all.swap_remove(at);
        }
        self.marks.is_on.set(!all.is_empty());
    }
}
