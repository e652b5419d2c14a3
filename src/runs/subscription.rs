use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::entry::RunEntry;
use super::shared::Shared;
use crate::contract::{BoxSubscriber, Delivery, EncodedDelivery, Format, Subscriber, SubscriberInfo};
use crate::model::{Cursor, Pattern};

/// Subscription of a run: its events, then the [end of its topic](crate::TopicEnd).
///
/// [`Runs::subscribe`](crate::runs::Runs::subscribe) and [`Run::subscribe`](crate::runs::Run::subscribe) return it. It is a
/// subscription of the hub that counts as a reader of the run until it is dropped.
pub struct RunSubscription {
    subscription: BoxSubscriber,
    /// Declared last: the subscription is dropped before its reader is counted out.
    reader: Reader,
}

impl RunSubscription {
    pub(crate) fn new(subscription: BoxSubscriber, reader: Reader) -> Self {
        Self { subscription, reader }
    }
}

impl Subscriber for RunSubscription {
    #[inline]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.subscription.poll_next(cx)
    }

    #[inline]
    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        self.subscription.poll_encoded(cx, format, max)
    }

    #[inline]
    fn heeds_max(&self) -> bool {
        self.subscription.heeds_max()
    }

    #[inline]
    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        self.subscription.register(cx)
    }

    #[inline]
    fn cursor(&self) -> Option<Cursor> {
        self.subscription.cursor()
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        self.subscription.skip_to(cursor)
    }

    fn skip_followed(&mut self, cursor: Cursor, followed: &[Pattern]) -> bool {
        self.subscription.skip_followed(cursor, followed)
    }

    fn acknowledge(&mut self, cursor: Cursor) {
        self.subscription.acknowledge(cursor);
    }

    #[inline]
    fn release(&mut self) {
        self.subscription.release();
    }

    #[inline]
    fn info(&self) -> SubscriberInfo<'_> {
        self.subscription.info()
    }
}

impl fmt::Debug for RunSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunSubscription").field("topic", &self.reader.entry.topic).finish_non_exhaustive()
    }
}

/// Reader of a run, counted until it is dropped.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    entry: Arc<RunEntry>,
}

impl Reader {
    pub(crate) fn new(shared: &Arc<Shared>, entry: &Arc<RunEntry>) -> Self {
        entry.enter();
        Self { shared: Arc::clone(shared), entry: Arc::clone(entry) }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let is_last = self.entry.leave(self.shared.timer.now());
        if is_last && self.shared.limits.unwatched.is_some() {
            self.entry.wake();
        }
    }
}
