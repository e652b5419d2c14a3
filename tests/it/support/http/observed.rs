use std::sync::Arc;
use std::task::{Context, Poll};

use tidings::subscriber::{Delivery, EncodedDelivery, Format, SubscriberInfo};
use tidings::{Cursor, Subscriber};

use super::App;
use super::session_log::SessionLog;

/// A subscriber that records its deliveries in the log of an [`App`].
pub(super) struct Observed<S> {
    inner: S,
    sessions: Arc<SessionLog>,
    panics: bool,
}

impl<S: Subscriber> Observed<S> {
    /// Wraps a subscriber. If `panics` is set, it panics at an event that contains `panic`.
    pub(super) fn new(inner: S, app: &App, panics: bool) -> Self {
        Self { inner, sessions: app.sessions.clone(), panics }
    }

    fn observe(&self, encoded: &Poll<EncodedDelivery>) {
        if let Poll::Ready(EncodedDelivery::Events(events)) = encoded {
            self.sessions.delivered();
            assert!(!(self.panics && String::from_utf8_lossy(&events.bytes).contains("panic")), "in a subscriber");
        }
    }
}

impl<S: Subscriber> Subscriber for Observed<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.inner.poll_next(cx)
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        let encoded = self.inner.poll_encoded(cx, format, max);
        self.observe(&encoded);
        encoded
    }

    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        self.inner.skip_to(cursor)
    }

    fn release(&mut self) {
        self.inner.release();
    }

    fn info(&self) -> SubscriberInfo<'_> {
        self.inner.info()
    }
}
