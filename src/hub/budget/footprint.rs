//! Sizes of events and segments in memory. The constants are measured, and include the share of the allocator, 16 bytes
//! an allocation. `benches/memory.rs` prints the counted beside the allocated bytes.

use crate::model::{Event, Pattern, Topic};

/// Size of a payload beyond its bytes.
const PAYLOAD: usize = 16;
/// Size of the name, the key, the tag and the time to live of an event beyond their bytes. It includes the copy of the key in a
/// log that conflates, beyond its bytes.
const LABELS: usize = 160;
/// Size of the allocations of a segment beyond their content, and of the marks of its replaced events.
const SEGMENT: usize = 160;
/// Size of an event and of its key in the trees of a topic's state, beyond their bytes.
const STATE: usize = 240;
/// Size of a topic's state beyond its events: the first nodes of its trees.
const FIRST_STATE: usize = 1_100;
/// Size of a log, its name, its entries in the registry, and its share of the index of recent events.
const TOPIC: usize = 404;

/// Returns the size of an event beyond its place in a segment. `topic` is set in a log of several topics, which stores
/// the topic with each key.
pub(crate) fn event(event: &Event, topic: Option<&Topic>) -> usize {
    let labelled = event.name().is_some() || event.key().is_some() || event.tag().is_some() || event.ttl().is_some();
    let remembered = |key: &str| key.len() + topic.map_or(0, |topic| topic.as_str().len());
    let labels = || LABELS + event.key().map_or(0, remembered);
    event.weight().saturating_add(PAYLOAD + if labelled { labels() } else { 0 })
}

/// Returns the size of an event in the state of a keyed topic, with its key.
pub(crate) fn state(event: &Event) -> usize {
    STATE + self::event(event, None) + event.key().map_or(0, str::len)
}

/// Returns the size of a topic with a state, without its events. The topic may hold no other events.
pub(crate) fn topic_with_state(name: &Pattern) -> usize {
    FIRST_STATE + topic(name)
}

/// Largest size that the first event of a topic's state adds for the topic.
pub(crate) const MOST_OF_STATE: usize = FIRST_STATE + FIRST_EVENT;

/// Returns the size of a topic that holds events, or of a pattern's log, without its segments.
pub(crate) fn topic(name: &Pattern) -> usize {
    TOPIC + name.as_str().len()
}

/// Returns the size of a segment. `fixed` is the size of its structures, `place` that of each place.
pub(crate) const fn segment(fixed: usize, place: usize, places: usize) -> usize {
    SEGMENT + fixed + places * place
}

/// Largest size that the first event of a topic adds for the topic.
pub(crate) const FIRST_EVENT: usize = TOPIC + Topic::MAX_LEN;

/// Returns the largest number of bytes that publishing an event can add: the event, and a segment of `segment` bytes.
pub(crate) fn most(event: &Event, segment: usize) -> usize {
    event.weight().saturating_add(PAYLOAD + LABELS + Event::MAX_LABEL + Topic::MAX_LEN + segment)
}
