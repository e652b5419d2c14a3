use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::SessionEntry;
use crate::contract::Head;
use crate::model::{Cursor, Gap};

/// Counts of everything that went out to a session's client. Relaxed: a count is of some moment, and nothing depends on
/// which.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Track {
    gaps: AtomicU64,
    missed: AtomicU64,
    conflated: AtomicU64,
    /// Sequence up to which the client is known to have everything, plus 1. 0 if nothing is known. Its epoch is
    /// `epoch`.
    acknowledged: AtomicU64,
    // The fields that every delivery touches are together, and the session's flags follow.
    bytes: AtomicU64,
    events: AtomicU64,
    /// Epoch of the last position in a hub. 0 if there was none, because the source has no cursors.
    epoch: AtomicU64,
    /// Sequence of the position of the last delivery. [`STARTS_OVER`]: the client has none.
    sequence: AtomicU64,
}

/// Sequence of a client that would start over, because it has only part of a snapshot.
const STARTS_OVER: u64 = u64::MAX;

/// Values of a track at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrackReading {
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) gaps: u64,
    pub(super) missed: u64,
    pub(super) conflated: u64,
    pub(super) cursor: Option<Cursor>,
    pub(super) acknowledged: Option<Cursor>,
}

impl SessionEntry {
    #[inline]
    pub(super) fn note_events(&self, bytes: usize, events: u32, conflated: u32, cursor: Option<Cursor>) {
        self.add(&self.track.bytes, bytes as u64);
        self.add(&self.track.events, events.into());
        if conflated != 0 {
            self.add(&self.track.conflated, conflated.into());
        }
        self.is_behind.store(true, Ordering::Relaxed);
        self.track.moved(cursor);
    }

    #[cold]
    pub(super) fn note_gap(&self, gap: &Gap, cursor: Option<Cursor>) {
        self.add(&self.track.gaps, 1);
        self.count_gap(gap);
        // A snapshot stands for these events, so the client misses none of them.
        let missed = gap.missed.filter(|_| !gap.snapshot).unwrap_or(0);
        self.add(&self.track.missed, missed);
        self.is_behind.store(true, Ordering::Relaxed);
        self.track.moved(cursor);
    }

    /// Notes that the end of a topic was delivered.
    #[cold]
    pub(super) fn note_topic_end(&self, cursor: Cursor) {
        self.is_behind.store(true, Ordering::Relaxed);
        self.track.moved(Some(cursor));
    }

    /// A counter's one writer needs no locked instruction. The polls of a poll session count at the same time.
    #[inline]
    fn add(&self, counter: &AtomicU64, more: u64) {
        if self.is_poll_session() {
            counter.fetch_add(more, Ordering::Relaxed);
        } else {
            counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        }
    }

    /// Nothing is there that it has not.
    #[inline]
    pub(super) fn note_caught_up(&self) {
        self.is_behind.store(false, Ordering::Relaxed);
    }

    /// Returns an upper bound of the number of events between the client and the head of the source.
    pub(super) fn lag(&self, head: Option<&dyn Head>) -> Option<u64> {
        let (client, head) = (self.track.read().cursor?, head?.cursor());
        match self.is_behind.load(Ordering::Relaxed) || self.is_throttled.load(Ordering::Relaxed) {
            false => Some(0),
            true => (client.epoch() == head.epoch()).then(|| head.sequence().saturating_sub(client.sequence())),
        }
    }
}

impl Track {
    /// Stores the cursor of the client.
    #[inline]
    pub(super) fn moved(&self, cursor: Option<Cursor>) {
        let Some(cursor) = cursor else { return };
        self.sequence.store(cursor.sequence(), Ordering::Relaxed);
        if self.epoch.load(Ordering::Relaxed) != cursor.epoch() {
            self.enter(cursor);
        }
    }

    /// Notes a position in another epoch.
    #[cold]
    fn enter(&self, cursor: Cursor) {
        if cursor.epoch() == 0 {
            return self.sequence.store(STARTS_OVER, Ordering::Relaxed);
        }
        self.acknowledged.store(0, Ordering::Relaxed);
        self.epoch.store(cursor.epoch(), Ordering::Relaxed);
    }

    /// Notes that the client is known to have everything up to a cursor. Does nothing if less is known to have been
    /// sent.
    pub(super) fn acknowledge(&self, cursor: Cursor) {
        if self.cursor().is_some_and(|sent| sent.reaches(cursor)) {
            self.acknowledged.fetch_max(cursor.sequence().saturating_add(1), Ordering::Relaxed);
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        let cursor = Cursor::new(self.epoch.load(Ordering::Relaxed), self.sequence.load(Ordering::Relaxed));
        Some(cursor).filter(|cursor| cursor.epoch() != 0 && cursor.sequence() != STARTS_OVER)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> TrackReading {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let acknowledged = read(&self.acknowledged).checked_sub(1);
        TrackReading {
            bytes: read(&self.bytes),
            events: read(&self.events),
            gaps: read(&self.gaps),
            missed: read(&self.missed),
            conflated: read(&self.conflated),
            cursor: self.cursor(),
            acknowledged: acknowledged.map(|sequence| Cursor::new(read(&self.epoch), sequence)),
        }
    }
}
