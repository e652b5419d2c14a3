use crate::hub::log::State;
use crate::model::Overflow;

/// Marks of the events that newer ones of their keys replace, for subscriptions that [conflate](Overflow::Latest).
impl State {
    /// Begins to mark which events newer ones of their keys replace, with those in memory. Returns whether it had not
    /// begun.
    pub(super) fn conflate(&mut self) -> bool {
        let begins = !std::mem::replace(&mut self.conflates, true);
        if let Some(last) = self.next.checked_sub(1).filter(|_| begins) {
            self.mark_replaced(last);
        }
        begins
    }

    /// Marks the event that the newest one, at `index`, replaces. The first time it does so for all in memory, when these
    /// are several: many topics have one event.
    pub(super) fn mark_replaced(&mut self, index: u64) {
        let Some(front) = self.front().map(|front| front.base) else {
            return;
        };
        let known = self.kept_mut().newest.take();
        let start = if known.is_some() { index } else { front };
        if known.is_none() && start == index {
            return;
        }
        let mut newest = known.unwrap_or_default();
        for index in start..=index {
            let key = self.segment_at(index).and_then(|segment| segment.key((index - segment.base) as u32));
            let replaced = key.and_then(|key| newest.put(&key, index));
            if let Some(replaced) = replaced {
                self.segment_at(replaced).into_iter().for_each(|segment| segment.replace(replaced));
            }
        }
        self.kept_mut().newest = Some(newest);
    }

    /// Returns whether a newer event of its key is in history behind the one at `index`. Where nothing is marked, only the
    /// newest event is compared, which is enough for a topic with one key.
    pub(super) fn is_replaced(&self, index: u64) -> bool {
        let (Some(segment), Some(newest)) = (self.segment_at(index), self.kept().segments.newest()) else {
            return false;
        };
        let place = (index - segment.base) as u32;
        if self.conflates {
            return segment.is_replaced(place);
        }
        index + 1 < newest.end() && segment.key(place) == newest.key(newest.len().saturating_sub(1))
    }

    /// Returns the index after the newest event that left history and is missed by a reader that had not read it, and the
    /// event's sequence. A reader that conflates misses nothing that is replaced.
    pub(super) fn missed(&self, overflow: Overflow) -> (u64, u64) {
        match overflow {
            Overflow::Latest => (self.kept().unreplaced, self.unreplaced),
            Overflow::Gap | Overflow::Disconnect => (self.kept().lost, self.evicted),
        }
    }
}
