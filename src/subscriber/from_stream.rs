use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::contract::{Batch, Delivery, Subscriber, SubscriptionEnd};
use crate::model::{Event, Topic};

/// How many ready events of a stream go out in one batch.
const BATCH: usize = 64;

/// A subscriber of any stream of events, as the events of one topic.
///
/// Such a source has no history and no cursors: a client that comes back begins anew, and is not told what it missed. It
/// is for transports that stay open: chunked stream, SSE and WebSocket. A poll is answered with all events if the stream
/// ends in time: for a short poll at once, for a long poll before its wait is over, and within one batch of bytes.
/// Otherwise it is refused with 400, since what follows a reply would be lost.
pub fn from_stream<T>(topic: Topic, stream: T) -> FromStream<T>
where
    T: Stream<Item = Event> + Send + 'static,
{
    FromStream { topic, stream: Some(Box::pin(stream)) }
}

/// The subscriber of [`from_stream`].
pub struct FromStream<T> {
    topic: Topic,
    stream: Option<Pin<Box<T>>>,
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
            true => Delivery::End(SubscriptionEnd::Finished),
            false => Delivery::Events(Batch::new(self.topic.clone(), 0, events)),
        })
    }
}

impl<T> fmt::Debug for FromStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromStream").field("topic", &self.topic).finish_non_exhaustive()
    }
}
