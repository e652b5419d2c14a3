use std::collections::VecDeque;

use bytes::BytesMut;

use crate::contract::{Batch, EncodedBatch, EventRef, Format};
use crate::model::{Cursor, Event, Gap, GapReason, Topic};

/// The application's state as events, for a client that can't be brought there by the events it missed.
///
/// Sent whole, in one piece, before anything later. Until its last event the client has no cursor that leads past it, so
/// one that is cut off before comes back for it anew: see [`Recover`](crate::subscriber::Recover). It is encoded for each client that
/// gets it, and is in memory until the client has taken it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(super) events: Vec<(Topic, Event)>,
    as_of: Option<Cursor>,
}

impl Snapshot {
    /// A snapshot of these events, in this order.
    pub fn new(events: impl IntoIterator<Item = (Topic, Event)>) -> Self {
        Self { events: events.into_iter().collect(), as_of: None }
    }

    /// Sets the cursor of the newest event that the state contains, as [`Receipt::cursor`](crate::Receipt::cursor) returns
    /// it. The state contains all events up to it, and they are not sent after the snapshot. Without a cursor, a client
    /// may get an event that the state contains too.
    ///
    /// A state answers a gap only if it contains the missing events. A state that is older than the last missing event, or
    /// than the client's own position, is not sent: the client gets the gap alone. The same holds for a state of another
    /// epoch, unless no event of the hub's epoch is missing.
    #[must_use]
    pub fn with_cursor(self, cursor: impl Into<Option<Cursor>>) -> Self {
        Self { as_of: cursor.into(), ..self }
    }

    /// Returns whether a client that begins with it begins with no state.
    pub(super) fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.as_of.is_none()
    }

    /// `asked` is the head of the source when the state was asked for, if it is known.
    pub(super) fn known(&self, asked: Option<Cursor>) -> Known {
        Known { as_of: self.as_of, asked }
    }
}

/// The cursor of a client that has nothing: of no hub's epoch.
pub(super) const NOWHERE: Cursor = Cursor::new(0, 0);

/// A state's events, on their way to a client.
#[derive(Default)]
pub(super) struct State {
    pub(super) events: VecDeque<(Topic, Event)>,
    /// Cursor of the client until it has all events.
    pub(super) held: Option<Cursor>,
    pub(super) start: Option<Cursor>,
}

impl State {
    /// Encodes all of it.
    pub(super) fn encode(&self, format: &dyn Format) -> EncodedBatch {
        let (mut out, count) = (BytesMut::new(), self.events.len());
        for (at, (topic, event)) in self.events.iter().enumerate() {
            let cursor = if at + 1 < count { self.held } else { self.start };
            format.encode(&EventRef::new(topic, event, cursor), &mut out);
        }
        EncodedBatch::new(out.freeze(), u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Takes the first of it that makes a batch: of one topic and one cursor.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        let (topic, first) = self.events.pop_front()?;
        let mut run = vec![first];
        while self.events.len() > 1 && self.events.front().is_some_and(|(other, _)| *other == topic) {
            run.extend(self.events.pop_front().map(|(_, event)| event));
        }
        let cursor = if self.events.is_empty() { self.start } else { self.held };
        // A batch has no tags; without its own, a cursor is another one.
        let cursor = cursor.filter(|cursor| cursor.tag().is_none());
        let cursor = cursor.unwrap_or(NOWHERE);
        let (epoch, sequence) = (cursor.epoch(), cursor.sequence());
        Some(Batch::new(topic, epoch, run.into_iter().map(|event| (sequence, event))))
    }
}

/// Known extent of a state.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    as_of: Option<Cursor>,
    /// Head of the source when the state was asked for. An undated state replaces what was gone by then.
    asked: Option<Cursor>,
}

impl Known {
    /// Whether an event is in the state.
    pub(super) fn holds(self, event: Option<Cursor>) -> bool {
        match (self.as_of, event) {
            (Some(as_of), Some(event)) => is_up_to(event, as_of),
            _ => false,
        }
    }

    /// Returns whether the state has no date and may contain this event: it was published before the state was asked for.
    pub(super) fn may_have(self, event: Option<Cursor>) -> bool {
        match (self.as_of, self.asked, event) {
            (None, Some(asked), Some(event)) => is_up_to(event, asked),
            _ => false,
        }
    }

    /// Returns whether the state stands for what is missing, where it was asked for because of the gap of a client that is
    /// at `held`.
    pub(super) fn answers(self, gap: &Gap, held: Option<Cursor>) -> bool {
        let is_older = |as_of, held| is_same_epoch(as_of, held) && !is_up_to(held, as_of);
        self.mends(gap) && !self.as_of.zip(held).is_some_and(|(as_of, held)| is_older(as_of, held))
    }

    fn mends(self, gap: &Gap) -> bool {
        let gone = gap.gone.unwrap_or(gap.cursor);
        match self.as_of {
            // No event of this epoch is missing: all of them follow the gap.
            _ if gone.sequence() == 0 => true,
            Some(as_of) => is_up_to(gone, as_of),
            // Nothing is known to be missing.
            None => true,
        }
    }

    /// Whether it does where the gap comes after the state. All but overflows are of the time before the subscription,
    /// and so before the state was loaded.
    pub(super) fn has_mended(self, gap: &Gap) -> bool {
        match (self.as_of, gap.reason) {
            (None, GapReason::Overflow) => self.asked.is_some_and(|asked| is_up_to(gap.cursor, asked)),
            _ => self.mends(gap),
        }
    }

    /// Whether nothing that a subscriber yields from here on can be in the state.
    pub(super) fn is_past(self, subscriber: Option<Cursor>) -> bool {
        match (self.as_of.or(self.asked), subscriber) {
            (Some(end), Some(here)) => !is_same_epoch(end, here) || is_up_to(end, here),
            _ => true,
        }
    }

    /// Returns the cursor of a client that has the state and everything that the subscriber has yielded.
    pub(super) fn after(self, subscriber: Option<Cursor>) -> Option<Cursor> {
        match (self.as_of, subscriber) {
            (Some(as_of), Some(here)) if is_up_to(here, as_of) => Some(as_of),
            (as_of, here) => here.or(as_of),
        }
    }
}

fn is_same_epoch(a: Cursor, b: Cursor) -> bool {
    a.epoch() == b.epoch()
}

fn is_up_to(cursor: Cursor, end: Cursor) -> bool {
    is_same_epoch(cursor, end) && cursor.sequence() <= end.sequence()
}
