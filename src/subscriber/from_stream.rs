use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::contract::{Batch, Delivery, EndState, Subscriber, SubscriberInfo, SubscriptionEnd};
use crate::model::{Cursor, EndReason, Event, Topic, TopicEnd};

/// Maximum number of events in a batch.
const BATCH: usize = 64;

/// Converts a stream of events into a subscriber. The events are of one topic.
///
/// The source has no history and no cursors: a client that reconnects misses events without a gap. Use it for transports that
/// stay open: chunked streams, SSE and WebSockets. After the last event it yields the [end](Delivery::TopicEnd) of the topic
/// with the reserved cursor of epoch 0 and sequence 1. An endpoint answers a client that returns with that cursor without a call
/// of the publisher, so that the stream is not created again. It answers a poll only if the stream ends in time and all its
/// events fit into one batch of bytes: for a short poll at once, for a long poll before its deadline. It answers other polls
/// with 400, because the client would lose the events after the reply.
///
/// ```
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
/// use futures_core::Stream;
/// use tidings::subscriber::{Delivery, SubscriberExt, from_stream};
/// use tidings::{Event, Topic};
///
/// /// Stream of the numbers down to 1.
/// struct Countdown(u32);
///
/// impl Stream for Countdown {
///     type Item = Event;
///
///     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
///         let event = (self.0 > 0).then(|| Event::text(self.0.to_string()));
///         self.0 = self.0.saturating_sub(1);
///         Poll::Ready(event)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut subscriber = from_stream(Topic::new("launch")?, Countdown(3));
/// assert!(matches!(subscriber.next().await, Delivery::Events(batch) if batch.len() == 3));
/// assert!(matches!(subscriber.next().await, Delivery::TopicEnd(end) if end.is_last));
/// assert!(matches!(subscriber.next().await, Delivery::End(_)));
/// # Ok(())
/// # }
/// ```
pub fn from_stream<T>(topic: Topic, stream: T) -> FromStream<T>
where
    T: Stream<Item = Event> + Send + 'static,
{
    FromStream { topic, stream: Some(Box::pin(stream)), has_ended: false }
}

/// Subscriber of [`from_stream`].
pub struct FromStream<T> {
    topic: Topic,
    stream: Option<Pin<Box<T>>>,
    /// Whether the end of the topic was yielded.
    has_ended: bool,
}

impl<T: Stream<Item = Event> + Send + 'static> Subscriber for FromStream<T> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let mut events = Vec::new();
        while let Some(stream) = &mut self.stream {
            match stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(event)) => events.push((0, event)),
                Poll::Ready(None) => self.stream = None,
                Poll::Pending if events.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
            if events.len() == BATCH {
                break;
            }
        }
        Poll::Ready(match events.is_empty() {
            true if self.has_ended => Delivery::End(SubscriptionEnd::Finished),
            true => {
                self.has_ended = true;
                let end = TopicEnd::new(self.topic.clone(), TopicEnd::RESERVED_CURSOR, EndReason::Done);
                Delivery::TopicEnd(end.with_last())
            }
            false => Delivery::Events(Batch::new(self.topic.clone(), 0, events)),
        })
    }

    fn cursor(&self) -> Option<Cursor> {
        self.has_ended.then_some(TopicEnd::RESERVED_CURSOR)
    }

    fn info(&self) -> SubscriberInfo<'_> {
        let state = match &self.stream {
            Some(_) => EndState::Live,
            None if self.has_ended => EndState::Finished,
            None => EndState::Ended,
        };
        SubscriberInfo::new().with_end_state(state)
    }
}

impl<T> fmt::Debug for FromStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromStream").field("topic", &self.topic).finish_non_exhaustive()
    }
}
