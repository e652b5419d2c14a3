//! Memory of events and segments. The constants are measured, and include the allocator's own share, 16 bytes an
//! allocation: `benches/memory.rs` prints the counted bytes beside the allocated ones.

use std::sync::OnceLock;

use crate::contract::{Entry, Run};
use crate::hub::segment::Segment;
use crate::hub::tail::Tail;
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
pub(super) fn event(event: &Event, topic: Option<&Topic>) -> usize {
    let labelled = event.name().is_some() || event.key().is_some() || event.time_to_live().is_some();
    let remembered = |key: &str| key.len() + topic.map_or(0, |topic| topic.as_str().len());
    let labels = || LABELS + event.key().map_or(0, remembered);
    event.weight().saturating_add(PAYLOAD + if labelled { labels() } else { 0 })
}

/// Returns the size of a topic that holds events, or of a pattern's log, beside its segments.
pub(super) fn topic(name: &Pattern) -> usize {
    TOPIC + name.as_str().len()
}

/// Returns the size of a segment of so many places.
pub(super) const fn segment(places: usize) -> usize {
    SEGMENT + size_of::<Segment>() + size_of::<Run>() + places * size_of::<OnceLock<Entry>>()
}

/// The most that publishing an event can add, whatever it finds: itself, and a segment.
pub(super) fn most(event: &Event) -> usize {
    const FIRST: usize = TOPIC + Topic::MAX_LEN + segment(1);
    const { assert!(segment(Tail::MOST_PLACES) > FIRST) };
    event.weight().saturating_add(PAYLOAD + LABELS + Event::MAX_LABEL + Topic::MAX_LEN + segment(Tail::MOST_PLACES))
}
