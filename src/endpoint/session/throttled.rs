//! Polls of a subscriber whose session is throttled.

use std::mem;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
#[cfg(feature = "long-poll")]
use std::time::Instant;

use super::entry::THROTTLED;
use super::metered::{Alert, MeteredSubscriber};
use super::throttle::Throttle;
use crate::contract::{EncodedDelivery, EndState, Format, Subscriber};
use crate::subscriber::Fetched;

impl MeteredSubscriber {
    /// Sets the least time between two deliveries.
    #[cold]
    pub(super) fn set_throttle(&mut self, interval: Duration) {
        let head = self.feed.info().into_head();
        let throttle = Throttle::new(interval, head, &self.entry.shared.runtime.wheel);
        self.throttle = Some(Box::new(throttle));
        let locked = self.entry.locked.lock();
        self.entry.set_signal(THROTTLED, true);
        drop(locked);
    }

    /// Sets the time of the first delivery.
    #[cfg(feature = "long-poll")]
    #[cold]
    pub(crate) fn wait_until(&mut self, at: Instant) {
        self.set_throttle(Duration::ZERO);
        self.throttle.iter_mut().for_each(|throttle| throttle.close_until(at));
        self.entry.is_throttled.store(true, Relaxed);
    }

    /// Applies the throttle to another feed. An interval of its own replaces that of the session, and 0 ends the
    /// throttle.
    pub(super) fn change_throttle(&mut self, interval: Option<Duration>) {
        match interval {
            Some(Duration::ZERO) => {
                self.entry.is_throttled.store(false, Relaxed);
                self.throttle = None;
            }
            Some(interval) if self.throttle.is_none() => return self.set_throttle(interval),
            _ => {}
        }
        if let Some(throttle) = &mut self.throttle {
            throttle.follow(self.feed.info().into_head(), interval, &self.entry.shared.runtime.wheel);
        }
    }

    /// Polls a subscriber that is throttled, or whose session has a change of the topics. The delivery is boxed,
    /// because the events of other sessions would otherwise be moved in memory.
    #[cold]
    pub(super) fn poll_rare(
        &mut self,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<Box<EncodedDelivery>> {
        if self.entry.has_change() { self.poll_changing(cx, format, max) } else { self.poll_throttled(cx, format, max) }
    }

    /// Polls the feed if the throttle allows it.
    pub(super) fn poll_throttled(
        &mut self,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<Box<EncodedDelivery>> {
        ready!(self.poll_throttle(cx));
        let polled = self.poll_feed(cx, format, max);
        self.note_polled(polled.is_ready());
        polled.map(Fetched::into_box)
    }

    /// Registers the task of `cx` for the next delivery that the throttle allows. A change of the topics is to be
    /// polled.
    #[cold]
    pub(super) fn register_rare(&mut self, cx: &mut Context<'_>) -> bool {
        if self.entry.has_change() {
            return false;
        }
        if self.poll_throttle(cx).is_pending() {
            return true;
        }
        let waits = self.register_feed(cx);
        if waits {
            self.note_polled(false);
        }
        waits
    }

    /// Ready if the throttle allows a poll of the feed. The task of `cx` is woken when it does.
    pub(super) fn poll_throttle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(throttle) = &mut self.throttle else { return Poll::Ready(()) };
        if throttle.is_closed() {
            let alert = Alert(&self.entry);
            // The end of the session or of the topics is not delayed, nor are the events before it.
            let is_ending = self.entry.is_ending() || self.feed.info().end_state() != EndState::Live;
            // If nothing waits, the next event sets the alarm, and an end is seen at once. A change may wait for the cursor
            // that the next poll of the feed has.
            let is_idle =
                !is_ending && throttle.needs_registration() && self.feed.register(cx) && !self.entry.has_change();
            mem::forget(alert);
            if is_idle {
                return Poll::Pending;
            }
            if is_ending {
                throttle.open();
            }
        }
        throttle.poll_open(cx)
    }

    /// Notes whether the feed yielded a part of a delivery, or is pending.
    pub(super) fn note_polled(&mut self, is_ready: bool) {
        let Some(throttle) = &mut self.throttle else { return };
        let (cursor, is_recovering) = (self.feed.cursor(), self.feed.is_recovering());
        if is_ready {
            if throttle.note_part(cursor) {
                self.close(false);
            }
        } else if throttle.is_reading() && !is_recovering {
            // A snapshot is a part of the delivery.
            self.close(true);
        } else {
            self.entry.is_throttled.store(false, Relaxed);
        }
    }

    /// Begins the time to the next delivery. History that the source holds would otherwise stay in memory so long.
    fn close(&mut self, is_registered: bool) {
        self.feed.release();
        self.entry.is_throttled.store(true, Relaxed);
        if let Some(throttle) = &mut self.throttle {
            throttle.close(is_registered, &self.entry.shared.runtime.wheel);
        }
    }
}
