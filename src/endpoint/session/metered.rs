use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::entry::SessionEntry;
use super::recovery::Feed;
use super::throttle::Throttle;
use crate::contract::{Delivery, EncodedDelivery, Format, Subscriber, SubscriberInfo, SubscriptionEnd};
use crate::endpoint::session::SessionEnd;
use crate::model::{Cursor, GapReason};
use crate::subscriber::Fetched;

/// Subscriber that a session's transport reads: counts the events, obeys the throttle, and yields nothing once the
/// authorization ended.
#[repr(C)]
pub(crate) struct MeteredSubscriber {
    // In this order, beside what a delivery touches of the feed.
    pub(super) entry: Arc<SessionEntry>,
    /// Boxed because most sessions have none.
    pub(super) throttle: Option<Box<Throttle>>,
    pub(super) feed: Feed,
}

impl MeteredSubscriber {
    pub(super) fn new(feed: Feed, entry: &Arc<SessionEntry>) -> Self {
        Self::begin(&feed, entry);
        Self { feed, entry: entry.clone(), throttle: None }
    }

    /// Notes the position and the head of the source at the begin of the feed.
    #[inline(always)]
    pub(super) fn begin(feed: &Feed, entry: &SessionEntry) {
        entry.track.moved(feed.cursor());
        if entry.is_listed {
            let head = feed.info().into_head();
            let other = std::mem::replace(&mut entry.locked.lock().head, head);
            drop(other);
        }
    }

    /// Returns whether it is pending because a snapshot is on its way.
    pub(crate) fn is_recovering(&self) -> bool {
        self.feed.is_recovering()
    }

    /// Returns whether nothing more may go out. It is called after the feed yielded, so no event of a later time gets
    /// through.
    #[inline]
    pub(super) fn is_shut(&self) -> bool {
        self.entry.is_shut()
            || self.feed.recovery().poll().is_some_and(|poll| poll.has_expired(&self.entry.shared.runtime.wheel))
    }

    /// Returns whether a delivery may go out, and notes it.
    #[cold]
    fn is_passed_on(&self, what: &EncodedDelivery) -> bool {
        if self.is_shut() {
            return false;
        }
        match what {
            EncodedDelivery::Events(_) => {}
            EncodedDelivery::Gap(gap) => {
                if gap.reason == GapReason::TooLarge {
                    self.entry.shared.counters.too_large();
                }
                self.entry.note_gap(gap, self.feed.cursor());
            }
            EncodedDelivery::TopicEnd(end) => self.entry.note_topic_end(end.cursor),
            EncodedDelivery::End(end) => self.ended(*end),
        }
        true
    }

    #[cold]
    fn ended(&self, end: SubscriptionEnd) {
        self.entry.subscriber_ended(match end {
            SubscriptionEnd::Closed | SubscriptionEnd::Finished => SessionEnd::Finished,
            SubscriptionEnd::TooSlow => SessionEnd::TooSlow,
            SubscriptionEnd::Failed => SessionEnd::Panicked,
        });
    }
}

impl Subscriber for MeteredSubscriber {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        ready!(self.poll_throttle(cx));
        let alert = Alert(&self.entry);
        let polled = self.feed.poll_next(cx);
        std::mem::forget(alert);
        match &polled {
            Poll::Pending => self.entry.note_caught_up(),
            Poll::Ready(_) if self.is_shut() => return Poll::Pending,
            Poll::Ready(Delivery::Events(batch)) => {
                self.entry.note_events(0, batch.count(), batch.conflated(), self.feed.cursor());
                self.note_delay(self.feed.cursor());
            }
            Poll::Ready(Delivery::Gap(gap)) => self.entry.note_gap(gap, self.feed.cursor()),
            Poll::Ready(Delivery::TopicEnd(end)) => self.entry.note_topic_end(end.cursor),
            Poll::Ready(Delivery::End(end)) => self.ended(*end),
        }
        self.note_polled(polled.is_ready());
        polled
    }

    #[inline(always)]
    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        let fetched = match self.entry.is_plain() {
            true => self.poll_feed(cx, format, max),
            false => self.poll_rare(cx, format, max).map(Fetched::Other),
        };
        fetched.map(Fetched::into_delivery)
    }

    #[inline]
    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        if self.entry.is_plain() { self.register_feed(cx) } else { self.register_rare(cx) }
    }

    /// While a gap is on its way, the cursor is that of the client's request, which may be any.
    fn acknowledge(&mut self, cursor: Cursor) {
        if !self.feed.is_recovering() {
            self.entry.track.acknowledge(cursor);
            self.feed.acknowledge(cursor);
        }
    }

    fn cursor(&self) -> Option<Cursor> {
        self.feed.cursor()
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        let skips = self.feed.skip_to(cursor);
        if skips {
            self.entry.track.moved(self.feed.cursor());
        }
        skips
    }

    fn release(&mut self) {
        self.feed.release();
    }

    #[inline]
    fn info(&self) -> SubscriberInfo<'_> {
        self.feed.info()
    }
}

impl MeteredSubscriber {
    #[inline]
    pub(super) fn register_feed(&mut self, cx: &mut Context<'_>) -> bool {
        let alert = Alert(&self.entry);
        let waits = self.feed.register(cx);
        std::mem::forget(alert);
        if waits {
            self.entry.note_caught_up();
        }
        waits
    }

    #[inline(always)]
    pub(super) fn poll_feed(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<Fetched> {
        let alert = Alert(&self.entry);
        let polled = self.feed.poll_fetched(cx, format, max);
        std::mem::forget(alert);
        match polled {
            Poll::Pending => {
                self.entry.note_caught_up();
                Poll::Pending
            }
            Poll::Ready(Fetched::Events(events)) => {
                if self.is_shut() {
                    // The revocation wakes the task.
                    return Poll::Pending;
                }
                let cursor = self.feed.cursor();
                self.entry.note_events(events.bytes.len(), events.events, events.conflated, cursor);
                self.note_delay(cursor);
                Poll::Ready(Fetched::Events(events))
            }
            Poll::Ready(Fetched::Other(other)) if self.is_passed_on(&other) => Poll::Ready(Fetched::Other(other)),
            Poll::Ready(Fetched::Other(_)) => Poll::Pending,
        }
    }
}

/// Guard that is dropped only by a panic of the application's subscriber, which it notes.
pub(super) struct Alert<'a>(pub(super) &'a Arc<SessionEntry>);

impl Drop for Alert<'_> {
    fn drop(&mut self) {
        self.0.note(SessionEnd::Panicked);
    }
}
