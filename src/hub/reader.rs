use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::contract::{Batch, EncodedBatch, Format};
use crate::hub::joined::Reading;
use crate::hub::log::{Log, State};
use crate::hub::placing::{Found, From, Placed};
use crate::hub::segment::Segment;
use crate::hub::shared::Shared;
use crate::hub::sieve::{LeftOut, Sieve, Taken};
use crate::model::Overflow;

/// A place in one log, and the segment that it is in. Reads without a lock.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) log: Arc<Log>,
    segment: Option<Arc<Segment>>,
    /// The dense index of the next event.
    pub(super) next: u64,
    /// The sequence of the last event that it stepped over between deliveries.
    stepped: u64,
    /// How many replaced events it stepped over since the last delivery.
    conflated: u32,
    pub(super) uncounted: Uncounted,
}

/// How many events were delivered that are not yet counted in the log's state, for which it takes the log's lock:
/// readers of one topic share no count that all of them write to.
#[derive(Debug, Default)]
pub(super) struct Uncounted(u32);

/// How many events a reader delivers before it has them counted though there is more to read.
const UNCOUNTED: u32 = 1 << 16;

/// Result of a glance.
#[derive(Debug)]
pub(super) enum Glance<'a> {
    /// Events, all of which are to be delivered.
    AtHand(Ahead<'a>),
    /// Nothing, as far as can be seen without the log's lock.
    Nothing,
    Unclear,
}

/// Events to read: written places of a segment, of which the first is to be delivered.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    log: &'a Log,
    segment: &'a Segment,
    places: Range<u32>,
    /// Whether all of them are to be delivered. If not, they go through a sieve.
    pub(super) is_whole: bool,
}

/// Loss of the events that a reader should have read next.
#[derive(Debug)]
pub(super) struct Lost {
    /// How many events.
    pub(super) missed: u64,
    /// The sequence of the last of them.
    pub(super) evicted: u64,
    /// The sequence of the last event that it stepped over before them.
    pub(super) stepped: u64,
}

impl Reader {
    pub(super) fn new(log: Arc<Log>, placed: &Placed) -> Self {
        Self { log, segment: None, next: placed.index, stepped: 0, conflated: 0, uncounted: Uncounted::default() }
    }

    /// Looks for events without a lock, and without a step over any.
    #[inline(always)]
    pub(super) fn glance(&self, overflow: Overflow) -> Glance<'_> {
        let Some(segment) = self.segment.as_deref() else {
            return Glance::Nothing;
        };
        let places = self.place_in(segment)..segment.len();
        if places.is_empty() {
            // Of a sealed segment it must let go.
            return if segment.is_sealed() { Glance::Unclear } else { Glance::Nothing };
        }
        match segment.never_expires() && overflow != Overflow::Latest {
            true => Glance::AtHand(Ahead { log: &self.log, segment, places, is_whole: true }),
            false => Glance::Unclear,
        }
    }

    /// Returns the events [at hand](Glance::AtHand) after a glance that found this number of events: later ones may
    /// expire.
    #[inline(always)]
    pub(super) fn at_hand(&self, events: u32) -> Option<Ahead<'_>> {
        let segment = self.segment.as_deref()?;
        let place = self.place_in(segment);
        Some(Ahead { log: &self.log, segment, places: place..place + events, is_whole: true })
    }

    /// Returns the events that can be read without a lock. Steps over those that have expired, and for a reader that
    /// conflates over those that are replaced.
    #[inline]
    pub(super) fn ahead(&mut self, shared: &Shared, overflow: Overflow) -> Option<Ahead<'_>> {
        self.ahead_before(u64::MAX, shared, overflow)
    }

    /// Returns what can be read without a lock, for a reader that does not step over the event at `end` or a later one.
    #[inline]
    pub(super) fn ahead_before(&mut self, end: u64, shared: &Shared, overflow: Overflow) -> Option<Ahead<'_>> {
        let segment = self.segment.as_deref()?;
        let (place, len) = (self.place_in(segment), segment.len());
        let (places, is_whole) = if place < len && self.takes_all(segment, place, overflow) {
            (place..len, true)
        } else if place == len && !segment.is_sealed() {
            return None;
        } else {
            self.step(end, shared, overflow)?
        };
        let segment = self.segment.as_deref()?;
        Some(Ahead { log: &self.log, segment, places, is_whole })
    }

    /// Steps over what is not to be delivered and from sealed segments to the next, to an event that is.
    #[cold]
    fn step(&mut self, end: u64, shared: &Shared, overflow: Overflow) -> Option<(Range<u32>, bool)> {
        while self.next < end {
            let segment = self.segment.as_deref()?;
            let (place, len) = (self.place_in(segment), segment.len());
            if place < len {
                if self.takes_all(segment, place, overflow) {
                    return Some((place..len, true));
                }
                let mut left_out = LeftOut::default();
                let until = u32::try_from(end - segment.base).map_or(len, |end| end.min(len));
                let run = Sieve::new(segment, shared, overflow).next(place..until, &mut left_out);
                let stepped = run.start.checked_sub(1).filter(|&last| last >= place).map(|last| segment.sequence(last));
                self.next = segment.base + u64::from(run.start);
                self.stepped = stepped.unwrap_or(self.stepped);
                self.leave_out(left_out, shared);
                if !run.is_empty() {
                    return Some((run.start..len, false));
                }
                continue;
            }
            // Sealed: but it may have been written to between the look at its length and here.
            let next = segment.next()?;
            if place >= segment.len() {
                self.segment = next;
                if self.uncounted.0 >= UNCOUNTED {
                    self.uncounted.count(&mut self.log.state());
                }
            }
        }
        None
    }

    /// Whether all that is written from a place on is to be delivered, and there is nothing else to tell with it.
    #[inline]
    fn takes_all(&self, segment: &Segment, place: u32, overflow: Overflow) -> bool {
        segment.never_expires() && (overflow != Overflow::Latest || self.takes_newest(segment, place))
    }

    /// Out of line for readers that conflate nothing.
    #[inline(never)]
    fn takes_newest(&self, segment: &Segment, place: u32) -> bool {
        self.conflated == 0 && segment.is_newest_from(place)
    }

    fn place_in(&self, segment: &Segment) -> u32 {
        (self.next - segment.base) as u32
    }

    /// Goes to what was found under the log's lock. What is gone from the event at `end` on does not count.
    pub(super) fn follow(&mut self, found: Found, end: u64, shared: &Shared) -> Option<Lost> {
        match found {
            Found::Segment(segment) => self.segment = Some(segment),
            Found::Lost { to, gone, missed, lost, evicted } => {
                let [missed_to, lost_to, gone_to] = [missed, lost, to].map(|index| index.clamp(self.next, end));
                let missed = missed_to - self.next;
                // Events missing in a pattern's log are looked up in the topics' logs.
                if self.log.name.as_topic().is_some() {
                    shared.missed.add(missed);
                }
                self.leave_out(LeftOut::new(gone_to - lost_to, lost_to - missed_to), shared);
                self.segment = None;
                self.next = to;
                let stepped = std::mem::replace(&mut self.stepped, gone);
                return (missed > 0).then_some(Lost { missed, evicted, stepped });
            }
            Found::Nothing => {}
        }
        None
    }

    /// Takes the first events of what was ahead.
    #[inline]
    pub(super) fn advance(&mut self, events: u32) {
        self.next += u64::from(events);
        self.uncounted.0 += events;
    }

    /// In how long the topic's next event is likely; never, where nothing is known of it.
    pub(super) fn next_in(&self, now: u64) -> Duration {
        self.log.state().rhythm().map_or(Duration::MAX, |rhythm| rhythm.next_in(now))
    }

    /// Takes so many events, which a sieve left of what was ahead. Returns how many events were conflated since the last delivery.
    #[cold]
    pub(super) fn take(&mut self, taken: &Taken, events: u32, shared: &Shared) -> u32 {
        self.next = taken.next;
        self.uncounted.0 += events;
        self.leave_out(taken.left_out, shared);
        std::mem::take(&mut self.conflated)
    }

    /// Takes over what another reader of the subscription conflated and did not tell.
    pub(super) fn take_conflated(&mut self, other: &mut Self) {
        self.conflated = self.conflated.saturating_add(std::mem::take(&mut other.conflated));
    }

    fn leave_out(&mut self, left_out: LeftOut, shared: &Shared) {
        self.conflated = self.conflated.saturating_add(left_out.conflated);
        left_out.count(&shared.expired, &shared.conflated);
    }

    /// Goes to the first event after a sequence, unless something on the way there is gone.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        let placed = self.log.state().place(From::Live(sequence), Overflow::Gap);
        if placed.gap.is_none() {
            self.next = self.next.max(placed.index);
        }
    }

    /// Lets go of a segment to which nothing is added any more, when everything in it is read.
    pub(super) fn let_go(&mut self) {
        if self.segment.as_deref().is_some_and(Segment::is_sealed) {
            self.release();
        }
    }

    /// Lets go of the segment.
    pub(super) fn release(&mut self) {
        self.segment = None;
    }
}

impl Uncounted {
    /// Counts them.
    #[inline]
    pub(super) fn count(&mut self, state: &mut State) {
        state.delivered += u64::from(std::mem::take(&mut self.0));
    }

    /// Hands them over, to be counted elsewhere.
    pub(super) fn take(&mut self) -> u64 {
        std::mem::take(&mut self.0).into()
    }
}

impl Ahead<'_> {
    /// How many places there are; at least one.
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

    /// Those of them before the first of another topic.
    pub(super) fn of_one_topic(mut self) -> Self {
        self.places.end = self.segment.end_of_topic(self.places.clone());
        self
    }

    /// All of them, by reference.
    pub(super) fn batch(&self) -> Batch {
        Batch::of(Arc::clone(self.segment.run()), self.places.clone())
    }

    /// The first of them, encoded, for a reader that has waited for them or has not: how many they are and the sequence of
    /// the last.
    #[inline(always)]
    pub(super) fn encode(&self, format: &dyn Format, max: usize, shared: &Shared, waited: bool) -> (Bytes, u32, u64) {
        let reading = Reading { shared, log: self.log, waited };
        let (bytes, end) = self.segment.encode(format, self.places.clone(), max, reading);
        (bytes, end - self.places.start, self.segment.sequence(end - 1))
    }

    /// Returns the events that a sieve leaves of them; `None` if it leaves none.
    #[cold]
    pub(super) fn sieved_batch(&self, shared: &Shared, overflow: Overflow) -> Option<(Batch, Taken)> {
        Sieve::new(self.segment, shared, overflow).batch(self.places.clone())
    }

    /// Encodes the first of the events that a sieve leaves of them; `None` if it leaves none.
    #[cold]
    pub(super) fn sieved_encode(
        &self,
        shared: &Shared,
        overflow: Overflow,
        format: &dyn Format,
        max: usize,
    ) -> Option<(EncodedBatch, Taken)> {
        let reading = Reading { shared, log: self.log, waited: false };
        Sieve::new(self.segment, shared, overflow).encode(self.places.clone(), format, max, reading)
    }
}
