use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use crate::hub::placing::From;
use crate::hub::reader::{Lost, Reader};
use crate::hub::shared::Shared;
use crate::hub::visit::Visited;
use crate::model::{Cursor, Gap, GapReason, Overflow, Pattern, Topic};

/// Reader of the topics' logs, merged, for a subscription of a pattern that begins in the past or fell behind. After it
/// the subscription reads the pattern's own log. Only the topics with something unread are here, each until it is read.
#[derive(Debug)]
pub(super) struct Replay {
    /// Up to and with this sequence; what is later is in the pattern's log.
    seam: u64,
    /// Of the topics with something unread, the one whose next event is the earliest.
    first: Option<Unread>,
    rest: BinaryHeap<Reverse<Unread>>,
    /// Missing events, by the sequence of the last of them.
    gaps: BTreeMap<u64, Missing>,
    /// Whether something is gone that the subscription was there for.
    pub(super) is_behind: bool,
}

/// A topic with something unread.
#[derive(Debug)]
struct Unread {
    /// The sequence of its next event, or one before it.
    head: u64,
    /// The sequence of the last event to replay.
    last: u64,
    /// The dense index after that event.
    end: u64,
    reader: Reader,
}

/// Events that are gone, of one topic or of several.
#[derive(Debug)]
struct Missing {
    reason: GapReason,
    missed: Option<u64>,
    topic: Option<Topic>,
}

/// Result of a look at the topics.
struct Looked {
    /// How many events there are to replay.
    events: u64,
    /// Up to which sequence there may have been topics that are forgotten: each that is new may seem to be one of them.
    forgotten: u64,
    /// Topics that may have lost some: what they lost last is after the seam, so it may be all they lost.
    unsure: Option<Missing>,
}

impl Replay {
    /// Nothing: the pattern's log has everything after `seam`.
    pub(super) fn none(seam: u64) -> Self {
        Self { seam, first: None, rest: BinaryHeap::new(), gaps: BTreeMap::new(), is_behind: false }
    }

    /// Returns the replay of a subscription that begins in the past, up to and with `seam`. If events may be missing at
    /// an unknown place, also returns a gap, which is delivered before anything else.
    pub(super) fn begin(
        shared: &Shared,
        pattern: &Pattern,
        from: From,
        seam: u64,
        overflow: Overflow,
    ) -> (Self, Option<Gap>) {
        let mut this = Self::none(seam);
        let after = from.after();
        if after.is_some_and(|after| after >= seam) {
            return (this, None);
        }
        let looked = this.look_up(shared, pattern, from, GapReason::Evicted, overflow);
        let unsure = looked.unsure.zip(after);
        (this, unsure.map(|(missing, after)| missing.gap(shared.cursor(after)).gone(shared.cursor(seam))))
    }

    /// Looks in the topics for the events that are gone from the pattern's log, for a subscription that has read up to
    /// and with `read`.
    #[cold]
    pub(super) fn catch_up(&mut self, shared: &Shared, pattern: &Pattern, read: u64, lost: &Lost, overflow: Overflow) {
        // What it stepped over must not be found again: it would make up for what is not.
        let after = read.max(self.seam).max(lost.stepped);
        *self = Self::none(lost.evicted);
        let looked = self.look_up(shared, pattern, From::Live(after), GapReason::Overflow, overflow);
        // In each of these a topic has lost one at least; those before them may be none.
        let mut certain = self.gaps.split_off(&(looked.forgotten + 1));
        // Of all that went through the pattern's log some is nowhere: lost, or expired, which can't be told apart.
        let is_short = looked.events + (certain.len() as u64) < lost.missed;
        if !is_short {
            self.gaps.clear();
        }
        self.gaps.append(&mut certain);
        if let Some(missing) = looked.unsure.filter(|_| is_short) {
            self.put_gap(self.seam, missing);
        }
        self.is_behind = !self.gaps.is_empty();
    }

    fn look_up(
        &mut self,
        shared: &Shared,
        pattern: &Pattern,
        from: From,
        reason: GapReason,
        overflow: Overflow,
    ) -> Looked {
        // From there on, whatever is gone is missed.
        let after = from.after().unwrap_or(u64::MAX);
        let (now, seam) = (shared.now(), self.seam);
        let (mut unread, mut looked) = (Vec::new(), Looked { events: 0, forgotten: 0, unsure: None });
        let gone = |this: &mut Self, looked: &mut Looked, sequence: u64, topic: Option<Topic>| {
            let missing = Missing { reason, missed: None, topic };
            if sequence <= seam {
                return this.put_gap(sequence, missing);
            }
            match &mut looked.unsure {
                Some(other) => other.add(&missing),
                none => *none = Some(missing),
            }
        };
        let forgotten = shared.visit(pattern, from.after(), seam, |visited| match visited {
            Visited::Live(log) => {
                let from = log.resolve(from, now);
                if overflow == Overflow::Latest {
                    log.conflate();
                }
                let mut state = log.present(now);
                let (placed, replay) = state.place_up_to(seam, from, overflow);
                state.replays += u32::from(placed.head.is_some() && replay.is_some());
                drop(state);
                if let Some(sequence) = placed.gap {
                    gone(self, &mut looked, sequence, log.name.as_topic().cloned());
                }
                if let (Some(head), Some((last, events))) = (placed.head, replay) {
                    looked.events += events;
                    unread.push(Reverse(Unread {
                        head,
                        last,
                        end: placed.index + events,
                        reader: Reader::new(log, &placed),
                    }));
                }
            }
            Visited::Gone(topic, last) if last > after => gone(self, &mut looked, last, Some(topic)),
            Visited::Gone(..) => {}
        });
        if forgotten > after {
            gone(self, &mut looked, forgotten, None);
        }
        self.rest = unread.into();
        Looked { forgotten, ..looked }
    }

    /// The sequence of what may come first.
    pub(super) fn earliest(&self) -> Option<u64> {
        self.rest.peek().map(|Reverse(unread)| unread.head)
    }

    /// The sequence of what comes next, an event or a gap: here, or in the pattern's log when everything here was read.
    pub(super) fn head(&mut self, log: &mut Reader, shared: &Shared, overflow: Overflow) -> Option<u64> {
        self.find_first(log, shared, overflow);
        let gap = self.gaps.keys().next().copied();
        let here = self.first.as_ref().map(|unread| unread.head).into_iter().chain(gap).min();
        here.or_else(|| log.ahead(shared, overflow).map(|ahead| ahead.first_sequence()))
    }

    /// Finds the topic with the earliest unread event, and keeps it in `first`. `log` is the reader of the pattern's log.
    ///
    /// The topic stays in place while it is looked at: the look asks the clock, which is the user's and may panic.
    fn find_first(&mut self, log: &mut Reader, shared: &Shared, overflow: Overflow) {
        self.count(shared);
        loop {
            if self.first.is_none() {
                self.first = self.rest.pop().map(|Reverse(unread)| unread);
            }
            let Some(unread) = &mut self.first else {
                return;
            };
            match unread.look(shared, overflow) {
                Some(Ok(head)) => {
                    unread.head = head;
                    match self.rest.peek_mut() {
                        Some(mut earlier) if earlier.0.head < head => std::mem::swap(&mut earlier.0, unread),
                        _ => return,
                    }
                }
                Some(Err(lost)) => {
                    let topic = unread.reader.log.name.as_topic().cloned();
                    let missing = Missing { reason: GapReason::Overflow, missed: Some(lost.missed), topic };
                    self.put_gap(lost.evicted, missing);
                }
                None => {
                    log.take_conflated(&mut unread.reader);
                    self.first.take().into_iter().for_each(|unread| unread.leave(shared));
                }
            }
        }
    }

    /// Counts what was delivered from here: with the hub, for the topic may be dropped.
    pub(super) fn count(&mut self, shared: &Shared) {
        let events = self.first.as_mut().map_or(0, |unread| unread.reader.uncounted.take());
        if events > 0 {
            shared.replayed.add(events);
        }
    }

    /// Leaves the topics.
    pub(super) fn leave(&mut self, shared: &Shared) {
        self.count(shared);
        let rest = self.rest.drain().map(|Reverse(unread)| unread);
        self.first.take().into_iter().chain(rest).for_each(|unread| unread.leave(shared));
    }

    /// Whether what comes next is a gap. An event of the same sequence is before it.
    pub(super) fn is_at_gap(&self) -> bool {
        let gap = self.gaps.keys().next();
        gap.is_some_and(|gap| self.first.as_ref().is_none_or(|unread| *gap < unread.head))
    }

    /// Returns the reader of the next event, the sequence up to which it reads, and the index at which it ends: the
    /// highest for the reader of the pattern's log.
    pub(super) fn reader<'a>(&'a mut self, log: &'a mut Reader, up_to: u64) -> (&'a mut Reader, u64, u64) {
        let Some(unread) = &mut self.first else {
            return (log, up_to, u64::MAX);
        };
        let other = self.rest.peek().map_or(u64::MAX, |Reverse(other)| other.head - 1);
        let gap = self.gaps.keys().next().copied().unwrap_or(u64::MAX);
        (&mut unread.reader, up_to.min(unread.last).min(other).min(gap), unread.end)
    }

    /// Takes the gap that comes next, as one with those that follow it up to a sequence with no event between.
    pub(super) fn tell(&mut self, shared: &Shared, up_to: u64) -> Option<Gap> {
        let up_to = self.first.as_ref().map_or(up_to, |unread| up_to.min(unread.head - 1));
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

    /// Takes the gaps of a replay that has not begun. Returns the sequence of the last missing event.
    pub(super) fn take_gaps(&mut self) -> Option<u64> {
        std::mem::take(&mut self.gaps).into_keys().next_back()
    }

    /// Lets go of the segments.
    pub(super) fn release(&mut self) {
        self.first.iter_mut().for_each(|unread| unread.reader.release());
        let mut rest = std::mem::take(&mut self.rest).into_vec();
        rest.iter_mut().for_each(|Reverse(unread)| unread.reader.release());
        self.rest = rest.into();
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

impl Drop for Unread {
    fn drop(&mut self) {
        let mut state = self.reader.log.state();
        state.replays -= 1;
        let released = state.release_live(&self.reader.log);
        drop(state);
        drop(released);
    }
}

impl Unread {
    /// Leaves the topic.
    fn leave(self, shared: &Shared) {
        let log = Arc::clone(&self.reader.log);
        drop(self);
        if log.state().is_idle() {
            shared.registry.release(&log);
        }
    }

    /// The sequence of the next event, or what is gone before it; `None` where there is nothing more.
    fn look(&mut self, shared: &Shared, overflow: Overflow) -> Option<Result<u64, Lost>> {
        while self.reader.next < self.end {
            if let Some(ahead) = self.reader.ahead_before(self.end, shared, overflow) {
                return Some(Ok(ahead.first_sequence()));
            }
            let found = self.reader.log.state().find(self.reader.next, overflow);
            if let Some(lost) = self.reader.follow(found, self.end, shared) {
                // What is gone after the last event to replay is not missed here.
                return Some(Err(Lost { evicted: lost.evicted.min(self.last), ..lost }));
            }
        }
        None
    }
}

impl Missing {
    /// The two as one. The reason is that of the first.
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

impl Ord for Unread {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head)
    }
}

impl PartialOrd for Unread {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Unread {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head
    }
}

impl Eq for Unread {}
