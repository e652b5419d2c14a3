use bytes::BytesMut;

use crate::contract::{EventRef, Format};
use crate::model::{Cursor, Event, Gap, GapReason, Pattern};
use crate::subscriber::snapshot::NOWHERE;
use crate::subscriber::{Recovery, Snapshot};

/// The bytes that a format adds to an event beside its name, key and payload are not more than this: a cursor, a topic's
/// name with every byte escaped, and the names of the fields.
const ENVELOPE: usize = 2 * 1024;

/// Most bytes that a format makes of one byte of text: an escape in JSON, or a line's end in server-sent events.
const EXPANSION: usize = 8;

/// A format, and the most bytes that it may make of one event of a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Fit<'a> {
    pub(super) format: &'a dyn Format,
    pub(super) max: usize,
}

impl Fit<'_> {
    /// Returns whether each event of the snapshot fits, whatever its cursor.
    pub(super) fn allows(self, snapshot: &Snapshot) -> bool {
        let mut out = BytesMut::new();
        snapshot.events.iter().all(|(topic, event)| {
            is_small(event, self.max) || {
                out.clear();
                self.format.encode(&EventRef::new(topic, event, Some(NOWHERE)), &mut out);
                out.len() + Cursor::MAX_LEN <= self.max
            }
        })
    }
}

/// Returns the snapshot if each of its events fits. Otherwise tells its source.
pub(super) fn fitting(snapshot: Snapshot, fit: Option<Fit<'_>>, source: &mut impl Recovery) -> Option<Snapshot> {
    if fit.is_none_or(|fit| fit.allows(&snapshot)) {
        return Some(snapshot);
    }
    source.too_large();
    None
}

/// Returns whether an event has at most `max` bytes in each format of the library.
fn is_small(event: &Event, max: usize) -> bool {
    event.weight().saturating_mul(EXPANSION).saturating_add(ENVELOPE) <= max
}

/// Returns the gap in the place of events that are too large, or of a snapshot (`missed` is `None`). `topics` are those
/// that the subscriber follows.
#[cold]
pub(super) fn gap(missed: Option<u32>, cursor: Option<Cursor>, topics: &[Pattern]) -> Gap {
    let gap = Gap::new(GapReason::TooLarge, cursor.unwrap_or(NOWHERE));
    let gap = missed.into_iter().fold(gap, |gap, missed| gap.missed(missed.into()));
    match topics {
        [one] => one.as_topic().into_iter().fold(gap, |gap, topic| gap.topic(topic.clone())),
        _ => gap,
    }
}
