use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::contract::Head;
use crate::model::{Cursor, Gap, Position};

/// What went out to a session's client. Relaxed: a count is of some moment, and nothing depends on which.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Track {
    gaps: AtomicU64,
    missed: AtomicU64,
    conflated: AtomicU64,
    // What every delivery touches, together.
    bytes: AtomicU64,
    events: AtomicU64,
    /// The position of the last delivery. Epoch 0: the source has no cursors.
    epoch: AtomicU64,
    sequence: AtomicU64,
    /// At the last look, something was there.
    behind: AtomicBool,
    /// Whether several tasks may count at once: the polls of a run.
    is_shared: bool,
}

/// A reading of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tracked {
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
    pub(super) fn told(&self, gap: &Gap, cursor: Option<Cursor>) {
        self.add(&self.gaps, 1);
        // What the application's state stands for, nobody misses.
        let missed = gap.missed.filter(|_| !gap.snapshot).unwrap_or(0);
        self.add(&self.missed, missed);
        self.behind.store(true, Ordering::Relaxed);
        self.moved(cursor);
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

    /// The client is at this place.
    #[inline]
    pub(super) fn moved(&self, cursor: Option<Cursor>) {
        let Some(Position { epoch, sequence, .. }) = cursor.map(Cursor::position) else { return };
        self.sequence.store(sequence, Ordering::Relaxed);
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Nothing is there that it has not.
    #[inline]
    pub(super) fn caught_up(&self) {
        self.behind.store(false, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> Tracked {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let position = Position::new(read(&self.epoch), read(&self.sequence));
        Tracked {
            bytes: read(&self.bytes),
            events: read(&self.events),
            gaps: read(&self.gaps),
            missed: read(&self.missed),
            conflated: read(&self.conflated),
            cursor: (position.epoch != 0).then(|| Cursor::new(position)),
        }
    }

    /// How far the source is ahead, at most.
    pub(super) fn lag(&self, head: Option<&dyn Head>) -> Option<u64> {
        let (client, head) = (self.read().cursor?.position(), head?.cursor().position());
        match self.behind.load(Ordering::Relaxed) {
            false => Some(0),
            true => (client.epoch == head.epoch).then(|| head.sequence.saturating_sub(client.sequence)),
        }
    }
}
