use crate::hub::segment::Segment;
use crate::hub::sync::Map;

/// The dense index of the newest event of each key, of those in a log's memory.
#[derive(Debug, Default)]
pub(super) struct Newest(Map<Box<str>, u64>);

impl Newest {
    /// The event at `index` is the newest of this key. Returns the one that it replaces.
    pub(super) fn put(&mut self, key: &str, index: u64) -> Option<u64> {
        if let Some(newest) = self.0.get_mut(key) {
            return Some(std::mem::replace(newest, index));
        }
        self.0.insert(key.into(), index);
        None
    }

    /// A segment is not in memory any more.
    pub(super) fn forget(&mut self, segment: &Segment) {
        for place in 0..segment.len() {
            let Some(key) = segment.key(place) else {
                continue;
            };
            if self.0.get(&*key).is_some_and(|&newest| newest < segment.end()) {
                self.0.remove(&*key);
            }
        }
    }
}
