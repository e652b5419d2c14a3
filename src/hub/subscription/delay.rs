//! Time since the publication of the event that was delivered last.

use std::time::Duration;

use crate::hub::subscription::kind::Kind;
use crate::hub::subscription::reader::Reader;
use crate::hub::subscription::subscription::Subscription;

/// Number of topics and patterns of a subscription that are searched for the event.
const SEARCHED: usize = 128;

impl Subscription {
    /// Returns the time since the publication of the event with this sequence, if it was the last one that was delivered of
    /// its topic, and its segment is still in hand.
    pub(super) fn time_since(&self, sequence: u64) -> Option<Duration> {
        let at = match &self.kind {
            Kind::Single(single) => single.reader.published_at(sequence),
            Kind::Multi(multi) => {
                let mut readers = multi.topics.iter().take(SEARCHED).map(|followed| &followed.reader);
                readers.find_map(|reader| reader.published_at(sequence))
            }
        };
        Some(Duration::from_nanos(self.shared.now().saturating_sub(at?)))
    }
}

impl Reader {
    fn published_at(&self, sequence: u64) -> Option<u64> {
        let segment = self.segment.as_deref()?;
        let entry = segment.entry_at(self.next.checked_sub(1)?)?;
        (entry.sequence == sequence).then_some(entry.at)
    }
}
