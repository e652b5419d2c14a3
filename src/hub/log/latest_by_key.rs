use std::collections::BTreeMap;

use crate::hub::log::segment::Segment;

/// Dense index of the newest event of each key, of those in a log's memory. A tree, since a hash table moves all of its
/// keys when it grows, under the log's lock.
#[derive(Debug, Default)]
pub(crate) struct LatestByKey(BTreeMap<Box<str>, u64>);

impl LatestByKey {
    /// Sets the newest event of a key. Returns the event that it replaces.
    pub(crate) fn put(&mut self, key: &str, index: u64) -> Option<u64> {
        if let Some(newest) = self.0.get_mut(key) {
            return Some(std::mem::replace(newest, index));
        }
        self.0.insert(key.into(), index);
        None
    }

    /// Forgets the events of a segment before the place `end`, which have left memory.
    pub(crate) fn forget(&mut self, segment: &Segment, end: u32) {
        for place in 0..end {
            let Some(key) = segment.key(place) else {
                continue;
            };
            if self.0.get(&*key).is_some_and(|&newest| newest < segment.base + u64::from(end)) {
                self.0.remove(&*key);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::contract::Entry;
    use crate::hub::budget::budget::Budget;
    use crate::model::{Event, Topic};

    #[test]
    fn newest_event_of_a_key_is_forgotten_when_it_leaves_memory() {
        let (budget, topic) = (Budget::new(0), Topic::new("a").unwrap());
        let segments = [0, 4].map(|base| Segment::new(topic.clone(), base, 4, false, 1, &budget));
        let mut newest = LatestByKey::default();
        for (index, key) in (0..).zip(["a", "b", "c", "a", "c", "d", "d", "e"]) {
            let event = Event::text("").with_key(key).unwrap();
            segments[index as usize / 4].push(&topic, Entry { sequence: index + 1, at: 0, event });
            let replaced = newest.put(key, index);
            assert_eq!(replaced, [None, None, None, Some(0), Some(2), None, Some(5), None][index as usize]);
        }
        newest.forget(&segments[0], 4);
        assert_eq!(newest.0, BTreeMap::from_iter([("c", 4), ("d", 6), ("e", 7)].map(|(key, at)| (key.into(), at))));
        newest.forget(&segments[1], 4);
        assert!(newest.0.is_empty());
    }
}
