use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::hub::log::seek::StartAt;
use crate::hub::log::state_start::{Starts, StateStart};
use crate::hub::shared::Shared;
use crate::hub::subscription::reader::{Lost, Reader};
use crate::hub::subscription::state_position::state_gap;
use crate::hub::subscription::unread_topic::{Loss, UnreadTopic};
use crate::hub::topics::find_topics::MatchedTopic;
use crate::model::{Cursor, Gap, GapReason, Overflow, Pattern, Topic};

/// Events that a subscription of a pattern reads from the logs of the topics, merged, before it continues in the
/// pattern's log: when it starts in the past, and when it has fallen behind. It holds only topics with unread events,
/// each until it is read.
#[derive(Debug)]
pub(crate) struct Backfill {
    /// Last sequence of the backfill; later events are in the pattern's log.
    pub(super) boundary: u64,
    /// Topic with the earliest unread event.
    pub(super) first: Option<UnreadTopic>,
    pub(super) rest: BinaryHeap<Reverse<UnreadTopic>>,
    /// Missing events, by the sequence of the last of them.
    gaps: BTreeMap<u64, Missing>,
    /// Gaps of keyed topics whose clients must forget their states. They precede everything.
    pub(super) forgotten: Vec<Gap>,
    /// Whether events are gone that were published while the subscription existed.
    pub(crate) is_behind: bool,
}

/// Missing events of one topic or of several.
#[derive(Debug)]
struct Missing {
    reason: GapReason,
    missed: Option<u64>,
    topic: Option<Topic>,
}

/// Result of the search for topics.
struct LookUp {
    /// Number of events of the backfill.
    events: u64,
    /// Sequence up to which topics may have been forgotten: each new topic may seem to be one of them.
    forgotten: u64,
    /// Topics that may have lost events. Their last loss is after the boundary, so it may be their only one.
    unsure: Option<Missing>,
}

impl Backfill {
    /// Returns an empty backfill: the pattern's log has everything after `boundary`.
    pub(crate) fn none(boundary: u64) -> Self {
        Self {
            boundary,
            first: None,
            rest: BinaryHeap::new(),
            gaps: BTreeMap::new(),
            forgotten: Vec::new(),
            is_behind: false,
        }
    }

    /// Returns the backfill of a subscription that starts in the past, up to `boundary`. Also returns a possible gap whose
    /// position is not known, which is therefore delivered first.
    pub(crate) fn begin(
        shared: &Shared,
        pattern: &Pattern,
        starts: Starts,
        boundary: u64,
        overflow: Overflow,
    ) -> (Self, Option<Gap>) {
        let mut this = Self::none(boundary);
        let after = starts.plain.after();
        let is_whole = shared.has_keyed && starts.is_whole();
        if after.is_some_and(|after| after >= boundary) && !(is_whole && shared.registry.may_be_keyed(pattern)) {
            return (this, None);
        }
        let found = this.look_up(shared, pattern, starts, GapReason::Evicted, overflow);
        let unsure = found.unsure.zip(after);
        (this, unsure.map(|(missing, after)| missing.gap(shared.cursor(after)).with_gone(shared.cursor(boundary))))
    }

    /// Sets the backfill of a subscription that has read up to `read` and has fallen behind the pattern's log.
    #[cold]
    pub(crate) fn catch_up(&mut self, shared: &Shared, pattern: &Pattern, read: u64, lost: &Lost, overflow: Overflow) {
        // Events that were left out must not be found again: they would make up for missing ones.
        let after = read.max(self.boundary).max(lost.stepped);
        *self = Self::none(lost.evicted);
        // A removal up to there was delivered, or left out because a newer event of its key is in the state.
        let keyed = StateStart::After { sequence: after, base: after };
        let starts = Starts { plain: StartAt::Live(after), keyed };
        let found = self.look_up(shared, pattern, starts, GapReason::Overflow, overflow);
        // Each of these topics has lost at least one event; those before them may have lost none.
        let mut certain = self.gaps.split_off(&(found.forgotten + 1));
        // The log also counts events that the subscription skipped. No more can be missing than there are sequences.
        let missed = lost.missed.min(lost.evicted.saturating_sub(after));
        // Some events of the pattern's log are in no topic: they are lost or expired, which cannot be distinguished.
        let is_short = found.events + (certain.len() as u64) < missed;
        if !is_short {
            self.gaps.clear();
        }
        self.gaps.append(&mut certain);
        if let Some(missing) = found.unsure.filter(|_| is_short) {
            self.put_gap(self.boundary, missing);
        }
        self.is_behind = !self.gaps.is_empty();
    }

    fn look_up(
        &mut self,
        shared: &Shared,
        pattern: &Pattern,
        starts: Starts,
        reason: GapReason,
        overflow: Overflow,
    ) -> LookUp {
        let from = starts.plain;
        // All events after this that are gone are missed.
        let after = from.after().unwrap_or(u64::MAX);
        // Only topics with an event after this are looked at. The state of a topic may be older.
        let is_whole = shared.has_keyed && starts.is_whole();
        let had_event_after = from.after().filter(|_| !is_whole);
        let (now, boundary) = (shared.now(), self.boundary);
        let (mut unread, mut found) = (Vec::new(), LookUp { events: 0, forgotten: 0, unsure: None });
        let gone = |this: &mut Self, found: &mut LookUp, sequence: u64, topic: Option<Topic>| {
            let missing = Missing { reason, missed: None, topic };
            if sequence <= boundary {
                return this.put_gap(sequence, missing);
            }
            match &mut found.unsure {
                Some(other) => other.add(&missing),
                none => *none = Some(missing),
            }
        };
        let forgotten =
            shared.registry.find_topics(&shared.recent, pattern, had_event_after, boundary, |matched| match matched {
                MatchedTopic::Live(log) if log.is_keyed() => {
                    let (state, forgotten) =
                        UnreadTopic::with_state(log.clone(), starts.keyed, boundary, overflow, now);
                    if let Some(sequence) = forgotten {
                        self.forgotten.push(state_gap(shared, &log, reason, sequence));
                    }
                    unread.extend(state.map(Reverse));
                }
                MatchedTopic::Live(_) if after >= boundary && after != u64::MAX => {}
                MatchedTopic::Live(log) => {
                    let from = log.resolve(from, now);
                    if overflow == Overflow::Latest {
                        log.conflate();
                    }
                    let mut state = log.present(now);
                    let (point, backfilled) = state.place_up_to(boundary, from, overflow);
                    state.backfills += u32::from(point.head.is_some() && backfilled.is_some());
                    drop(state);
                    if let Some(sequence) = point.gap {
                        gone(self, &mut found, sequence, log.name.as_topic().cloned());
                    }
                    if let (Some(head), Some((last, events))) = (point.head, backfilled) {
                        found.events += events;
                        unread.push(Reverse(UnreadTopic {
                            head,
                            last,
                            end: point.index + events,
                            reader: Reader::new(log, &point),
                            overflow,
                        }));
                    }
                }
                MatchedTopic::Gone(topic, last) if last > after && shared.registry.is_keyed(&topic) => {
                    let gap = Gap::new(reason, shared.cursor(0)).with_topic(topic);
                    self.forgotten.push(gap.with_gone(shared.cursor(last)).with_snapshot());
                }
                MatchedTopic::Gone(topic, last) if last > after => gone(self, &mut found, last, Some(topic)),
                MatchedTopic::Gone(..) => {}
            });
        if forgotten > after {
            gone(self, &mut found, forgotten, None);
        }
        self.rest = unread.into();
        LookUp { forgotten, ..found }
    }

    /// Returns the sequence of the earliest possible event.
    pub(crate) fn earliest(&self) -> Option<u64> {
        self.rest.peek().map(|Reverse(unread)| unread.head)
    }

    /// Returns the sequence of the next event or gap: one of the backfill, or of the pattern's log if the backfill was read.
    /// Everything up to `read` is delivered.
    pub(crate) fn head(&mut self, log: &mut Reader, shared: &Shared, read: u64, overflow: Overflow) -> Option<u64> {
        if self.first.is_some() || !self.rest.is_empty() {
            self.find_first(Some(&mut *log), shared, read);
        }
        if !self.forgotten.is_empty() {
            return Some(0);
        }
        let gap = self.gaps.keys().next().copied();
        let here = self.first.as_ref().map(|unread| unread.head).into_iter().chain(gap).min();
        here.or_else(|| log.unread(shared, overflow).map(|unread| unread.first_sequence()))
    }

    /// Finds the topic with the earliest unread event, and puts it into `first`. `log` is the reader of the pattern's
    /// log, if that follows.
    ///
    /// The topic stays in place during the look, which asks the clock: that is the user's and may panic.
    pub(super) fn find_first(&mut self, mut log: Option<&mut Reader>, shared: &Shared, read: u64) {
        self.count(shared);
        loop {
            if self.first.is_none() {
                self.first = self.rest.pop().map(|Reverse(unread)| unread);
            }
            let Some(unread) = &mut self.first else {
                return;
            };
            match unread.look(shared, read) {
                Some(Ok(head)) => {
                    unread.head = head;
                    match self.rest.peek_mut() {
                        Some(mut earlier) if earlier.0.head < head => std::mem::swap(&mut earlier.0, unread),
                        _ => return,
                    }
                }
                Some(Err(Loss::OfState { forgotten })) => {
                    let gap = state_gap(shared, &unread.reader.log, GapReason::Overflow, forgotten);
                    unread.head = 0;
                    self.forgotten.push(gap);
                    return;
                }
                Some(Err(Loss::OfEvents(lost))) => {
                    let topic = unread.reader.log.name.as_topic().cloned();
                    let missing = Missing { reason: GapReason::Overflow, missed: Some(lost.missed), topic };
                    self.put_gap(lost.evicted, missing);
                }
                None => {
                    if let Some(log) = log.as_deref_mut() {
                        log.take_conflated(&mut unread.reader);
                    }
                    self.first.take().into_iter().for_each(|unread| unread.leave(shared));
                }
            }
        }
    }

    /// Counts the delivered events in the hub, since the topic may be dropped.
    pub(crate) fn count(&mut self, shared: &Shared) {
        let events = self.first.as_mut().map_or(0, |unread| unread.reader.uncounted.take());
        if events > 0 {
            shared.replayed.add(events);
        }
    }

    /// Leaves the topics.
    pub(crate) fn leave(&mut self, shared: &Shared) {
        self.count(shared);
        let rest = self.rest.drain().map(|Reverse(unread)| unread);
        self.first.take().into_iter().chain(rest).for_each(|unread| unread.leave(shared));
    }

    /// Returns whether the next delivery is a gap. An event of the same sequence precedes the gap.
    pub(crate) fn is_at_gap(&self) -> bool {
        let gap = self.gaps.keys().next();
        !self.forgotten.is_empty() || gap.is_some_and(|gap| self.first.as_ref().is_none_or(|unread| *gap < unread.head))
    }

    /// Returns whether a gap is to be delivered.
    #[cfg(any(test, feature = "engine"))]
    pub(crate) fn has_gap(&self) -> bool {
        !self.gaps.is_empty() || !self.forgotten.is_empty()
    }

    /// Returns whether the next events are in the log of a topic.
    pub(crate) fn has_unread(&self) -> bool {
        self.first.is_some()
    }

    /// Returns the reader of the next events, the sequence up to which it is to read, and the index at which it is to
    /// stop: the highest for the reader of the pattern's log.
    pub(crate) fn reader<'a>(&'a mut self, log: &'a mut Reader, up_to: u64) -> (&'a mut Reader, u64, u64) {
        let Some(unread) = &mut self.first else {
            return (log, up_to, u64::MAX);
        };
        let other = self.rest.peek().map_or(u64::MAX, |Reverse(other)| other.head - 1);
        let gap = self.gaps.keys().next().copied().unwrap_or(u64::MAX);
        (&mut unread.reader, up_to.min(unread.last).min(other).min(gap), unread.end)
    }

    /// Takes the next gap, joined with those that follow it up to a sequence without an event between them.
    pub(crate) fn take_gap(&mut self, shared: &Shared, up_to: u64) -> Option<Gap> {
        if let Some(gap) = self.forgotten.pop() {
            return Some(gap);
        }
        let up_to = self.first.as_ref().map_or(up_to, |unread| up_to.min(unread.head.saturating_sub(1)));
        let (mut sequence, mut missing) = self.gaps.pop_first()?;
        while let Some(next) = self.gaps.first_entry() {
            if *next.key() > up_to || next.get().reason != missing.reason {
                break;
            }
            sequence = *next.key();
            missing.add(&next.remove());
        }
        Some(missing.gap(shared.cursor(sequence)))
    }

    /// Takes the gaps of a backfill that has not begun. Returns the sequence of the last missing event.
    pub(crate) fn take_gaps(&mut self) -> Option<u64> {
        self.forgotten.clear();
        std::mem::take(&mut self.gaps).into_keys().next_back()
    }

    /// Returns whether a state is delivered in part.
    pub(crate) fn is_in_fill(&self) -> bool {
        self.unread().any(|unread| unread.reader.is_in_fill())
    }

    /// Returns whether the client lacks a state up to the position of its reader.
    pub(crate) fn lacks_state(&self) -> bool {
        self.unread().any(|unread| unread.reader.lacks_state())
    }

    /// Returns the sequence up to which the client needs no removal: 0 before a gap at which it forgets a state. Of topics
    /// that are read the client has everything up to the boundary.
    pub(crate) fn base(&self, shared: &Shared, sequence: u64) -> u64 {
        if !self.forgotten.is_empty() {
            return 0;
        }
        self.unread().filter_map(|unread| unread.reader.base(shared, sequence)).fold(self.boundary, u64::min)
    }

    pub(super) fn unread(&self) -> impl Iterator<Item = &UnreadTopic> {
        self.first.iter().chain(self.rest.iter().map(|Reverse(unread)| unread))
    }

    /// Calls a function with the reader of each topic. The function does not change their order.
    pub(crate) fn for_each_reader(&mut self, mut of_each: impl FnMut(&mut Reader)) {
        self.first.iter_mut().for_each(|unread| of_each(&mut unread.reader));
        let mut rest = std::mem::take(&mut self.rest).into_vec();
        rest.iter_mut().for_each(|Reverse(unread)| of_each(&mut unread.reader));
        self.rest = rest.into();
    }

    /// Releases the segments.
    pub(crate) fn release(&mut self) {
        self.for_each_reader(Reader::release);
    }

    /// Skips to a sequence. Leaves the topics that have no later event here.
    #[cold]
    pub(crate) fn skip_to(&mut self, sequence: u64, shared: &Shared, overflow: Overflow) {
        self.count(shared);
        self.gaps = self.gaps.split_off(&sequence.saturating_add(1));
        self.gaps.values_mut().for_each(|missing| missing.missed = None);
        let rest = std::mem::take(&mut self.rest).into_iter().map(|Reverse(unread)| unread);
        let (unread, read): (Vec<_>, Vec<_>) = self
            .first
            .take()
            .into_iter()
            .chain(rest)
            .partition(|unread| unread.last > sequence || unread.reader.lacks_state());
        for mut unread in unread {
            if let Some(gone) = unread.reader.skip_to(sequence, overflow) {
                let topic = unread.reader.log.name.as_topic().cloned();
                self.put_gap(gone.min(unread.last), Missing { reason: GapReason::Evicted, missed: None, topic });
            }
            // Its head is now that of an earlier event, which the next look replaces.
            self.rest.push(Reverse(unread));
        }
        self.is_behind &= !self.gaps.is_empty();
        read.into_iter().for_each(|unread| unread.leave(shared));
    }

    fn put_gap(&mut self, sequence: u64, missing: Missing) {
        self.is_behind |= missing.reason == GapReason::Overflow;
        match self.gaps.get_mut(&sequence) {
            Some(there) => there.add(&missing),
            None => {
                self.gaps.insert(sequence, missing);
            }
        }
    }
}

impl Missing {
    /// Joins two losses. The reason is that of the first.
    fn add(&mut self, other: &Self) {
        self.missed = self.missed.zip(other.missed).map(|(some, more)| some + more);
        if self.topic != other.topic {
            self.topic = None;
        }
    }

    fn gap(self, cursor: Cursor) -> Gap {
        Gap { missed: self.missed, topic: self.topic, ..Gap::new(self.reason, cursor) }
    }
}
