use std::task::{Context, Poll};
use std::time::Duration;

use crate::contract::SubscriptionEnd;
use crate::hub::log::Log;
use crate::hub::output::Output;
use crate::hub::placing::{self, Placed};
use crate::hub::reader::{Look, Lost, Reader};
use crate::hub::segment_slice::SegmentSlice;
use crate::hub::shared::Shared;
use crate::hub::taken::Taken;
use crate::hub::waiters::Ticket;
use crate::model::{Gap, GapReason, Overflow, Pattern};

/// A subscription of one topic: no inbox, no merge, and no lock that it shares with readers of other topics.
#[derive(Debug)]
pub(super) struct Single {
    reader: Reader,
    ticket: Ticket,
    /// Everything of the topic up to here was delivered.
    pub(super) sequence: u64,
    overflow: Overflow,
}

/// Where a subscription is that was let go: an index that no log comes to.
const TOO_SLOW: u64 = u64::MAX;

/// What is found under the log's lock where there is nothing to read without it.
enum Found {
    /// There may be something to read now.
    More,
    Lost(Lost),
    End(SubscriptionEnd),
}

impl Single {
    /// A subscription that begins where it was placed, after `sequence`.
    pub(super) fn new(reader: Reader, placed: &Placed, sequence: u64, overflow: Overflow) -> Self {
        let sequence = placed.head.map_or(sequence, |head| sequence.min(head - 1));
        Self { reader, ticket: Ticket::NONE, sequence, overflow }
    }

    /// Looks at the segment in hand.
    #[inline(always)]
    pub(super) fn look(&self) -> Look<'_> {
        self.reader.look(self.overflow)
    }

    /// Returns the events that a [look](Self::look) found. `end` is the end of their places.
    #[inline(always)]
    pub(super) fn found(&self, end: u32) -> Option<SegmentSlice<'_>> {
        self.reader.found(end)
    }

    /// Moves past events that were taken. Returns them.
    #[inline(always)]
    pub(super) fn pass<O: Output>(&mut self, taken: Taken<O::Events>, shared: &Shared) -> O::Events {
        self.sequence = taken.sequence;
        self.reader.pass::<O>(taken, shared)
    }

    /// Returns whether it was ever registered for the next event.
    #[inline(always)]
    pub(super) fn has_waited(&self) -> bool {
        self.ticket != Ticket::NONE
    }

    #[inline(always)]
    pub(super) fn poll<O: Output>(&mut self, shared: &Shared, cx: &mut Context<'_>, output: O) -> Poll<O::Delivery> {
        let waited = self.has_waited();
        loop {
            if let Some(unread) = self.reader.unread(shared, self.overflow) {
                match unread.take(output, shared, self.overflow, waited) {
                    Some(taken) => return Poll::Ready(O::events(self.pass::<O>(taken, shared))),
                    None => continue,
                }
            }
            if self.register(shared, cx) {
                return Poll::Pending;
            }
            match self.find(shared) {
                Found::More => {}
                Found::Lost(lost) => return Poll::Ready(O::gap(self.lost(&lost, shared))),
                Found::End(end) => return Poll::Ready(O::end(end)),
            }
        }
    }

    /// Registers for the next event, unless there is something to read, or to say, first: then `false`.
    #[inline(always)]
    pub(super) fn register(&mut self, shared: &Shared, cx: &mut Context<'_>) -> bool {
        // Loaded before the look under the lock: every event of this topic up to here is in the log by then.
        let published = shared.published.load();
        // Cloned before the lock: a waker is the executor's code.
        let waker = cx.waker().clone();
        let mut state = self.reader.log.state();
        self.reader.uncounted.count(&mut state);
        if state.next != self.reader.next || state.closed {
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

    /// The same without a look at what is in hand before: if that is evicted, nobody would wake who waits with it.
    pub(super) fn wait_unseen(&mut self, shared: &Shared, cx: &mut Context<'_>) -> bool {
        let waits = self.register(shared, cx);
        if waits {
            self.reader.let_go();
        }
        waits
    }

    /// Finds what there is to read, or to say.
    #[cold]
    fn find(&mut self, shared: &Shared) -> Found {
        let found = self.reader.log.state().find(self.reader.next, self.overflow);
        if let placing::Found::Nothing = found {
            return Found::End(if self.reader.next == TOO_SLOW {
                SubscriptionEnd::TooSlow
            } else {
                SubscriptionEnd::Closed
            });
        }
        match self.reader.follow(found, u64::MAX, shared) {
            Some(_) if self.overflow == Overflow::Disconnect => {
                self.reader.next = TOO_SLOW;
                Found::End(SubscriptionEnd::TooSlow)
            }
            Some(lost) => Found::Lost(lost),
            None => Found::More,
        }
    }

    #[cold]
    fn lost(&mut self, lost: &Lost, shared: &Shared) -> Gap {
        shared.gaps.add(1);
        let after = shared.cursor(self.sequence);
        self.sequence = self.sequence.max(lost.evicted);
        lost.gap(shared, &self.reader.log).after(after)
    }

    /// The topic that it follows.
    pub(super) fn name(&self) -> &Pattern {
        &self.reader.log.name
    }

    pub(super) fn next_in(&self, now: u64) -> Duration {
        self.reader.next_in(now)
    }

    pub(super) fn release(&mut self) {
        self.reader.release();
    }

    /// Leaves the topic.
    pub(super) fn leave(&mut self, shared: &Shared) {
        let Self { reader: Reader { log, uncounted, .. }, ticket, .. } = self;
        drop(shared.leave(log, |state| {
            uncounted.count(state);
            state.waiters.cancel(ticket)
        }));
    }
}

impl Lost {
    pub(super) fn gap(&self, shared: &Shared, log: &Log) -> Gap {
        log.gap(GapReason::Overflow, shared.cursor(self.evicted)).missed(self.missed)
    }
}
