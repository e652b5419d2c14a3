use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use crate::hub::wake::notifier::{Notifier, NotifierQueue, NotifierStart};
use crate::hub::wake::waiters::Ticket;

/// Handle by which notifiers of a hub can be started. It keeps the hub neither open nor in memory.
#[derive(Clone)]
pub(crate) struct NotifierSource(Weak<NotifierQueue>);

/// Future that becomes the notifier of a hub when there is no other one.
///
/// It is ready when the hub is closed. If a waker panics in a poll, the remaining subscribers are woken before the
/// panic reaches the caller, and the next poll starts another notifier.
#[must_use = "a standby notifier wakes no subscriber unless it is polled"]
pub(crate) struct Standby {
    source: NotifierSource,
    /// Registration for the end of another notifier.
    ticket: Ticket,
    notifier: Option<Notifier>,
}

impl NotifierSource {
    pub(crate) fn new(wakes: &Arc<NotifierQueue>) -> Self {
        Self(Arc::downgrade(wakes))
    }

    /// Returns a future that becomes the notifier of the hub.
    pub(crate) fn standby(&self) -> Standby {
        Standby { source: self.clone(), ticket: Ticket::NONE, notifier: None }
    }
}

impl Standby {
    /// Starts the notifier, unless there is another one.
    fn begin(&mut self, cx: &Context<'_>) -> Poll<Option<Notifier>> {
        let Some(wakes) = self.source.0.upgrade() else {
            return Poll::Ready(None);
        };
        match wakes.start_or_wait(&mut self.ticket, cx.waker().clone()) {
            NotifierStart::First => Poll::Ready(Some(Notifier::begun(wakes))),
            NotifierStart::Waits => Poll::Pending,
            NotifierStart::Closed => Poll::Ready(None),
        }
    }
}

impl Future for Standby {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // Taken out, so that a panic drops the notifier. It then wakes the waiters that it has taken.
        let mut notifier = match this.notifier.take() {
            Some(notifier) => notifier,
            None => match std::task::ready!(this.begin(cx)) {
                Some(notifier) => notifier,
                None => return Poll::Ready(()),
            },
        };
        let polled = Pin::new(&mut notifier).poll(cx);
        if polled.is_pending() {
            this.notifier = Some(notifier);
        }
        polled
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        if let Some(wakes) = self.source.0.upgrade() {
            wakes.cancel_wait(&mut self.ticket);
        }
    }
}

impl fmt::Debug for NotifierSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifierSource").finish_non_exhaustive()
    }
}
