use std::task::{Context, Poll, ready};

use crate::contract::{
    Batch, BoxSubscriber, Delivery, EncodedBatch, EncodedDelivery, Format, Subscriber, SubscriberInfo,
};
use crate::model::Cursor;
use crate::subscriber::SubscriberExt;
use crate::subscriber::following::with_more;
use crate::subscriber::snapshot::later;

/// Returns a subscriber that obeys the limit of bytes: the given one if it does, else one that encodes its batches.
pub(crate) fn heeding(subscriber: BoxSubscriber) -> BoxSubscriber {
    if subscriber.heeds_max() { subscriber } else { Pieces::new(subscriber).boxed() }
}

/// Subscriber that encodes the batches of another one. It keeps the events that do not fit for the next call.
pub(super) struct Pieces<S> {
    inner: S,
    /// Events of the inner subscriber that were not returned. Not empty if present.
    rest: Option<Batch>,
    /// Cursor of the client while `rest` is present.
    held: Option<Cursor>,
}

impl<S: Subscriber> Pieces<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, rest: None, held: None }
    }
}

impl<S: Subscriber> Subscriber for Pieces<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        match self.rest.take() {
            Some(rest) => Poll::Ready(Delivery::Events(rest)),
            None => self.inner.poll_next(cx),
        }
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        let batch = match &self.rest {
            Some(rest) => rest.clone(),
            None => {
                let here = self.inner.cursor();
                match ready!(self.inner.poll_next(cx)) {
                    Delivery::Events(batch) => {
                        // The events are kept while they are encoded, because the format may panic.
                        (self.rest, self.held) = (Some(batch.clone()), here);
                        batch
                    }
                    Delivery::Gap(gap) => return Poll::Ready(EncodedDelivery::Gap(gap)),
                    Delivery::TopicEnd(end) => return Poll::Ready(EncodedDelivery::TopicEnd(end)),
                    Delivery::End(end) => return Poll::Ready(EncodedDelivery::End(end)),
                }
            }
        };
        let (bytes, count, cursor) = batch.encode_first(format, max);
        let conflated = batch.conflated();
        let rest = batch.without_first(count).with_conflated(0);
        (self.rest, self.held) = (Some(rest).filter(|rest| !rest.is_empty()), cursor);
        Poll::Ready(EncodedDelivery::Events(EncodedBatch::new(bytes, count).with_conflated(conflated)))
    }

    fn heeds_max(&self) -> bool {
        true
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        self.rest.is_none() && self.inner.register(cx)
    }

    fn cursor(&self) -> Option<Cursor> {
        if self.rest.is_some() { self.held } else { self.inner.cursor() }
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        let skips = self.inner.skip_to(cursor);
        if skips {
            self.rest = self.rest.take().and_then(|rest| rest.after(cursor));
            self.held = Some(later(self.held, cursor));
        }
        skips
    }

    fn info(&self) -> SubscriberInfo<'_> {
        let info = self.inner.info();
        if self.rest.is_some() { with_more(info) } else { info }
    }

    fn acknowledge(&mut self, cursor: Cursor) {
        self.inner.acknowledge(cursor);
    }

    fn release(&mut self) {
        self.inner.release();
    }
}
