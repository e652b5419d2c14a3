use bytes::BytesMut;

use crate::contract::{EventRef, Format};
use crate::model::{Cursor, Event, Gap, GapReason, Pattern};
use crate::subscriber::snapshot::NOWHERE;
use crate::subscriber::{Recovery, Snapshot};

/// Upper bound of the bytes that a format of this crate adds to an event's name, key and payload: a cursor, a topic name with
/// each byte escaped, and the names of the fields.
const ENVELOPE: usize = 2 * 1024;

/// Upper bound of the bytes that a format of this crate makes of one byte: an escape in JSON, or a line end in server-sent
/// events.
const EXPANSION: usize = 8;

/// Limit of the encoded size of an event in a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Fit<'a> {
    pub(super) format: &'a dyn Format,
    pub(super) max: usize,
}

impl Fit<'_> {
    /// Returns whether each event of the snapshot fits with any cursor.
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

/// Returns the snapshot if each of its events fits. Otherwise calls [`Recovery::too_large`].
pub(super) fn fitting(snapshot: Snapshot, fit: Option<Fit<'_>>, source: &mut impl Recovery) -> Option<Snapshot> {
    if fit.is_none_or(|fit| fit.allows(&snapshot)) {
        return Some(snapshot);
    }
    source.too_large();
    None
}

/// Returns whether an event has at most `max` bytes in each format of this crate.
fn is_small(event: &Event, max: usize) -> bool {
    event.weight().saturating_mul(EXPANSION).saturating_add(ENVELOPE) <= max
}

/// Returns the gap in place of events that are too large, or of a snapshot if `missed` is `None`. `topics` are the topics of
/// the subscriber.
#[cold]
pub(super) fn gap(missed: Option<u32>, cursor: Option<Cursor>, topics: &[Pattern]) -> Gap {
    let gap = Gap::new(GapReason::TooLarge, cursor.unwrap_or(NOWHERE));
    let gap = missed.into_iter().fold(gap, |gap, missed| gap.with_missed(missed.into()));
    match topics {
        [one] => one.as_topic().into_iter().fold(gap, |gap, topic| gap.with_topic(topic.clone())),
        _ => gap,
    }
}
