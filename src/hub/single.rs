use std::task::{Context, Poll};
use std::time::Duration;

use crate::contract::{Batch, Delivery, Encoded, Encoding, End, Format};
use crate::hub::log::Log;
use crate::hub::placing::{Found, Placed};
use crate::hub::reader::{Lost, Reader};
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
    too_slow: bool,
}

/// What came of waiting.
enum Waited {
    /// There may be something to read now.
    Look,
    Registered,
    Lost(Lost),
    Ended(End),
}

impl Single {
    /// A subscription that begins where it was placed, after `sequence`.
    pub(super) fn new(reader: Reader, placed: &Placed, sequence: u64, overflow: Overflow) -> Self {
        let sequence = placed.head.map_or(sequence, |head| sequence.min(head - 1));
        Self { reader, ticket: Ticket::NONE, sequence, overflow, too_slow: false }
    }

    pub(super) fn poll_next(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<Delivery> {
        if self.too_slow {
            return Poll::Ready(Delivery::End(End::TooSlow));
        }
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
            match self.wait(shared, cx) {
                Waited::Look => {}
                Waited::Registered => return Poll::Pending,
                Waited::Lost(lost) => return Poll::Ready(Delivery::Gap(self.lost(&lost, shared))),
                Waited::Ended(end) => return Poll::Ready(Delivery::End(end)),
            }
        }
    }

    pub(super) fn poll_encoded(
        &mut self,
        shared: &Shared,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<Encoded> {
        if self.too_slow {
            return Poll::Ready(Encoded::End(End::TooSlow));
        }
        loop {
            if let Some(ahead) = self.reader.ahead(shared, self.overflow) {
                if !ahead.is_whole {
                    match self.sieved_encode(shared, format, max) {
                        Some(encoding) => return Poll::Ready(Encoded::Events(encoding)),
                        None => continue,
                    }
                }
                let (bytes, events, sequence) = ahead.encode(format, max, shared);
                self.delivered(events, sequence);
                return Poll::Ready(Encoded::Events(Encoding::new(bytes, events)));
            }
            match self.wait(shared, cx) {
                Waited::Look => {}
                Waited::Registered => return Poll::Pending,
                Waited::Lost(lost) => return Poll::Ready(Encoded::Gap(self.lost(&lost, shared))),
                Waited::Ended(end) => return Poll::Ready(Encoded::End(end)),
            }
        }
    }

    fn delivered(&mut self, events: u32, sequence: u64) {
        self.reader.log.tally.delivered.add(u64::from(events));
        self.reader.advance(events);
        self.sequence = sequence;
    }

    /// What is to be delivered of what is ahead, where that is not all of it.
    #[cold]
    fn sieved_batch(&mut self, shared: &Shared) -> Option<Batch> {
        let (batch, taken) = self.reader.ahead(shared, self.overflow)?.sieved_batch(shared, self.overflow)?;
        self.sequence = taken.sequence;
        let events = batch.count();
        Some(batch.with_conflated(self.reader.take(&taken, events, shared)))
    }

    /// The same, encoded.
    #[cold]
    fn sieved_encode(&mut self, shared: &Shared, format: &dyn Format, max: usize) -> Option<Encoding> {
        let ahead = self.reader.ahead(shared, self.overflow)?;
        let (encoding, taken) = ahead.sieved_encode(shared, self.overflow, format, max)?;
        self.sequence = taken.sequence;
        let events = encoding.events;
        Some(encoding.conflated(self.reader.take(&taken, events, shared)))
    }

    /// Registers for the next event, unless there is something to read, or to say, first.
    #[inline]
    fn wait(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Waited {
        // Loaded before the look under the lock: every event of this topic up to here is in the log by then.
        let published = shared.published.load();
        // Cloned before the lock: a waker is the executor's code.
        let waker = cx.waker().clone();
        let mut state = self.reader.log.state();
        if state.next == self.reader.next && !state.closed {
            let replaced = state.waiters.register(&mut self.ticket, waker);
            drop(state);
            drop(replaced);
            self.sequence = self.sequence.max(published);
            return Waited::Registered;
        }
        let found = state.find(self.reader.next);
        drop(state);
        self.follow(found, shared)
    }

    #[cold]
    fn follow(&mut self, found: Found, shared: &Shared) -> Waited {
        if let Found::Nothing = found {
            return Waited::Ended(End::Closed);
        }
        match self.reader.follow(found, shared) {
            Some(_) if self.overflow == Overflow::Disconnect => {
                self.too_slow = true;
                Waited::Ended(End::TooSlow)
            }
            Some(lost) => Waited::Lost(lost),
            None => Waited::Look,
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

    pub(super) fn detach(&mut self) {
        self.reader.detach();
    }

    /// Leaves the topic.
    pub(super) fn leave(&mut self, shared: &Shared) {
        let ticket = &mut self.ticket;
        shared.leave(&self.reader.log, |state| state.waiters.cancel(ticket));
    }
}

impl Lost {
    pub(super) fn gap(&self, shared: &Shared, log: &Log) -> Gap {
        log.gap(GapReason::Overflow, shared.cursor(self.evicted)).missed(self.missed)
    }
}
