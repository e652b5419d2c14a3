//! Streams without control blocks, see [`SseEncoder::controls`].

use std::task::{Context, Poll, ready};

use bytes::Bytes;
#[cfg(feature = "http")]
use bytes::BytesMut;

#[cfg(feature = "http")]
use super::{COMMENT, write_retry};
use super::{SseEncoder, Stage};
use crate::contract::{EncodedDelivery, Subscriber, SubscriptionEnd};
#[cfg(feature = "http")]
use crate::model::Gap;
use crate::model::{EndReason, TopicEnd};

/// First delivery of a stream without control blocks, see [`SseEncoder::poll_first`].
#[cfg(feature = "http")]
pub(crate) enum FirstDelivery {
    /// Begin of the stream, up to its first block.
    Item(Bytes),
    /// Gap, which the stream cannot express.
    Gap(Gap),
    /// The subscriber ended before an event.
    End(SubscriptionEnd),
}

impl<S: Subscriber> SseEncoder<S> {
    /// Polls for the next item of a stream without control blocks, after a delivery that is left out. It is a loop, because
    /// many topics may end at once, and many keys be removed.
    #[cold]
    pub(super) fn poll_past_controls(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Option<Bytes>> {
        loop {
            match self.subscriber.poll_encoded(cx, self.format(), max) {
                Poll::Ready(EncodedDelivery::TopicEnd(end)) => self.note_end(&end),
                Poll::Ready(EncodedDelivery::Gap(gap)) if gap.snapshot => {}
                Poll::Ready(EncodedDelivery::Gap(_)) => return self.break_off(),
                Poll::Ready(EncodedDelivery::End(end)) => return self.finished(end),
                Poll::Ready(EncodedDelivery::Events(events)) if events.bytes.is_empty() => {}
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    self.keep_alive.wrote();
                    return Poll::Ready(Some(events.bytes));
                }
                Poll::Pending => {
                    ready!(self.keep_alive.poll_due(cx));
                    return self.beat();
                }
            }
        }
    }

    /// Polls for the first delivery of a stream without control blocks, so that a gap can be answered by a status. The stream
    /// continues after the item that is returned.
    #[cfg(feature = "http")]
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<FirstDelivery> {
        loop {
            let events = match ready!(self.subscriber.poll_encoded(cx, self.format(), 1)) {
                EncodedDelivery::TopicEnd(end) => {
                    self.note_end(&end);
                    continue;
                }
                EncodedDelivery::Gap(gap) if gap.snapshot => continue,
                EncodedDelivery::Gap(gap) => return Poll::Ready(FirstDelivery::Gap(gap)),
                EncodedDelivery::End(end) => return Poll::Ready(FirstDelivery::End(end)),
                EncodedDelivery::Events(events) if events.bytes.is_empty() => continue,
                EncodedDelivery::Events(events) => events.bytes,
            };
            self.stage = Stage::Open;
            self.keep_alive.wrote();
            let mut item = BytesMut::from(&COMMENT[..]);
            self.retry.into_iter().for_each(|retry| write_retry(retry, &mut item));
            item.extend_from_slice(&events);
            return Poll::Ready(FirstDelivery::Item(item.freeze()));
        }
    }

    /// Notes the end of a topic, which is left out.
    pub(super) fn note_end(&mut self, end: &TopicEnd) {
        self.has_failed |= end.reason == EndReason::Failed;
    }

    /// Ends a stream that cannot express a gap.
    pub(super) fn break_off(&mut self) -> Poll<Option<Bytes>> {
        self.stage = Stage::Over(Some(SubscriptionEnd::TooSlow));
        Poll::Ready(None)
    }
}
