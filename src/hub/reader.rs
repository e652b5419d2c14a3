use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;

use crate::contract::{Batch, Encoding, Format};
use crate::hub::log::{Found, From, Log, Placed};
use crate::hub::segment::Segment;
use crate::hub::shared::Shared;
use crate::hub::sieve::{LeftOut, Sieve};
use crate::model::{Event, Overflow};

/// A place in one log, and the segment that it is in. Reads without a lock.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) log: Arc<Log>,
    segment: Option<Arc<Segment>>,
    /// The dense index of the next event.
    pub(super) next: u64,
    /// How many events it stepped over since the last delivery because newer ones of their keys were there.
    conflated: u32,
}

/// Events to read: written places of a segment, of which the first is to be delivered.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    log: &'a Log,
    segment: &'a Segment,
    places: Range<u32>,
    /// What is to be left out of them; `None`: nothing.
    sieve: Option<Sieve>,
}

/// How far a delivery goes.
#[derive(Debug)]
pub(super) struct Taken {
    places: u32,
    /// The sequence of the last event.
    pub(super) sequence: u64,
    left_out: LeftOut,
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
        Self { log, segment: None, next: placed.index, conflated: 0 }
    }

    /// What can be read without a lock. Steps over what has expired, and for a reader that conflates over what is
    /// replaced.
    pub(super) fn ahead(&mut self, shared: &Shared, overflow: Overflow) -> Option<Ahead<'_>> {
        let segment = self.segment.as_deref()?;
        let (place, len) = (self.place_in(segment), segment.len());
        let (places, sieve) = if place < len && is_whole_from(segment, place, overflow) {
            (place..len, None)
        } else if place == len && !segment.is_sealed() {
            return None;
        } else {
            self.step(shared, overflow)?
        };
        let segment = self.segment.as_deref()?;
        Some(Ahead { log: &self.log, segment, places, sieve })
    }

    /// Steps over what is to be left out and from sealed segments to the next, to an event that is to be delivered.
    #[cold]
    fn step(&mut self, shared: &Shared, overflow: Overflow) -> Option<(Range<u32>, Option<Sieve>)> {
        loop {
            let segment = self.segment.as_deref()?;
            let (place, len) = (self.place_in(segment), segment.len());
            if place < len {
                if is_whole_from(segment, place, overflow) {
                    return Some((place..len, None));
                }
                // The clock is the user's: not asked where nothing ages.
                let now = if segment.never_expires() { 0 } else { shared.now() };
                let sieve = Sieve { now, conflates: overflow == Overflow::Latest };
                let mut left_out = LeftOut::default();
                let run = sieve.next(segment, place..len, &mut left_out);
                self.next = segment.base + u64::from(run.start);
                self.leave_out(left_out, shared);
                if !run.is_empty() {
                    return Some((run.start..len, (run.end < len).then_some(sieve)));
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
    pub(super) fn follow(&mut self, found: Found, shared: &Shared) -> Option<Lost> {
        match found {
            Found::Segment(segment) => self.segment = Some(segment),
            Found::Lost { to, lost, evicted } => {
                let missed = lost.saturating_sub(self.next);
                shared.expired.add(to - lost.max(self.next));
                self.segment = None;
                self.next = to;
                return (missed > 0).then_some(Lost { missed, evicted });
            }
            Found::Nothing => {}
        }
        None
    }

    /// Goes on behind what was taken of what was ahead. Returns how many events were conflated since the last delivery.
    pub(super) fn take(&mut self, taken: &Taken, shared: &Shared) -> u32 {
        self.next += u64::from(taken.places);
        self.leave_out(taken.left_out, shared);
        std::mem::take(&mut self.conflated)
    }

    fn leave_out(&mut self, left_out: LeftOut, shared: &Shared) {
        self.conflated = self.conflated.saturating_add(left_out.conflated);
        left_out.count(&shared.expired, &shared.conflated);
    }

    /// Goes to the first event after a sequence, unless something on the way there is gone.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        let placed = self.log.state().place(From::Live(sequence), 0);
        if placed.gap.is_none() {
            self.next = self.next.max(placed.index);
        }
    }

    /// Lets go of the segment.
    pub(super) fn detach(&mut self) {
        self.segment = None;
    }
}

impl Ahead<'_> {
    /// The sequence of the first.
    pub(super) fn first_sequence(&self) -> u64 {
        self.segment.sequence(self.places.start)
    }

    /// Those of them up to a sequence; `None` if there are none.
    pub(super) fn up_to(mut self, sequence: u64) -> Option<Self> {
        self.places.end = self.segment.place_after(sequence, self.places.clone());
        (!self.places.is_empty()).then_some(self)
    }

    /// Those of them before the first of another topic.
    pub(super) fn of_one_topic(mut self) -> Self {
        self.places.end = self.segment.end_of_topic(self.places.clone());
        self
    }

    /// All of them: by reference, unless some are left out.
    pub(super) fn batch(&self) -> (Batch, Taken) {
        let Some(sieve) = &self.sieve else {
            let batch = Batch::of(Arc::clone(self.segment.run()), self.places.clone());
            return (batch, self.taken(self.places.end, LeftOut::default()));
        };
        let mut events: Vec<(u64, Event)> = Vec::new();
        let mut taken = self.taken(self.places.start, LeftOut::default());
        self.runs(sieve, |run, left_out| {
            let entries = run.clone().filter_map(|place| self.segment.entry(place));
            events.extend(entries.map(|entry| (entry.sequence, entry.event.clone())));
            taken = self.taken(run.end, left_out);
            true
        });
        (Batch::new(self.segment.run().topic_at(self.places.start).clone(), self.log.epoch, events), taken)
    }

    /// The first of them, encoded: at least one, at most `max` bytes otherwise.
    pub(super) fn encode(&self, format: &dyn Format, max: usize) -> (Encoding, Taken) {
        let Some(sieve) = &self.sieve else {
            let (bytes, end) = self.segment.encode(format, self.places.clone(), max, &self.log.audience);
            return (Encoding::new(bytes, end - self.places.start), self.taken(end, LeftOut::default()));
        };
        let (mut bytes, mut events) = (BytesMut::new(), 0);
        let mut taken = self.taken(self.places.start, LeftOut::default());
        self.runs(sieve, |run, left_out| {
            for (place, event) in run.clone().zip(self.segment.run().published(run)) {
                let whole = bytes.len();
                format.encode(&event, &mut bytes);
                if whole > 0 && bytes.len() > max {
                    bytes.truncate(whole);
                    return false;
                }
                events += 1;
                taken = self.taken(place + 1, left_out);
            }
            true
        });
        (Encoding::new(bytes.freeze(), events), taken)
    }

    /// Hands out each run of events to deliver, with what was left out up to there, until one is not taken.
    fn runs(&self, sieve: &Sieve, mut take: impl FnMut(Range<u32>, LeftOut) -> bool) {
        let (mut at, mut left_out) = (self.places.start, LeftOut::default());
        loop {
            let run = sieve.next(self.segment, at..self.places.end, &mut left_out);
            at = run.end;
            if run.is_empty() || !take(run, left_out) {
                return;
            }
        }
    }

    /// Up to this place, behind the last event delivered.
    fn taken(&self, end: u32, left_out: LeftOut) -> Taken {
        Taken { places: end - self.places.start, sequence: self.segment.sequence(end.saturating_sub(1)), left_out }
    }
}

/// Whether all that is written from this place on is for this reader.
fn is_whole_from(segment: &Segment, place: u32, overflow: Overflow) -> bool {
    segment.never_expires() && (overflow != Overflow::Latest || segment.is_newest_from(place))
}
