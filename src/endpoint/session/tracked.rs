use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::member::Member;
use super::mend::Feed;
use crate::contract::{Delivery, EncodedDelivery, Format, Head, Subscriber, SubscriptionEnd};
use crate::endpoint::session::SessionEnd;
use crate::model::{Cursor, GapReason, Pattern};
use crate::time::Clock;

/// What a session's transport reads from: counts what it hands on, and hands on nothing once the client's right is gone.
#[repr(C)]
pub(crate) struct Tracked {
    // In this order, beside what a delivery touches of the feed.
    member: Arc<Member>,
    /// When the client's right ends.
    right: Option<Instant>,
    feed: Feed,
}

impl Tracked {
    pub(super) fn new(feed: Feed, member: &Arc<Member>, right: Option<Instant>) -> Self {
        member.track.moved(feed.cursor());
        let head = feed.head();
        let other = std::mem::replace(&mut member.cell.lock().head, head);
        drop(other);
        Self { feed, member: member.clone(), right }
    }

    /// Whether it is pending for state that is on its way.
    pub(crate) fn is_mending(&self) -> bool {
        self.feed.is_mending()
    }

    /// Whether nothing more may go out. Asked after the feed was, whose events are then older than this answer.
    #[inline]
    fn is_shut(&self) -> bool {
        self.member.is_shut() || self.right.is_some_and(|right| self.has_expired(right))
    }

    #[cold]
    fn has_expired(&self, right: Instant) -> bool {
        let expired = right <= self.member.shared.runtime.wheel.now();
        // The right of one poll is not that of the others of its run.
        if expired && !self.member.is_run() {
            self.member.revoke();
        }
        expired
    }

    #[cold]
    fn told(&self, what: EncodedDelivery) -> Poll<EncodedDelivery> {
        if self.is_shut() {
            return Poll::Pending;
        }
        match &what {
            EncodedDelivery::Events(_) => {}
            EncodedDelivery::Gap(gap) => {
                if gap.reason == GapReason::TooLarge {
                    self.member.shared.counters.too_large();
                }
                self.member.track.told(gap, self.feed.cursor());
            }
            EncodedDelivery::End(end) => self.ended(*end),
        }
        Poll::Ready(what)
    }

    #[cold]
    fn ended(&self, end: SubscriptionEnd) {
        self.member.ended(match end {
            SubscriptionEnd::Closed | SubscriptionEnd::Finished => SessionEnd::Finished,
            SubscriptionEnd::TooSlow => SessionEnd::TooSlow,
            SubscriptionEnd::Failed => SessionEnd::Panicked,
        });
    }
}

impl Subscriber for Tracked {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let alert = Alert(&self.member);
        let polled = self.feed.poll_next(cx);
        std::mem::forget(alert);
        match &polled {
            Poll::Pending => self.member.track.caught_up(),
            Poll::Ready(_) if self.is_shut() => return Poll::Pending,
            Poll::Ready(Delivery::Events(batch)) => {
                self.member.track.delivered(0, batch.count(), batch.conflated(), self.feed.cursor());
            }
            Poll::Ready(Delivery::Gap(gap)) => self.member.track.told(gap, self.feed.cursor()),
            Poll::Ready(Delivery::End(end)) => self.ended(*end),
        }
        polled
    }

    #[inline(always)]
    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        let alert = Alert(&self.member);
        let polled = self.feed.poll_encoded(cx, format, max);
        std::mem::forget(alert);
        // Taken apart and put together, as in `Recover`.
        match polled {
            Poll::Pending => {
                self.member.track.caught_up();
                Poll::Pending
            }
            Poll::Ready(EncodedDelivery::Events(events)) => {
                if self.is_shut() {
                    // Whoever shut it wakes the task.
                    return Poll::Pending;
                }
                let cursor = self.feed.cursor();
                self.member.track.delivered(events.bytes.len(), events.events, events.conflated, cursor);
                Poll::Ready(EncodedDelivery::Events(events))
            }
            Poll::Ready(other) => self.told(other),
        }
    }

    #[inline]
    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        let alert = Alert(&self.member);
        let waits = self.feed.register(cx);
        std::mem::forget(alert);
        if waits {
            self.member.track.caught_up();
        }
        waits
    }

    fn cursor(&self) -> Option<Cursor> {
        self.feed.cursor()
    }

    fn release(&mut self) {
        self.feed.release();
    }

    fn topics(&self) -> Vec<Pattern> {
        self.feed.topics()
    }

    fn head(&self) -> Option<Arc<dyn Head>> {
        self.feed.head()
    }

    fn next_in(&self) -> Option<Duration> {
        self.feed.next_in()
    }
}

/// Dropped by a panic of the application's subscriber.
struct Alert<'a>(&'a Member);

impl Drop for Alert<'_> {
    fn drop(&mut self) {
        self.0.note(SessionEnd::Panicked);
    }
}
