use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::contract::{Batch, Format};
use crate::hub::log::{Found, Log, Placed};
use crate::hub::segment::Segment;
use crate::hub::shared::Shared;

/// A place in one topic's log, and the segment that it is in. Reads without a lock.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) log: Arc<Log>,
    segment: Option<Arc<Segment>>,
    /// The dense index of the next event.
    pub(super) next: u64,
}

/// Events to read: written places of a segment, none of which has expired.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    log: &'a Log,
    segment: &'a Segment,
    places: Range<u32>,
}

/// What a reader should have read next is gone.
#[derive(Debug)]
pub(super) struct Lost {
    /// How many events.
    pub(super) missed: u64,
    /// The sequence of the last of them.
    pub(super) evicted: u64,
}

impl Reader {
    pub(super) fn new(log: Arc<Log>, placed: &Placed) -> Self {
        Self { log, segment: None, next: placed.index }
    }

    /// What can be read without a lock. Steps over what has expired.
    pub(super) fn ahead(&mut self, shared: &Shared) -> Option<Ahead<'_>> {
        let segment = self.segment.as_deref()?;
        let (place, len) = (self.place_in(segment), segment.len());
        let places = if place < len && segment.never_expires() {
            place..len
        } else if place == len && !segment.is_sealed() {
            return None;
        } else {
            self.step(shared)?
        };
        let segment = self.segment.as_deref()?;
        Some(Ahead { log: &self.log, segment, places })
    }

    /// Steps over expired events and from sealed segments to the next, to written places that live.
    #[cold]
    fn step(&mut self, shared: &Shared) -> Option<Range<u32>> {
        loop {
            let segment = self.segment.as_deref()?;
            let (place, len) = (self.place_in(segment), segment.len());
            if place < len {
                if segment.never_expires() {
                    return Some(place..len);
                }
                let now = shared.now();
                let alive = (place..len).find(|&place| !segment.is_expired(place, now));
                let start = alive.unwrap_or(len);
                shared.expired.add(u64::from(start - place));
                self.next = segment.base + u64::from(start);
                if start < len {
                    let end = (start..len).find(|&place| segment.is_expired(place, now)).unwrap_or(len);
                    return Some(start..end);
                }
                continue;
            }
            // Sealed: but it may have been written to between the look at its length and here.
            let next = segment.next()?;
            if place >= segment.len() {
                self.segment = next;
            }
        }
    }

    fn place_in(&self, segment: &Segment) -> u32 {
        (self.next - segment.base) as u32
    }

    /// Goes to what was found under the log's lock.
    pub(super) fn follow(&mut self, found: Found) -> Option<Lost> {
        match found {
            Found::Segment(segment) => self.segment = Some(segment),
            Found::Lost { to, evicted } => {
                let missed = to - self.next;
                self.segment = None;
                self.next = to;
                return Some(Lost { missed, evicted });
            }
            Found::Nothing => {}
        }
        None
    }

    /// Takes the first events of what was ahead.
    pub(super) fn advance(&mut self, events: u32) {
        self.next += u64::from(events);
    }

    /// In how long the topic's next event is likely; never, where nothing is known of it.
    pub(super) fn next_in(&self, now: u64) -> Duration {
        self.log.state().rhythm().map_or(Duration::MAX, |rhythm| rhythm.next_in(now))
    }

    /// Lets go of the segment.
    pub(super) fn detach(&mut self) {
        self.segment = None;
    }
}

impl Ahead<'_> {
    /// How many events there are; at least one.
    pub(super) fn len(&self) -> u32 {
        self.places.end - self.places.start
    }

    /// The sequence of the first.
    pub(super) fn first_sequence(&self) -> u64 {
        self.segment.sequence(self.places.start)
    }

    /// The sequence of the last.
    pub(super) fn last_sequence(&self) -> u64 {
        self.segment.sequence(self.places.end - 1)
    }

    /// Those of them up to a sequence; `None` if there are none.
    pub(super) fn up_to(mut self, sequence: u64) -> Option<Self> {
        self.places.end = self.segment.place_after(sequence, self.places.clone());
        (!self.places.is_empty()).then_some(self)
    }

    /// All of them, by reference.
    pub(super) fn batch(&self) -> Batch {
        Batch::of(Arc::clone(self.segment.run()), self.places.clone())
    }

    /// The first of them, encoded: how many they are and the sequence of the last.
    pub(super) fn encode(&self, format: &dyn Format, max: usize) -> (Bytes, u32, u64) {
        let (bytes, end) = self.segment.encode(format, self.places.clone(), max, &self.log.audience);
        (bytes, end - self.places.start, self.segment.sequence(end - 1))
    }
}
