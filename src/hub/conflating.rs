use crate::hub::log::State;
use crate::hub::segment::Segment;
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
        let (floor, known) = (self.floor(), self.kept_mut().newest.take());
        let start = if known.is_some() { index } else { floor };
        if known.is_none() && start >= index {
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

    /// Returns whether a newer event of its key is in history behind the one in this place. Where nothing is marked, only
    /// the newest event is compared, which is enough for a topic with one key.
    pub(super) fn is_replaced(&self, segment: &Segment, place: u32) -> bool {
        if self.conflates {
            return segment.is_replaced(place);
        }
        let Some((newest, key)) = self.kept().segments.newest().zip(segment.key(place)) else {
            return false;
        };
        segment.base + u64::from(place) + 1 < newest.end() && newest.key(newest.len().saturating_sub(1)) == Some(key)
    }

    /// Returns the sequence of the newest event that left history and is missed by a reader that had not read it. A reader
    /// that conflates misses nothing that is replaced.
    pub(super) fn evicted_for(&self, overflow: Overflow) -> u64 {
        match overflow {
            Overflow::Latest => self.unreplaced,
            Overflow::Gap | Overflow::Disconnect => self.evicted,
        }
    }

    /// Returns the index after the newest event that left memory and is missed by such a reader, and the event's sequence.
    pub(super) fn missed(&self, overflow: Overflow) -> (u64, u64) {
        let kept = self.kept();
        match overflow {
            Overflow::Latest => (kept.unreplaced, kept.unreplaced_sequence),
            Overflow::Gap | Overflow::Disconnect => (kept.lost, kept.lost_sequence),
        }
    }
}
