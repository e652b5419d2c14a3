use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::entry::SessionEntry;
use super::pace::Pace;
use super::polls::PollEntry;
use super::recovery::Feed;
use crate::contract::{Delivery, EncodedDelivery, EndState, Format, Subscriber, SubscriberInfo, SubscriptionEnd};
use crate::endpoint::session::SessionEnd;
use crate::model::{Cursor, GapReason};
use crate::subscriber::Fetched;

/// Subscriber that a session's transport reads: counts the events, keeps the pace, and yields nothing once the authorization
/// ended.
#[repr(C)]
pub(crate) struct MeteredSubscriber {
    // In this order, beside what a delivery touches of the feed.
    entry: Arc<SessionEntry>,
    /// Boxed because most sessions need none of it.
    extra: Option<Box<Extra>>,
    feed: Feed,
}

/// State of a session's subscriber that is rare.
#[derive(Default)]
struct Extra {
    /// The poll that reads it, of a poll session.
    poll: Option<Arc<PollEntry>>,
    pace: Option<Pace>,
}

impl MeteredSubscriber {
    pub(super) fn new(feed: Feed, entry: &Arc<SessionEntry>, poll: Option<Arc<PollEntry>>) -> Self {
        entry.track.moved(feed.cursor());
        if entry.is_listed {
            let head = feed.info().into_head();
            let other = std::mem::replace(&mut entry.locked.lock().head, head);
            drop(other);
        }
        let extra = poll.map(|poll| Box::new(Extra { poll: Some(poll), pace: None }));
        Self { feed, entry: entry.clone(), extra }
    }

    /// Sets the least time between two deliveries.
    #[cold]
    pub(super) fn set_pace(&mut self, interval: Duration) {
        let head = self.feed.info().into_head();
        let pace = Pace::new(interval, head, &self.entry.shared.runtime.wheel);
        self.extra.get_or_insert_default().pace = Some(pace);
    }

    /// Sets the time of the first delivery.
    #[cfg(feature = "long-poll")]
    #[cold]
    pub(crate) fn wait_until(&mut self, at: Instant) {
        self.set_pace(Duration::ZERO);
        self.pace_mut().into_iter().for_each(|pace| pace.close_until(at));
        self.entry.is_paced.store(true, Relaxed);
    }

    /// Returns whether it is pending because a snapshot is on its way.
    pub(crate) fn is_recovering(&self) -> bool {
        self.feed.is_recovering()
    }

    /// Returns whether nothing more may go out. It is called after the feed yielded, so no event of a later time gets
    /// through.
    #[inline]
    fn is_shut(&self) -> bool {
        self.entry.is_shut() || self.extra.as_ref().is_some_and(|extra| extra.has_expired(&self.entry))
    }

    fn pace_mut(&mut self) -> Option<&mut Pace> {
        self.extra.as_mut()?.pace.as_mut()
    }

    /// Ready if the pace allows a poll of the feed. The task of `cx` is woken when it does.
    #[inline]
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.extra.is_none() { Poll::Ready(()) } else { self.poll_extra(cx) }
    }

    #[cold]
    fn poll_extra(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pace) = self.extra.as_mut().and_then(|extra| extra.pace.as_mut()) else { return Poll::Ready(()) };
        if pace.is_closed() {
            // The end of the session or of the topics is not delayed, nor are the events before it.
            if self.entry.is_ending() || self.feed.info().end_state() != EndState::Live {
                pace.open();
            } else if pace.needs_registration() && self.feed.register(cx) {
                // Nothing waits. The next event sets the alarm, and an end is seen at once.
                return Poll::Pending;
            }
        }
        pace.poll_open(cx)
    }

    /// Notes that the feed yielded a part of a delivery.
    #[inline]
    fn note_part(&mut self) {
        if self.extra.is_some() {
            self.pace_part();
        }
    }

    #[cold]
    fn pace_part(&mut self) {
        let cursor = self.feed.cursor();
        if self.pace_mut().is_some_and(|pace| pace.note_part(cursor)) {
            self.close(false);
        }
    }

    /// Notes that the feed is pending.
    #[inline]
    fn note_pending(&mut self) {
        self.entry.note_caught_up();
        if self.extra.is_some() {
            self.pace_pending();
        }
    }

    #[cold]
    fn pace_pending(&mut self) {
        let is_recovering = self.feed.is_recovering();
        match self.pace_mut() {
            // A snapshot is a part of the delivery.
            Some(pace) if pace.is_reading() && !is_recovering => self.close(true),
            Some(_) => self.entry.is_paced.store(false, Relaxed),
            None => {}
        }
    }

    /// Begins the time to the next delivery. History that the source holds would otherwise stay in memory so long.
    fn close(&mut self, is_registered: bool) {
        self.feed.release();
        self.entry.is_paced.store(true, Relaxed);
        if let Some(pace) = self.extra.as_mut().and_then(|extra| extra.pace.as_mut()) {
            pace.close(is_registered, &self.entry.shared.runtime.wheel);
        }
    }

    /// Returns whether a delivery may go out, and notes it.
    #[cold]
    fn tells(&self, what: &EncodedDelivery) -> bool {
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

impl Extra {
    /// Returns whether the authorization of the poll has expired.
    fn has_expired(&self, entry: &SessionEntry) -> bool {
        self.poll.as_ref().is_some_and(|poll| poll.has_expired(&entry.shared.runtime.wheel))
    }
}

impl Subscriber for MeteredSubscriber {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        ready!(self.poll_pace(cx));
        let alert = Alert(&self.entry);
        let polled = self.feed.poll_next(cx);
        std::mem::forget(alert);
        match &polled {
            Poll::Pending => {
                self.note_pending();
                return Poll::Pending;
            }
            Poll::Ready(_) if self.is_shut() => return Poll::Pending,
            Poll::Ready(Delivery::Events(batch)) => {
                self.entry.note_events(0, batch.count(), batch.conflated(), self.feed.cursor());
            }
            Poll::Ready(Delivery::Gap(gap)) => self.entry.note_gap(gap, self.feed.cursor()),
            Poll::Ready(Delivery::TopicEnd(end)) => self.entry.note_topic_end(end.cursor),
            Poll::Ready(Delivery::End(end)) => self.ended(*end),
        }
        self.note_part();
        polled
    }

    #[inline(always)]
    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        if self.poll_pace(cx).is_pending() {
            return Poll::Pending;
        }
        let alert = Alert(&self.entry);
        let polled = self.feed.poll_fetched(cx, format, max);
        std::mem::forget(alert);
        match polled {
            Poll::Pending => {
                self.note_pending();
                Poll::Pending
            }
            Poll::Ready(Fetched::Events(events)) => {
                if self.is_shut() {
                    // The revocation wakes the task.
                    return Poll::Pending;
                }
                let cursor = self.feed.cursor();
                self.entry.note_events(events.bytes.len(), events.events, events.conflated, cursor);
                self.note_part();
                Poll::Ready(EncodedDelivery::Events(events))
            }
            Poll::Ready(Fetched::Other(other)) if self.tells(&other) => {
                self.note_part();
                Poll::Ready(*other)
            }
            Poll::Ready(Fetched::Other(_)) => Poll::Pending,
        }
    }

    #[inline]
    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        if self.poll_pace(cx).is_pending() {
            return true;
        }
        let alert = Alert(&self.entry);
        let waits = self.feed.register(cx);
        std::mem::forget(alert);
        if waits {
            self.note_pending();
        }
        waits
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

    fn release(&mut self) {
        self.feed.release();
    }

    #[inline]
    fn info(&self) -> SubscriberInfo<'_> {
        self.feed.info()
    }
}

/// Guard that is dropped only by a panic of the application's subscriber, which it notes.
struct Alert<'a>(&'a Arc<SessionEntry>);

impl Drop for Alert<'_> {
    fn drop(&mut self) {
        self.0.note(SessionEnd::Panicked);
    }
}
