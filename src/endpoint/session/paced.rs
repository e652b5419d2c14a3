//! Polls of a subscriber whose session has a pace.

use std::mem;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
#[cfg(feature = "long-poll")]
use std::time::Instant;

use super::entry::PACES;
use super::metered::{Alert, MeteredSubscriber};
use super::pace::Pace;
use crate::contract::{EncodedDelivery, EndState, Format, Subscriber};
use crate::subscriber::Fetched;

impl MeteredSubscriber {
    /// Sets the least time between two deliveries.
    #[cold]
    pub(super) fn set_pace(&mut self, interval: Duration) {
        let head = self.feed.info().into_head();
        let pace = Pace::new(interval, head, &self.entry.shared.runtime.wheel);
        self.pace = Some(Box::new(pace));
        let locked = self.entry.locked.lock();
        self.entry.set_signal(PACES, true);
        drop(locked);
    }

    /// Sets the time of the first delivery.
    #[cfg(feature = "long-poll")]
    #[cold]
    pub(crate) fn wait_until(&mut self, at: Instant) {
        self.set_pace(Duration::ZERO);
        self.pace.iter_mut().for_each(|pace| pace.close_until(at));
        self.entry.is_paced.store(true, Relaxed);
    }

    /// Applies the pace to another feed. An interval of its own replaces that of the session, and 0 ends the pace.
    pub(super) fn follow_pace(&mut self, interval: Option<Duration>) {
        let is_paced = self.pace.is_some();
        match interval {
            Some(interval) if !interval.is_zero() && !is_paced => return self.set_pace(interval),
            Some(interval) if interval.is_zero() && is_paced => {
                self.entry.is_paced.store(false, Relaxed);
                self.pace = None;
            }
            _ => {}
        }
        if let Some(pace) = &mut self.pace {
            pace.follow(self.feed.info().into_head(), interval, &self.entry.shared.runtime.wheel);
        }
    }

    /// Polls a subscriber that has a pace, or whose session has a change of the topics. The delivery is boxed, because the
    /// events of other sessions would otherwise be moved in memory.
    #[cold]
    pub(super) fn poll_rare(
        &mut self,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<Box<EncodedDelivery>> {
        if self.entry.has_change() { self.poll_changing(cx, format, max) } else { self.poll_paced(cx, format, max) }
    }

    /// Polls the feed if the pace allows it.
    pub(super) fn poll_paced(
        &mut self,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<Box<EncodedDelivery>> {
        ready!(self.poll_pace(cx));
        let polled = self.poll_feed(cx, format, max);
        self.note_polled(polled.is_ready());
        polled.map(Fetched::into_box)
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
    pub(super) fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pace) = &mut self.pace else { return Poll::Ready(()) };
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
    pub(super) fn note_polled(&mut self, is_ready: bool) {
        let Some(pace) = &mut self.pace else { return };
        let (cursor, is_recovering) = (self.feed.cursor(), self.feed.is_recovering());
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
        if let Some(pace) = &mut self.pace {
            pace.close(is_registered, &self.entry.shared.runtime.wheel);
        }
    }
}
