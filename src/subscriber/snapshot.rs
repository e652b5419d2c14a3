use std::collections::VecDeque;

use bytes::BytesMut;

use crate::contract::{Batch, EncodedBatch, EventRef, Format};
use crate::model::{Cursor, Event, Gap, GapReason, Topic};

/// State of the application as events, for a client that misses events.
///
/// A snapshot is sent completely before newer events. A client that received only part of a snapshot starts over, so its
/// cursor stays `0.0` until the last snapshot event, see [`Recover`](crate::subscriber::Recover). A snapshot is encoded for
/// each client, and stays in memory until the client has read it.
///
/// ```
/// use tidings::{Event, LocalHub, Snapshot, Topic};
///
/// let (hub, score) = (LocalHub::new(), Topic::new("score")?);
/// let newest = hub.publish_now(&score, "1:1")?;
/// let snapshot = Snapshot::new([(score, Event::text("1:1"))]).with_cursor(newest.cursor());
/// # drop(snapshot);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(super) events: Vec<(Topic, Event)>,
    as_of: Option<Cursor>,
}

impl Snapshot {
    /// Creates a snapshot of these events, in this order.
    pub fn new(events: impl IntoIterator<Item = (Topic, Event)>) -> Self {
        Self { events: events.into_iter().collect(), as_of: None }
    }

    /// Sets the cursor of the newest event that the snapshot contains, as [`Receipt::cursor`](crate::Receipt::cursor) returns
    /// it, or that of a later [end of a topic](crate::TopicEnd::cursor). The snapshot must contain all events up to it, which
    /// are not sent after the snapshot. Ends of topics are sent after it. Without a cursor, a client may receive an event that
    /// the snapshot contains.
    ///
    /// A snapshot replaces a gap only if it contains the missing events. A snapshot that is older than the last missing event,
    /// or than the client's cursor, is not sent: the client receives the gap alone. This also applies to a snapshot of another
    /// epoch, unless no event of the hub's epoch is missing.
    #[must_use]
    pub fn with_cursor(self, cursor: impl Into<Option<Cursor>>) -> Self {
        Self { as_of: cursor.into(), ..self }
    }

    /// Forgets the cursor if all later events of the subscriber are to be sent.
    pub(super) fn forget_cursor_if(&mut self, sends_all: bool) {
        self.as_of = self.as_of.filter(|_| !sends_all);
    }

    /// Returns whether the snapshot has neither events nor a cursor.
    pub(super) fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.as_of.is_none()
    }

    /// Returns the known extent of the snapshot. `asked` is the head of the source when the snapshot was requested, if it is
    /// known.
    pub(super) fn known(&self, asked: Option<Cursor>) -> Known {
        Known { as_of: self.as_of, asked }
    }
}

/// Cursor of a client that must start over. No hub has its epoch.
pub(super) const NOWHERE: Cursor = Cursor::new(0, 0);

/// Cursor of a client that came with an unreadable one. No hub has its epoch. It leads to a gap in any case. At [`NOWHERE`] the
/// state of a [keyed](crate::Retention::latest_per_key) topic begins without a gap, and the client may have an older state.
pub(super) const UNREADABLE: Cursor = Cursor::new(0, 2);

/// Events of a snapshot that are being sent.
#[derive(Default)]
pub(super) struct State {
    pub(super) events: VecDeque<(Topic, Event)>,
    /// Cursor of the client until it has all events.
    pub(super) held: Option<Cursor>,
    /// Cursor of the client with all events.
    pub(super) start: Option<Cursor>,
}

impl State {
    /// Encodes all events.
    pub(super) fn encode(&self, format: &dyn Format) -> EncodedBatch {
        let (mut out, count) = (BytesMut::new(), self.events.len());
        for (at, (topic, event)) in self.events.iter().enumerate() {
            let cursor = if at + 1 < count { self.held } else { self.start };
            format.encode(&EventRef::new(topic, event, cursor), &mut out);
        }
        EncodedBatch::new(out.freeze(), u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Moves the client's cursors to one to which the subscriber skipped.
    pub(super) fn skip_to(&mut self, cursor: Cursor) {
        for at in [&mut self.held, &mut self.start].into_iter().flatten() {
            *at = later_or_nowhere(*at, cursor);
        }
    }

    /// Takes the first events with the same topic and the same cursor.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        let (topic, first) = self.events.pop_front()?;
        let mut run = vec![first];
        while self.events.len() > 1 && self.events.front().is_some_and(|(other, _)| *other == topic) {
            run.extend(self.events.pop_front().map(|(_, event)| event));
        }
        let cursor = if self.events.is_empty() { self.start } else { self.held };
        // The cursors of a batch have no tags, and a cursor without its tag is a different cursor.
        let cursor = cursor.filter(|cursor| cursor.tag().is_none());
        let cursor = cursor.unwrap_or(NOWHERE);
        let (epoch, sequence) = (cursor.epoch(), cursor.sequence());
        Some(Batch::new(topic, epoch, run.into_iter().map(|event| (sequence, event))))
    }
}

/// Known extent of a snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// Cursor of the newest event in the snapshot.
    as_of: Option<Cursor>,
    /// Head of the source when the snapshot was requested. A snapshot without a cursor replaces the events that were gone by
    /// then.
    asked: Option<Cursor>,
}

impl Known {
    /// Returns whether the snapshot contains an event.
    pub(super) fn holds(self, event: Option<Cursor>) -> bool {
        match (self.as_of, event) {
            (Some(as_of), Some(event)) => is_up_to(event, as_of),
            _ => false,
        }
    }

    /// Returns the events of a batch that the snapshot does not contain. `None` if there are none.
    pub(super) fn rest_of(self, batch: &Batch) -> Option<Batch> {
        let held = batch.iter().take_while(|event| self.holds(event.cursor)).count();
        let rest = batch.clone().without_first(u32::try_from(held).unwrap_or(u32::MAX));
        Some(rest).filter(|rest| !rest.is_empty())
    }

    /// Returns whether the snapshot contains an event that a subscriber at this cursor may still yield.
    pub(super) fn is_ahead_of(self, subscriber: Option<Cursor>) -> bool {
        match (self.as_of, subscriber) {
            (Some(as_of), Some(here)) => is_same_epoch(as_of, here) && !is_up_to(as_of, here),
            _ => false,
        }
    }

    /// Returns whether the snapshot has no cursor and may contain an event, which was published before the request.
    pub(super) fn may_have(self, event: Option<Cursor>) -> bool {
        match (self.as_of, self.asked, event) {
            (None, Some(asked), Some(event)) => is_up_to(event, asked),
            _ => false,
        }
    }

    /// Returns whether the snapshot replaces the gap for which it was requested. `held` is the client's cursor.
    pub(super) fn answers(self, gap: &Gap, held: Option<Cursor>) -> bool {
        let is_older = |as_of, held| is_same_epoch(as_of, held) && !is_up_to(held, as_of);
        self.mends(gap) && !self.as_of.zip(held).is_some_and(|(as_of, held)| is_older(as_of, held))
    }

    /// Returns whether the snapshot contains the missing events of a gap.
    fn mends(self, gap: &Gap) -> bool {
        let gone = gap.gone.unwrap_or(gap.cursor);
        match self.as_of {
            // No event of this epoch is missing: all of them follow the gap.
            _ if gone.sequence() == 0 => true,
            Some(as_of) => is_up_to(gone, as_of),
            // The extent is unknown. The snapshot was requested after the loss.
            None => true,
        }
    }

    /// Returns whether the snapshot contains the missing events of a gap that is yielded after it. Gaps other than overflows
    /// and too large events are of events before the subscription, and therefore before the snapshot was loaded.
    pub(super) fn has_mended(self, gap: &Gap) -> bool {
        match (self.as_of, gap.reason) {
            (None, GapReason::Overflow | GapReason::TooLarge) => {
                self.asked.is_some_and(|asked| is_up_to(gap.cursor, asked))
            }
            _ => self.mends(gap),
        }
    }

    /// Returns whether the snapshot contains no event that a subscriber yields after its cursor.
    pub(super) fn is_past(self, subscriber: Option<Cursor>) -> bool {
        match (self.as_of.or(self.asked), subscriber) {
            (Some(end), Some(here)) => !is_same_epoch(end, here) || is_up_to(end, here),
            _ => true,
        }
    }

    /// Returns the cursor of a client that has the snapshot and all deliveries of the subscriber.
    pub(super) fn after(self, subscriber: Option<Cursor>) -> Option<Cursor> {
        match (self.as_of, subscriber) {
            (Some(as_of), Some(here)) if is_up_to(here, as_of) => Some(as_of),
            (as_of, here) => here.or(as_of),
        }
    }
}

/// Returns the cursor of a client at `held` whose subscriber skipped to a cursor.
pub(super) fn later(held: Option<Cursor>, cursor: Cursor) -> Cursor {
    held.filter(|&held| is_same_epoch(held, cursor) && !is_up_to(held, cursor)).unwrap_or(cursor)
}

/// Returns the cursor of such a client, or that of a client that must start over.
pub(super) fn later_or_nowhere(held: Cursor, cursor: Cursor) -> Cursor {
    if held == NOWHERE { held } else { later(Some(held), cursor) }
}

/// Returns whether events after a cursor are missing.
pub(super) fn is_gap_after(gap: &Gap, cursor: Cursor) -> bool {
    let gone = gap.gone.unwrap_or(gap.cursor);
    is_same_epoch(gone, cursor) && !is_up_to(gone, cursor)
}

fn is_same_epoch(a: Cursor, b: Cursor) -> bool {
    a.epoch() == b.epoch()
}

fn is_up_to(cursor: Cursor, end: Cursor) -> bool {
    end.reaches(cursor)
}
