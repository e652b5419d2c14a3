use std::task::{Context, Poll};
use std::time::Duration;

use crate::contract::{Batch, Delivery, EncodedBatch, EncodedDelivery, Format, SubscriptionEnd};
use crate::hub::log::Log;
use crate::hub::placing::{self, Placed};
use crate::hub::reader::{Ahead, Glance, Lost, Reader};
use crate::hub::shared::Shared;
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

/// Index of a subscription that was ended because it is too slow: no log reaches it.
const TOO_SLOW: u64 = u64::MAX;

/// Result of a look under the log's lock, if there is nothing to read without it.
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

    /// Looks for events without a lock.
    #[inline(always)]
    pub(super) fn glance(&self) -> Glance<'_> {
        self.reader.glance(self.overflow)
    }

    /// Returns the events at hand after a glance that found this number of events.
    #[inline(always)]
    pub(super) fn at_hand(&self, events: u32) -> Option<Ahead<'_>> {
        self.reader.at_hand(events)
    }

    /// Whether it was ever registered for the next event.
    #[inline(always)]
    pub(super) fn has_waited(&self) -> bool {
        self.ticket != Ticket::NONE
    }

    #[inline(always)]
    pub(super) fn poll_next(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            if let Some(ahead) = self.reader.ahead(shared, self.overflow) {
                if !ahead.is_whole {
                    match self.sieved_batch(shared) {
                        Some(batch) => return Poll::Ready(Delivery::Events(batch)),
                        None => continue,
                    }
                }
                let (batch, events, sequence) = (ahead.batch(), ahead.len(), ahead.last_sequence());
                self.delivered(events, sequence);
                return Poll::Ready(Delivery::Events(batch));
            }
            if self.register(shared, cx) {
                return Poll::Pending;
            }
            match self.find(shared) {
                Found::More => {}
                Found::Lost(lost) => return Poll::Ready(Delivery::Gap(self.lost(&lost, shared))),
                Found::End(end) => return Poll::Ready(Delivery::End(end)),
            }
        }
    }

    #[inline(always)]
    pub(super) fn poll_encoded(
        &mut self,
        shared: &Shared,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<EncodedDelivery> {
        let waited = self.has_waited();
        loop {
            if let Some(ahead) = self.reader.ahead(shared, self.overflow) {
                if !ahead.is_whole {
                    match self.sieved_encode(shared, format, max) {
                        Some(encoding) => return Poll::Ready(EncodedDelivery::Events(encoding)),
                        None => continue,
                    }
                }
                let (bytes, events, sequence) = ahead.encode(format, max, shared, waited);
                self.delivered(events, sequence);
                return Poll::Ready(EncodedDelivery::Events(EncodedBatch::new(bytes, events)));
            }
            if self.register(shared, cx) {
                return Poll::Pending;
            }
            match self.find(shared) {
                Found::More => {}
                Found::Lost(lost) => return Poll::Ready(EncodedDelivery::Gap(self.lost(&lost, shared))),
                Found::End(end) => return Poll::Ready(EncodedDelivery::End(end)),
            }
        }
    }

    /// Counts the delivered events, the last of which has this sequence.
    #[inline(always)]
    pub(super) fn delivered(&mut self, events: u32, sequence: u64) {
        self.reader.advance(events);
        self.sequence = sequence;
    }

    /// Returns the events ahead that are to be delivered, if that is not all of them.
    #[cold]
    fn sieved_batch(&mut self, shared: &Shared) -> Option<Batch> {
        let (batch, taken) = self.reader.ahead(shared, self.overflow)?.sieved_batch(shared, self.overflow)?;
        self.sequence = taken.sequence;
        let events = batch.count();
        Some(batch.with_conflated(self.reader.take(&taken, events, shared)))
    }

    /// Encodes the first of the events ahead that are to be delivered, if that is not all of them.
    #[cold]
    fn sieved_encode(&mut self, shared: &Shared, format: &dyn Format, max: usize) -> Option<EncodedBatch> {
        let ahead = self.reader.ahead(shared, self.overflow)?;
        let (encoding, taken) = ahead.sieved_encode(shared, self.overflow, format, max)?;
        self.sequence = taken.sequence;
        let events = encoding.events;
        Some(encoding.conflated(self.reader.take(&taken, events, shared)))
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

    /// Registers without a look at the segment in hand, and lets go of it: if it were evicted, nothing would wake this
    /// reader.
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
