use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::hub::log::fill::{Fill, WHOLE, fill_after, fill_after_place, filled_up_to, is_fill};
use crate::hub::log::log::{Log, LogState};
use crate::hub::log::seek::{EndAhead, Found, StartAt, StartPoint};
use crate::hub::log::segment::Segment;
use crate::hub::shared::Shared;
use crate::hub::subscription::delivery_filter::DeliveryFilter;
use crate::hub::subscription::segment_slice::SegmentSlice;
use crate::hub::subscription::taken::{LeftOut, Taken};
use crate::model::Overflow;

/// Position in one log, and the segment that holds it. Reads without a lock.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) log: Arc<Log>,
    pub(super) segment: Option<Arc<Segment>>,
    /// Dense index of the next event.
    pub(crate) next: u64,
    /// Sequence of the last event that was left out between deliveries. In a keyed topic, sequence up to which the reader
    /// needs no removal, see [`LogState::fill`].
    pub(super) stepped: u64,
    /// Number of replaced events that were left out since the last delivery.
    conflated: u32,
    pub(crate) uncounted: Uncounted,
}

/// Number of delivered events that are not counted in the log's state yet. Counting takes the log's lock; readers of
/// one topic share no counter that all of them write to.
#[derive(Debug, Default)]
pub(crate) struct Uncounted(u32);

/// Index of a reader that has read the end of its topic: higher than any in a log.
const FINISHED: u64 = u64::MAX - 1;

/// Number of delivered events after which a reader counts them although there is more to read.
const UNCOUNTED: u32 = 1 << 16;

/// Result of a look at the segment in hand, without a lock and without a step.
#[derive(Debug)]
pub(crate) enum Look<'a> {
    /// Events, all of which are to be delivered.
    Unread(SegmentSlice<'a>),
    /// The segment has no unread event, and may get more.
    Nothing,
    /// The reader must step to another segment, or filter the events.
    Unclear,
}

/// Loss of the events that a reader would have read next.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Number of missed events.
    pub(crate) missed: u64,
    /// Sequence of the last missed event.
    pub(crate) evicted: u64,
    /// Sequence of the last event that was left out before them.
    pub(crate) stepped: u64,
}

impl Reader {
    pub(crate) fn new(log: Arc<Log>, point: &StartPoint) -> Self {
        let next = if point.end == EndAhead::Passed { FINISHED } else { point.index };
        Self { log, segment: None, next, stepped: point.base, conflated: 0, uncounted: Uncounted::default() }
    }

    /// Looks at the segment in hand.
    #[inline(always)]
    pub(crate) fn look(&self, overflow: Overflow) -> Look<'_> {
        let Some(segment) = self.segment.as_deref() else {
            return Look::Nothing;
        };
        let (place, len) = (self.place_in(segment), segment.len());
        if place == len {
            // A reader releases a sealed segment that it has read.
            return if segment.is_sealed() { Look::Unclear } else { Look::Nothing };
        }
        match segment.never_expires() && overflow != Overflow::Latest {
            true => Look::Unread(SegmentSlice::new(&self.log, segment, place..len, true)),
            false => Look::Unclear,
        }
    }

    /// Returns the events that a [look](Self::look) found. `end` is the end of their places: later events may expire.
    #[inline(always)]
    pub(crate) fn found(&self, end: u32) -> Option<SegmentSlice<'_>> {
        let segment = self.segment.as_deref()?;
        Some(SegmentSlice::new(&self.log, segment, self.place_in(segment)..end, true))
    }

    /// Returns the events that can be read without a lock. Leaves out those that have expired and, for a reader that
    /// conflates, those that are replaced.
    #[inline]
    pub(crate) fn unread(&mut self, shared: &Shared, overflow: Overflow) -> Option<SegmentSlice<'_>> {
        self.unread_before(u64::MAX, shared, overflow)
    }

    /// Returns the events that can be read without a lock, for a reader that leaves out no event at `end` or later.
    #[inline]
    pub(crate) fn unread_before(&mut self, end: u64, shared: &Shared, overflow: Overflow) -> Option<SegmentSlice<'_>> {
        let (places, is_whole) = match self.look(overflow) {
            Look::Unread(unread) => (unread.places(), true),
            Look::Nothing => return None,
            Look::Unclear => self.step(end, shared, overflow)?,
        };
        let segment = self.segment.as_deref()?;
        Some(SegmentSlice::new(&self.log, segment, places, is_whole))
    }

    /// Steps to an event to deliver: past others, and from sealed segments to the next.
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
                let run = DeliveryFilter::new(segment, shared, overflow).next(place..until, &mut left_out);
                let stepped = run.start.checked_sub(1).filter(|&last| last >= place).map(|last| segment.sequence(last));
                self.next = segment.base + u64::from(run.start);
                self.stepped = stepped.map_or(self.stepped, |stepped| stepped.max(self.stepped));
                self.leave_out(left_out, shared);
                if !run.is_empty() {
                    return Some((run.start..len, false));
                }
                continue;
            }
            // The segment is sealed, but events may have been written between the look at its length and here.
            let next = segment.next()?;
            if place >= segment.len() {
                if is_fill(self.next) {
                    self.release();
                    return None;
                }
                self.segment = next;
                if self.uncounted.0 >= UNCOUNTED {
                    self.uncounted.count(&mut self.log.state());
                }
            }
        }
        None
    }

    /// Returns whether all events from a written place on are to be delivered, and no conflated ones are to be counted
    /// with them.
    #[inline]
    fn takes_all(&self, segment: &Segment, place: u32, overflow: Overflow) -> bool {
        segment.never_expires() && (overflow != Overflow::Latest || self.takes_newest(segment, place))
    }

    /// Not inlined, for readers that do not conflate.
    #[inline(never)]
    fn takes_newest(&self, segment: &Segment, place: u32) -> bool {
        self.conflated == 0 && segment.is_newest_from(place)
    }

    fn place_in(&self, segment: &Segment) -> u32 {
        (self.next - segment.base) as u32
    }

    /// Goes to the result of a search under the log's lock. Events at `end` or later that are gone do not count as
    /// missed.
    pub(crate) fn follow(&mut self, found: Found, end: u64, shared: &Shared) -> Option<Lost> {
        match found {
            Found::Segment(segment) => self.segment = Some(segment),
            Found::Lost { to, gone, missed, lost, evicted } => {
                let [missed_to, lost_to, gone_to] = [missed, lost, to].map(|index| index.clamp(self.next, end));
                let missed = missed_to - self.next;
                // Events that are missing in a pattern's log are looked up in the topics' logs.
                if self.log.name.as_topic().is_some() {
                    shared.missed.add(missed);
                }
                self.leave_out(LeftOut::new(gone_to - lost_to, lost_to - missed_to), shared);
                self.segment = None;
                self.next = to;
                let stepped = std::mem::replace(&mut self.stepped, gone);
                return (missed > 0).then_some(Lost { missed, evicted, stepped });
            }
            Found::Fill | Found::Nothing => {}
        }
        None
    }

    /// Continues in a keyed topic by sequence: in a fill, or if the index of the reader has left memory. `sequence` is the
    /// subscription's. Returns the sequence of the newest forgotten removal if the client must forget its state. The whole
    /// state follows then.
    #[cold]
    pub(crate) fn fill(&mut self, sequence: u64) -> Option<u64> {
        if !is_fill(self.next) {
            self.stepped = self.stepped.max(sequence);
            self.next = fill_after(self.stepped);
        }
        // Before anything changes: the drop of an event may panic.
        self.release();
        loop {
            let (fill, replaced) = self.log.state().fill(&self.log, filled_up_to(self.next), self.stepped);
            let (next, base) = match fill {
                Fill::Nothing { up_to, base } => (fill_after(up_to), base),
                Fill::Segment { index, base, .. } => (index, base),
                Fill::Log { index, sequence } => (index, sequence),
                Fill::Lost { .. } => (fill_after(0), WHOLE),
            };
            (self.next, self.stepped) = (next, base);
            let is_partly = matches!(fill, Fill::Nothing { .. });
            let forgotten = match fill {
                Fill::Segment { segment, .. } => {
                    self.segment = Some(segment);
                    None
                }
                Fill::Lost { forgotten } => Some(forgotten),
                Fill::Nothing { .. } | Fill::Log { .. } => None,
            };
            drop(replaced);
            if !is_partly {
                return forgotten;
            }
        }
    }

    /// Notes that everything up to a sequence is read, unless the reader is in a fill.
    pub(crate) fn note_read(&mut self, sequence: u64) {
        if !is_fill(self.next) {
            self.stepped = self.stepped.max(sequence);
        }
    }

    /// Returns whether the reader is in a fill, or has just read one.
    #[inline]
    pub(crate) fn is_in_fill(&self) -> bool {
        is_fill(self.next)
    }

    /// Moves past events that were taken. Returns the number of events that they stand for beside themselves.
    #[inline(always)]
    pub(crate) fn pass<E>(&mut self, taken: &Taken<E>, shared: &Shared) -> u32 {
        self.uncounted.0 += taken.count;
        let Some(filtered) = &taken.filtered else {
            self.next += u64::from(taken.count);
            return 0;
        };
        let looked = filtered.next - self.next;
        self.next = filtered.next;
        self.leave_out(filtered.left_out, shared);
        let LeftOut { expired, conflated } = filtered.left_out;
        // An event may have been marked as replaced since it was taken.
        let by_predicate = looked.saturating_sub([taken.count, expired, conflated].map(u64::from).iter().sum());
        if by_predicate > 0 {
            shared.filtered.add(by_predicate);
        }
        if taken.count == 0 {
            return 0;
        }
        std::mem::take(&mut self.conflated)
    }

    /// Moves past the end of the topic. From now on the subscription does not count as a reader of the log. Called after
    /// [`release`](Self::release).
    #[cold]
    pub(crate) fn finish(&mut self) {
        let mut state = self.log.state();
        self.next = FINISHED;
        self.uncounted.count(&mut state);
        let subscriptions = state.subscriptions - 1;
        state.subscribe(&self.log, subscriptions);
    }

    /// Returns whether the reader has read the end of the topic, or began after it.
    pub(crate) fn is_finished(&self) -> bool {
        self.next == FINISHED
    }

    /// Returns the time until the next event of the topic is likely; [`Duration::MAX`] if nothing is known of it.
    pub(crate) fn next_in(&self, now: u64) -> Duration {
        self.log.state().publish_pace().map_or(Duration::MAX, |pace| pace.next_in(now))
    }

    /// Takes over the conflated events of another reader of the subscription that are not delivered yet.
    pub(crate) fn take_conflated(&mut self, other: &mut Self) {
        self.conflated = self.conflated.saturating_add(std::mem::take(&mut other.conflated));
    }

    fn leave_out(&mut self, left_out: LeftOut, shared: &Shared) {
        self.conflated = self.conflated.saturating_add(left_out.conflated);
        left_out.count(&shared.expired, &shared.conflated);
    }

    /// Moves to the first event in memory after a sequence, if the reader is not past it. Returns the sequence of the last event
    /// between them that is gone. In the log of a pattern it moves to the first such event, which it looks for in the topics.
    /// A state that the client lacks is not skipped.
    pub(crate) fn skip_to(&mut self, sequence: u64, overflow: Overflow) -> Option<u64> {
        if self.is_in_fill() {
            self.skip_fill(sequence);
            return None;
        }
        // The end first: an event that is appended meanwhile is not before it.
        let in_hand = self.segment.as_deref().map(|segment| (segment.end(), segment.index_after(sequence)));
        let (index, gap) = match in_hand {
            // The log may have lost the segment in hand.
            Some((_, Some(index))) => (index, None),
            in_hand => {
                let StartPoint { index, gap, .. } = self.log.state().place(StartAt::Live(sequence), overflow);
                if gap.is_some() && self.log.name.as_topic().is_none() {
                    // The next search finds the loss. The link to the next segment may lead to one that the log has lost and
                    // another reader holds, with events up to the sequence.
                    if let Some((end, _)) = in_hand {
                        (self.next, self.conflated, self.segment) = (end, 0, None);
                    }
                    return None;
                }
                (index, gap)
            }
        };
        if self.next >= index {
            return None;
        }
        if gap.is_some() && self.log.is_keyed() {
            self.stepped = self.stepped.max(sequence);
            (self.next, self.segment) = (fill_after(sequence), None);
            return None;
        }
        (self.next, self.conflated) = (index, 0);
        self.stepped = if self.log.is_keyed() { self.stepped.max(sequence) } else { self.stepped };
        if !matches!(in_hand, Some((_, Some(_)))) {
            self.segment = None;
        }
        gap
    }

    /// Begins again in a keyed topic, after a sequence up to which the client has everything.
    #[cold]
    pub(crate) fn begin_after(&mut self, sequence: u64) {
        self.release();
        (self.next, self.stepped) = (fill_after(sequence), sequence);
    }

    #[cold]
    fn skip_fill(&mut self, sequence: u64) {
        if self.lacks_state() {
            return;
        }
        self.release();
        if filled_up_to(self.next) < sequence {
            (self.next, self.stepped) = (fill_after(sequence), self.stepped.max(sequence));
        }
    }

    /// Returns whether the reader is in a fill of a state that the client does not have up to the reader's position: it began
    /// without a cursor, or in the middle of the state.
    pub(crate) fn lacks_state(&self) -> bool {
        self.is_in_fill() && self.stepped > self.filled()
    }

    /// Returns the sequence up to which everything is read, in a fill.
    fn filled(&self) -> u64 {
        match self.segment.as_deref() {
            Some(segment) => filled_up_to(fill_after_place(segment, self.place_in(segment))),
            None => filled_up_to(self.next),
        }
    }

    /// Releases the segment if it is sealed. Called when all events of the segment are read.
    pub(crate) fn release_sealed(&mut self) {
        if self.segment.as_deref().is_some_and(Segment::is_sealed) {
            self.release();
        }
    }

    /// Releases the segment.
    pub(crate) fn release(&mut self) {
        if let Some(segment) = self.segment.as_deref().filter(|_| is_fill(self.next)) {
            self.next = fill_after_place(segment, self.place_in(segment));
        }
        self.segment = None;
    }
}

impl Uncounted {
    /// Adds the number to the log's state.
    #[inline]
    pub(crate) fn count(&mut self, state: &mut LogState) {
        state.delivered += u64::from(std::mem::take(&mut self.0));
    }

    /// Takes the number, to be counted elsewhere.
    pub(crate) fn take(&mut self) -> u64 {
        std::mem::take(&mut self.0).into()
    }
}
