use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::contract::{
    Delivery, EncodedBatch, EncodedDelivery, EndState, EventFilter, Format, Subscribe, Subscriber, SubscriberInfo,
    SubscriptionEnd,
};
use crate::engine::ends::ends;
use crate::engine::fill::{Fill, Filled};
use crate::engine::history::{History, ReadRange};
use crate::hub::Subscription;
use crate::model::{Cursor, Pattern};

/// Subscription of a hub with a history: the events in memory, and from the history those that are not in memory any
/// more.
///
/// The subscription in memory ends if it falls behind. Everything up to its cursor is delivered then. The next one in memory starts
/// at the newest event, and the events between them are read from the history.
pub struct HistorySubscription {
    pub(super) live: Subscription,
    /// The parameters of the subscription in memory, which begins after the present.
    pub(super) what: Subscribe,
    pub(super) history: Arc<dyn History>,
    pub(super) epoch: u64,
    /// All topics and patterns.
    pub(super) ranges: Arc<[ReadRange]>,
    /// Sequence after which the subscription in memory began.
    pub(super) began: u64,
    pub(super) filter: Option<EventFilter>,
    /// Whether lost events end the subscription.
    pub(super) disconnects: bool,
    pub(super) fill: Option<Fill>,
    /// Whether the fill has events for which the subscription in memory was too slow.
    pub(super) is_behind: bool,
    pub(super) is_too_slow: bool,
}

/// Delivery that is not read from memory.
enum Unlived {
    Filled(Filled),
    End(SubscriptionEnd),
}

impl HistorySubscription {
    /// Returns whether events from the history are still to be read.
    pub(crate) fn is_filling(&self) -> bool {
        self.fill.is_some()
    }

    /// Returns the next delivery that is not in memory, if there is one.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Option<Unlived>> {
        if self.is_too_slow {
            return Poll::Ready(Some(Unlived::End(SubscriptionEnd::TooSlow)));
        }
        let Some(fill) = &mut self.fill else {
            return Poll::Ready(None);
        };
        match ready!(fill.poll(&*self.history, self.filter.as_ref(), cx)) {
            Some(Filled::Gap(gap)) if self.disconnects && self.is_behind && !gap.snapshot => {
                self.is_too_slow = true;
                Poll::Ready(Some(Unlived::End(SubscriptionEnd::TooSlow)))
            }
            Some(Filled::Closed) => Poll::Ready(Some(Unlived::End(SubscriptionEnd::Closed))),
            Some(filled) => Poll::Ready(Some(Unlived::Filled(filled))),
            None => {
                self.fill = None;
                Poll::Ready(None)
            }
        }
    }

    /// Begins to read the events from the history for which the subscription in memory was too slow. Returns whether it could.
    fn falls_behind(&mut self) -> bool {
        let Some(((live, now), read)) = self.live.another(&self.what).ok().zip(self.live.cursor()) else {
            return false;
        };
        // In the middle of a state the position is before the events of other topics, none of which is from before the start.
        let (sequence, others) = (read.sequence(), read.sequence().max(self.began));
        let base = if read.epoch() == self.epoch { read.tag().unwrap_or(sequence) } else { now };
        let ranges = self.ranges.iter().map(|range| ReadRange { after: others, ..range.resumed(sequence, base) });
        let fill = Fill::after(self.epoch, ranges.collect(), sequence, now);
        let (ends, are_all) = ends(&live, &self.ranges, sequence, now);
        self.fill = Some(fill.with_ends(ends, are_all));
        (self.live, self.began, self.is_behind) = (live, now, true);
        true
    }
}

impl Subscriber for HistorySubscription {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            match ready!(self.poll_fill(cx)) {
                Some(Unlived::Filled(Filled::Events(batch))) => return Poll::Ready(Delivery::Events(batch)),
                Some(Unlived::Filled(Filled::Gap(gap))) => return Poll::Ready(Delivery::Gap(gap)),
                Some(Unlived::Filled(Filled::TopicEnd(end))) => return Poll::Ready(Delivery::TopicEnd(end)),
                Some(Unlived::Filled(Filled::Closed)) => return Poll::Ready(Delivery::End(SubscriptionEnd::Closed)),
                Some(Unlived::End(end)) => return Poll::Ready(Delivery::End(end)),
                None => {}
            }
            match ready!(self.live.poll_next(cx)) {
                Delivery::End(SubscriptionEnd::TooSlow) if self.falls_behind() => {}
                delivery => return Poll::Ready(delivery),
            }
        }
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        loop {
            match ready!(self.poll_fill(cx)) {
                Some(Unlived::Filled(Filled::Events(batch))) => {
                    let before = self.fill.as_ref().and_then(Fill::cursor);
                    let (bytes, count, last) = batch.encode_first(format, max);
                    let rest = batch.without_first(count);
                    if let Some(fill) = self.fill.as_mut().filter(|_| !rest.is_empty()) {
                        fill.put_back(rest, last.or(before));
                    }
                    return Poll::Ready(EncodedDelivery::Events(EncodedBatch::new(bytes, count)));
                }
                Some(Unlived::Filled(Filled::Gap(gap))) => return Poll::Ready(EncodedDelivery::Gap(gap)),
                Some(Unlived::Filled(Filled::TopicEnd(end))) => return Poll::Ready(EncodedDelivery::TopicEnd(end)),
                Some(Unlived::Filled(Filled::Closed)) => {
                    return Poll::Ready(EncodedDelivery::End(SubscriptionEnd::Closed));
                }
                Some(Unlived::End(end)) => return Poll::Ready(EncodedDelivery::End(end)),
                None => {}
            }
            match ready!(self.live.poll_encoded(cx, format, max)) {
                EncodedDelivery::End(SubscriptionEnd::TooSlow) if self.falls_behind() => {}
                delivery => return Poll::Ready(delivery),
            }
        }
    }

    fn heeds_max(&self) -> bool {
        true
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        self.fill.is_none() && !self.is_too_slow && self.live.register(cx)
    }

    /// `None` until a client whose cursor is not of the history has got its gap, and until the position of a start at the oldest or
    /// at the last events is known.
    fn cursor(&self) -> Option<Cursor> {
        match &self.fill {
            Some(fill) => fill.cursor(),
            None => self.live.cursor(),
        }
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        if !self.live.skip_to(cursor) {
            return false;
        }
        match &mut self.fill {
            Some(fill) if fill.up_to() > cursor.sequence() => fill.skip_to(cursor.sequence()),
            _ => self.fill = None,
        }
        true
    }

    /// While events are read from the history, the states of topics that were not followed are delivered with the events up to
    /// the cursor, and later events may precede the confirmation of a change.
    fn skip_followed(&mut self, cursor: Cursor, followed: &[Pattern]) -> bool {
        let Some(fill) = &self.fill else { return self.live.skip_followed(cursor, followed) };
        if self.ranges.iter().all(|range| range.state.is_none()) {
            return self.skip_to(cursor);
        }
        if !self.live.skip_to(cursor) {
            return false;
        }
        let sequence = cursor.sequence();
        let (up_to, base) = (fill.up_to().max(sequence), cursor.tag().unwrap_or(sequence));
        let ranges = self.ranges.iter().map(|range| {
            let is_followed = followed.iter().any(|other| other.covers(&range.name));
            let range = range.resumed(sequence, base);
            if is_followed { range } else { range.with_whole_states(up_to) }
        });
        self.fill = Some(Fill::after(self.epoch, ranges.collect(), sequence, up_to).with_states());
        true
    }

    fn release(&mut self) {
        self.live.release();
    }

    fn info(&self) -> SubscriberInfo<'_> {
        let info = self.live.info();
        if self.fill.is_none() {
            return info;
        }
        // The subscription in memory is behind the ends that the fill delivers.
        let end_state = if info.end_state() == EndState::Live { EndState::Live } else { EndState::Ended };
        info.with_end_state(end_state).with_loading()
    }
}

impl fmt::Debug for HistorySubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistorySubscription").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
