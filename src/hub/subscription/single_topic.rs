use std::task::{Context, Poll};
use std::time::Duration;

use crate::contract::{EndState, SubscriptionEnd};
use crate::hub::log::end_mark::EndMark;
use crate::hub::log::log::Log;
use crate::hub::log::seek::{EndAhead, Found, StartPoint};
use crate::hub::shared::Shared;
use crate::hub::subscription::output::{Output, poll_later};
use crate::hub::subscription::reader::{Look, Lost, Reader};
use crate::hub::subscription::segment_slice::SegmentSlice;
use crate::hub::subscription::state_position::{state_cursor, state_gap};
use crate::hub::subscription::taken::Taken;
use crate::hub::wake::waiters::Ticket;
use crate::model::{Cursor, Gap, GapReason, Overflow, Pattern, TopicEnd};

/// Subscription of one topic, without an inbox or a merge. It shares no lock with readers of other topics.
#[derive(Debug)]
pub(crate) struct SingleTopic {
    pub(super) reader: Reader,
    ticket: Ticket,
    /// Sequence up to which everything of the topic was delivered.
    pub(crate) sequence: u64,
    pub(super) overflow: Overflow,
    /// Whether the subscription began without a cursor, and with a state to deliver.
    pub(super) begins_with_state: bool,
    /// Whether the first delivery is the end of the topic, and the subscription began at a later position.
    starts_at_end: bool,
}

/// Index of a subscription that was ended because it was too slow: higher than any in a log.
const TOO_SLOW: u64 = u64::MAX;

/// Result of a search under the log's lock.
enum Outcome {
    /// There may be events to read.
    More,
    Lost(Lost),
    /// Removals are forgotten, the last of them with this sequence. The whole state follows.
    LostState(u64),
    TopicEnd(EndMark),
    End(SubscriptionEnd),
}

impl SingleTopic {
    /// Returns a subscription that starts at a position, after `sequence`.
    pub(crate) fn new(reader: Reader, point: &StartPoint, sequence: u64, overflow: Overflow) -> Self {
        // A client that resumes from the cursor gets what is still to be delivered.
        let (first, starts_at_end) = match (point.head, point.end) {
            (None, EndAhead::At(end)) => (Some(end), end <= sequence),
            (head, _) => (head, false),
        };
        // After its gap the subscription is before all of them.
        let first = first.filter(|_| point.gap.is_none() || !reader.log.is_keyed());
        let sequence = first.map_or(sequence, |first| sequence.min(first - 1));
        Self { reader, ticket: Ticket::NONE, sequence, overflow, begins_with_state: false, starts_at_end }
    }

    /// Returns the subscription, which begins without a cursor: its client starts over until it has an event of the state.
    pub(crate) fn beginning_with_state(mut self) -> Self {
        if self.reader.is_in_fill() {
            (self.begins_with_state, self.sequence) = (true, 0);
        }
        self
    }

    /// Returns whether a state is delivered in part.
    #[inline]
    pub(crate) fn is_in_fill(&self) -> bool {
        self.reader.is_in_fill()
    }

    /// Returns the cursor of the client.
    pub(crate) fn cursor(&self, shared: &Shared) -> Cursor {
        match self.reader.is_in_fill() {
            false => shared.cursor(self.sequence),
            true => {
                let lacks_state = self.reader.lacks_state();
                let base = lacks_state.then(|| self.reader.base(shared, self.sequence)).flatten();
                state_cursor(shared, self.sequence, self.begins_with_state, base)
            }
        }
    }

    /// Looks at the segment in hand.
    #[inline(always)]
    pub(crate) fn look(&self) -> Look<'_> {
        self.reader.look(self.overflow)
    }

    /// Returns the events that a [look](Self::look) found. `end` is the end of their places.
    #[inline(always)]
    pub(crate) fn found(&self, end: u32) -> Option<SegmentSlice<'_>> {
        self.reader.found(end)
    }

    /// Moves past events that were taken. Returns them.
    #[inline(always)]
    pub(crate) fn pass<O: Output>(&mut self, taken: Taken<O::Events>, shared: &Shared) -> O::Events {
        self.sequence = taken.sequence;
        let conflated = self.reader.pass(&taken, shared);
        O::conflated(taken.events, conflated)
    }

    /// Returns whether it was ever registered for the next event.
    #[inline(always)]
    pub(crate) fn has_waited(&self) -> bool {
        self.ticket != Ticket::NONE
    }

    #[inline(always)]
    pub(crate) fn poll<O: Output>(&mut self, shared: &Shared, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        let waited = self.has_waited();
        loop {
            if let Some(unread) = self.reader.unread(shared, self.overflow) {
                match unread.take(output, shared, self.overflow, waited) {
                    Some(taken) => match O::events(self.pass::<O>(taken, shared)) {
                        Some(delivery) => return Poll::Ready(delivery),
                        None if output.is_spent() => return poll_later(cx),
                        None => continue,
                    },
                    None => continue,
                }
            }
            if self.register(shared, cx) {
                return Poll::Pending;
            }
            match self.find(shared) {
                Outcome::More => {}
                Outcome::Lost(lost) => return Poll::Ready(O::gap(self.lost(&lost, shared))),
                Outcome::LostState(forgotten) => return Poll::Ready(O::gap(self.lost_state(forgotten, shared))),
                Outcome::TopicEnd(mark) => return Poll::Ready(O::topic_end(self.finish(mark, shared))),
                Outcome::End(end) => return Poll::Ready(O::end(end)),
            }
        }
    }

    /// Registers the waker for the next event. Returns `false` if there may be events, or if no event follows.
    #[inline(always)]
    pub(crate) fn register(&mut self, shared: &Shared, cx: &mut Context<'_>) -> bool {
        // Loaded before the look under the lock: every event of this topic up to here is in the log by then.
        let published = shared.published.load();
        // Cloned before the lock: a waker is the executor's code.
        let waker = cx.waker().clone();
        let mut state = self.reader.log.state();
        self.reader.uncounted.count(&mut state);
        if state.next != self.reader.next || state.is_over {
            drop(state);
            drop(waker);
            return false;
        }
        let replaced = state.waiters.register(&mut self.ticket, waker);
        drop(state);
        drop(replaced);
        self.sequence = self.sequence.max(published);
        true
    }

    /// Registers the waker without a look at the segment in hand before. Releases that segment if it is sealed: its
    /// eviction would not wake the subscription.
    pub(crate) fn register_unseen(&mut self, shared: &Shared, cx: &mut Context<'_>) -> bool {
        let waits = self.register(shared, cx);
        if waits {
            self.reader.release_sealed();
        }
        waits
    }

    /// Finds the events to read, a gap, or the end.
    #[cold]
    fn find(&mut self, shared: &Shared) -> Outcome {
        let state = self.reader.log.state();
        let found = state.find(self.reader.next, self.overflow);
        if let Found::Fill = found {
            drop(state);
            let forgotten = self.reader.fill(self.sequence);
            return forgotten.map_or(Outcome::More, Outcome::LostState);
        }
        if let Found::Nothing = found {
            let mark = state.end_mark().cloned();
            drop(state);
            return match mark {
                _ if self.reader.next == TOO_SLOW => Outcome::End(SubscriptionEnd::TooSlow),
                _ if self.reader.is_finished() => Outcome::End(SubscriptionEnd::Finished),
                Some(mark) => Outcome::TopicEnd(mark),
                None => Outcome::End(SubscriptionEnd::Closed),
            };
        }
        drop(state);
        match self.reader.follow(found, u64::MAX, shared) {
            Some(_) if self.overflow == Overflow::Disconnect => {
                self.reader.next = TOO_SLOW;
                Outcome::End(SubscriptionEnd::TooSlow)
            }
            Some(lost) => Outcome::Lost(lost),
            None => Outcome::More,
        }
    }

    /// Moves past the end of the topic. Returns it.
    #[cold]
    fn finish(&mut self, mark: EndMark, shared: &Shared) -> TopicEnd {
        // Before anything changes: the drop of an event may panic.
        self.reader.release();
        let began = if self.starts_at_end { shared.published.load() } else { 0 };
        self.sequence = self.sequence.max(mark.sequence).max(began);
        self.reader.finish();
        mark.at(shared.cursor(self.sequence)).with_last()
    }

    /// Returns the state with regard to the end of the topic.
    pub(crate) fn end_state(&self) -> EndState {
        match self.reader.is_finished() {
            true => EndState::Finished,
            false if self.reader.next != TOO_SLOW && self.reader.log.state().end.is_some() => EndState::Ended,
            false => EndState::Live,
        }
    }

    #[cold]
    fn lost(&mut self, lost: &Lost, shared: &Shared) -> Gap {
        shared.gaps.add(1);
        let after = shared.cursor(self.sequence);
        self.sequence = self.sequence.max(lost.evicted);
        lost.gap(shared, &self.reader.log).with_after(after)
    }

    #[cold]
    fn lost_state(&mut self, forgotten: u64, shared: &Shared) -> Gap {
        shared.gaps.add(1);
        let after = shared.cursor(self.sequence);
        (self.sequence, self.begins_with_state) = (0, false);
        state_gap(shared, &self.reader.log, GapReason::Overflow, forgotten).with_after(after)
    }

    /// Returns the topic.
    pub(crate) fn name(&self) -> &Pattern {
        &self.reader.log.name
    }

    pub(crate) fn next_in(&self, now: u64) -> Duration {
        self.reader.next_in(now)
    }

    pub(crate) fn release(&mut self) {
        self.reader.release();
    }

    /// Ends the subscription.
    pub(crate) fn leave(&mut self, shared: &Shared) {
        let is_reading = !self.reader.is_finished();
        let Self { reader: Reader { log, uncounted, .. }, ticket, .. } = self;
        drop(shared.leave(log, is_reading, |state| {
            uncounted.count(state);
            state.waiters.cancel(ticket)
        }));
    }
}

impl Lost {
    pub(crate) fn gap(&self, shared: &Shared, log: &Log) -> Gap {
        log.gap(GapReason::Overflow, shared.cursor(self.evicted)).with_missed(self.missed)
    }
}
