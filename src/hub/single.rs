use std::task::{Context, Poll};

use crate::contract::{Delivery, Encoded, End, Format};
use crate::hub::log::{Found, Placed};
use crate::hub::reader::{Lost, Reader};
use crate::hub::shared::Shared;
use crate::hub::waiters::Ticket;
use crate::model::{Gap, GapReason, Overflow};

/// A subscription of one topic: no inbox, no merge, and no lock that it shares with readers of other topics.
#[derive(Debug)]
pub(super) struct Single {
    reader: Reader,
    ticket: Ticket,
    /// Everything of the topic up to here was delivered.
    pub(super) sequence: u64,
    overflow: Overflow,
    ended: Option<End>,
}

/// What comes instead of events.
pub(super) enum Stop {
    Gap(Gap),
    End(End),
}

impl Single {
    /// A subscription that begins where it was placed, after `sequence`.
    pub(super) fn new(reader: Reader, placed: &Placed, sequence: u64, overflow: Overflow) -> Self {
        let sequence = placed.head.map_or(sequence, |head| sequence.min(head - 1));
        Self { reader, ticket: Ticket::NONE, sequence, overflow, ended: None }
    }

    pub(super) fn poll_next(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            if let Some(ahead) = self.reader.ahead(shared) {
                let (batch, events, sequence) = (ahead.batch(), ahead.len(), ahead.last_sequence());
                self.delivered(events, sequence);
                return Poll::Ready(Delivery::Events(batch));
            }
            if let Some(stop) = std::task::ready!(self.wait(shared, cx)) {
                return Poll::Ready(stop.into());
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
        loop {
            let many = self.reader.is_shared();
            if let Some(ahead) = self.reader.ahead(shared) {
                let (bytes, events, sequence) = ahead.encode(format, max, many);
                self.delivered(events, sequence);
                return Poll::Ready(Encoded::Events(bytes));
            }
            if let Some(stop) = std::task::ready!(self.wait(shared, cx)) {
                return Poll::Ready(stop.into());
            }
        }
    }

    fn delivered(&mut self, events: u32, sequence: u64) {
        self.reader.advance(events);
        self.sequence = sequence;
    }

    /// Registers for the next event. Ready if there is something to read, or to say, first.
    fn wait(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Poll<Option<Stop>> {
        if let Some(end) = self.ended {
            return Poll::Ready(Some(Stop::End(end)));
        }
        // Loaded before the look under the lock: every event of this topic up to here is in the log by then.
        let published = shared.published.load();
        // Cloned before the lock: a waker is the executor's code.
        let waker = cx.waker().clone();
        let mut state = self.reader.log.state();
        let found = state.find(self.reader.next);
        if !matches!(found, Found::Nothing) {
            drop(state);
            let lost = self.reader.follow(found);
            return Poll::Ready(lost.map(|lost| self.lost(&lost, shared)));
        }
        if state.closed {
            drop(state);
            self.ended = Some(End::Closed);
            return Poll::Ready(self.ended.map(Stop::End));
        }
        let replaced = state.waiters.register(&mut self.ticket, waker);
        drop(state);
        drop(replaced);
        self.sequence = self.sequence.max(published);
        Poll::Pending
    }

    fn lost(&mut self, lost: &Lost, shared: &Shared) -> Stop {
        if self.overflow == Overflow::Disconnect {
            self.ended = Some(End::TooSlow);
            return Stop::End(End::TooSlow);
        }
        self.sequence = self.sequence.max(lost.evicted);
        Stop::Gap(lost.gap(shared, &self.reader.log.topic))
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
    pub(super) fn gap(&self, shared: &Shared, topic: &crate::model::Topic) -> Gap {
        Gap::new(GapReason::Overflow, shared.cursor(self.evicted)).missed(self.missed).topic(topic.clone())
    }
}

impl From<Stop> for Delivery {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Gap(gap) => Self::Gap(gap),
            Stop::End(end) => Self::End(end),
        }
    }
}

impl From<Stop> for Encoded {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Gap(gap) => Self::Gap(gap),
            Stop::End(end) => Self::End(end),
        }
    }
}
