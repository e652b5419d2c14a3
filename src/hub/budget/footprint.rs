//! What events and segments take in memory. The constants are measured, and hold the allocator's own share, 16 bytes an
//! allocation: `benches/memory.rs` prints what is counted beside what was allocated.

use crate::model::{Event, Pattern, Topic};

/// An event's payload beyond its bytes.
const PAYLOAD: usize = 16;
/// An event's name, key and time to live beyond their bytes, and beyond its bytes the copy of a key that a topic keeps where
/// somebody conflates.
const LABELS: usize = 160;
/// A segment's allocations, beyond what is in them, and the marks of its replaced events.
const SEGMENT: usize = 160;
/// A topic's log, its name, its places in the registry and beside it, and its share of the index of recent events.
const TOPIC: usize = 404;

/// An event, beyond its place in a segment. `topic`: in a log of several topics, which remembers each one's keys.
pub(crate) fn event(event: &Event, topic: Option<&Topic>) -> usize {
    let labelled = event.name().is_some() || event.key().is_some() || event.time_to_live().is_some();
    let remembered = |key: &str| key.len() + topic.map_or(0, |topic| topic.as_str().len());
    let labels = || LABELS + event.key().map_or(0, remembered);
    event.weight().saturating_add(PAYLOAD + if labelled { labels() } else { 0 })
}

/// Returns the size of a topic that holds events, or of a pattern's log, beside its segments.
pub(crate) fn topic(name: &Pattern) -> usize {
    TOPIC + name.as_str().len()
}

/// Returns the size of a segment with a number of places. `fixed` is the size of its structures, `place` that of each place.
pub(crate) const fn segment(fixed: usize, place: usize, places: usize) -> usize {
    SEGMENT + fixed + places * place
}

/// Largest size that the first event of a topic adds for the topic.
pub(crate) const FIRST_EVENT: usize = TOPIC + Topic::MAX_LEN;

/// Returns the most bytes that publishing an event can add: the event and a segment, whose largest size is `segment`.
pub(crate) fn most(event: &Event, segment: usize) -> usize {
    event.weight().saturating_add(PAYLOAD + LABELS + Event::MAX_LABEL + Topic::MAX_LEN + segment)
}
