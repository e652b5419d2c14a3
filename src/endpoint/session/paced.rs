//! Polls of a subscriber whose session has a pace.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
#[cfg(feature = "long-poll")]
use std::time::Instant;

use super::entry::{PACES, SessionEntry};
use super::metered::{Alert, MeteredSubscriber};
use super::pace::Pace;
use super::polls::PollEntry;
use crate::contract::{EncodedDelivery, EndState, Format, Subscriber};

/// State of a session's subscriber that is rare.
#[derive(Default)]
pub(super) struct Extra {
    /// The poll that reads it, of a poll session.
    poll: Option<Arc<PollEntry>>,
    pace: Option<Pace>,
}

impl Extra {
    /// Returns the state of the subscriber of a poll session's poll.
    pub(super) fn of(poll: Arc<PollEntry>) -> Self {
        Self { poll: Some(poll), pace: None }
    }

    /// Returns whether the authorization of the poll has expired.
    pub(super) fn has_expired(&self, entry: &SessionEntry) -> bool {
        self.poll.as_ref().is_some_and(|poll| poll.has_expired(&entry.shared.runtime.wheel))
    }
}

impl MeteredSubscriber {
    /// Sets the least time between two deliveries.
    #[cold]
    pub(super) fn set_pace(&mut self, interval: Duration) {
        let head = self.feed.info().into_head();
        let pace = Pace::new(interval, head, &self.entry.shared.runtime.wheel);
        self.extra.get_or_insert_default().pace = Some(pace);
        let locked = self.entry.locked.lock();
        self.entry.set_signal(PACES, true);
        drop(locked);
    }

    /// Sets the time of the first delivery.
    #[cfg(feature = "long-poll")]
    #[cold]
    pub(crate) fn wait_until(&mut self, at: Instant) {
        self.set_pace(Duration::ZERO);
        self.pace_mut().into_iter().for_each(|pace| pace.close_until(at));
        self.entry.is_paced.store(true, Relaxed);
    }

    /// Applies the pace to another feed. An interval of its own replaces that of the session, and 0 ends the pace.
    pub(super) fn follow_pace(&mut self, interval: Option<Duration>) {
        let is_paced = self.pace_mut().is_some();
        match interval {
            Some(interval) if !interval.is_zero() && !is_paced => return self.set_pace(interval),
            Some(interval) if interval.is_zero() && is_paced => {
                self.entry.is_paced.store(false, Relaxed);
                self.extra.iter_mut().for_each(|extra| extra.pace = None);
            }
            _ => {}
        }
        if let Some(pace) = self.extra.as_mut().and_then(|extra| extra.pace.as_mut()) {
            pace.follow(self.feed.info().into_head(), interval, &self.entry.shared.runtime.wheel);
        }
    }

    fn pace_mut(&mut self) -> Option<&mut Pace> {
        self.extra.as_mut()?.pace.as_mut()
    }

    /// Polls a subscriber that has a pace, or whose session has a change of the topics.
    #[cold]
    pub(super) fn poll_rare(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        if self.entry.has_change() { self.poll_changing(cx, format, max) } else { self.poll_paced(cx, format, max) }
    }

    /// Polls the feed if the pace allows it.
    pub(super) fn poll_paced(
        &mut self,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<EncodedDelivery> {
        ready!(self.poll_pace(cx));
        let polled = self.poll_feed(cx, format, max);
        self.note_polled(polled.is_ready());
        polled
    }

    /// Registers the task of `cx` for the next delivery that the pace allows. A change of the topics is to be polled.
    #[cold]
    pub(super) fn register_rare(&mut self, cx: &mut Context<'_>) -> bool {
        if self.entry.has_change() {
            return false;
        }
        if self.poll_pace(cx).is_pending() {
            return true;
        }
        let waits = self.register_feed(cx);
        if waits {
            self.note_polled(false);
        }
        waits
    }

    /// Ready if the pace allows a poll of the feed. The task of `cx` is woken when it does.
    #[inline]
    pub(super) fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.extra.is_none() { Poll::Ready(()) } else { self.poll_extra(cx) }
    }

    #[cold]
    fn poll_extra(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pace) = self.extra.as_mut().and_then(|extra| extra.pace.as_mut()) else { return Poll::Ready(()) };
        if pace.is_closed() {
            let alert = Alert(&self.entry);
            // The end of the session or of the topics is not delayed, nor are the events before it.
            if self.entry.is_ending() || self.feed.info().end_state() != EndState::Live {
                pace.open();
            } else if pace.needs_registration() && self.feed.register(cx) && !self.entry.has_change() {
                // Nothing waits. The next event sets the alarm, and an end is seen at once. A change may wait for the cursor
                // that the next poll of the feed has.
                mem::forget(alert);
                return Poll::Pending;
            }
            mem::forget(alert);
        }
        pace.poll_open(cx)
    }

    /// Notes whether the feed yielded a part of a delivery, or is pending.
    #[inline]
    pub(super) fn note_polled(&mut self, is_ready: bool) {
        if self.extra.is_some() {
            self.pace_polled(is_ready);
        }
    }

    #[cold]
    fn pace_polled(&mut self, is_ready: bool) {
        let (cursor, is_recovering) = (self.feed.cursor(), self.feed.is_recovering());
        let Some(pace) = self.pace_mut() else { return };
        if is_ready {
            if pace.note_part(cursor) {
                self.close(false);
            }
        } else if pace.is_reading() && !is_recovering {
            // A snapshot is a part of the delivery.
            self.close(true);
        } else {
            self.entry.is_paced.store(false, Relaxed);
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
}
