use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    // The fields that every delivery touches are together.
    bytes: AtomicU64,
    events: AtomicU64,
    /// The position of the last delivery. Epoch 0: the source has no cursors.
    epoch: AtomicU64,
    sequence: AtomicU64,
    /// At the last look, something was there.
    behind: AtomicBool,
    /// Whether several tasks may count at once: the polls of a poll session.
    is_shared: bool,
}

/// Values of a track at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrackReading {
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) gaps: u64,
    pub(super) missed: u64,
    pub(super) conflated: u64,
    pub(super) cursor: Option<Cursor>,
}

impl Track {
    pub(super) fn new(is_shared: bool) -> Self {
        Self { is_shared, ..Self::default() }
    }

    #[inline]
    pub(super) fn delivered(&self, bytes: usize, events: u32, conflated: u32, cursor: Option<Cursor>) {
        self.add(&self.bytes, bytes as u64);
        self.add(&self.events, events.into());
        if conflated != 0 {
            self.add(&self.conflated, conflated.into());
        }
        self.behind.store(true, Ordering::Relaxed);
        self.moved(cursor);
    }

    #[cold]
    pub(super) fn record_gap(&self, gap: &Gap, cursor: Option<Cursor>) {
        self.add(&self.gaps, 1);
        // A snapshot stands for these events, so the client misses none of them.
        let missed = gap.missed.filter(|_| !gap.snapshot).unwrap_or(0);
        self.add(&self.missed, missed);
        self.behind.store(true, Ordering::Relaxed);
        self.moved(cursor);
    }

    /// Notes that the end of a topic was delivered.
    #[cold]
    pub(super) fn ended(&self, cursor: Cursor) {
        self.behind.store(true, Ordering::Relaxed);
        self.moved(Some(cursor));
    }

    /// A counter's one writer needs no locked instruction.
    #[inline]
    fn add(&self, counter: &AtomicU64, more: u64) {
        if self.is_shared {
            counter.fetch_add(more, Ordering::Relaxed);
        } else {
            counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        }
    }

    /// Stores the cursor of the client.
    #[inline]
    pub(super) fn moved(&self, cursor: Option<Cursor>) {
        let Some(cursor) = cursor else { return };
        self.sequence.store(cursor.sequence(), Ordering::Relaxed);
        self.epoch.store(cursor.epoch(), Ordering::Relaxed);
    }

    /// Nothing is there that it has not.
    #[inline]
    pub(super) fn caught_up(&self) {
        self.behind.store(false, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> TrackReading {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let cursor = Cursor::new(read(&self.epoch), read(&self.sequence));
        TrackReading {
            bytes: read(&self.bytes),
            events: read(&self.events),
            gaps: read(&self.gaps),
            missed: read(&self.missed),
            conflated: read(&self.conflated),
            cursor: Some(cursor).filter(|cursor| cursor.epoch() != 0),
        }
    }

    /// Returns an upper bound of the number of events between the client and the head of the source.
    pub(super) fn lag(&self, head: Option<&dyn Head>) -> Option<u64> {
        let (client, head) = (self.read().cursor?, head?.cursor());
        match self.behind.load(Ordering::Relaxed) {
            false => Some(0),
            true => (client.epoch() == head.epoch()).then(|| head.sequence().saturating_sub(client.sequence())),
        }
    }
}
