use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::subscriber::{BoxSubscriber, SubscriptionEnd};
use crate::transport::chunked::ChunkedStream;
use crate::transport::sse::SseEncoder;
use bytes::Bytes;
use futures_core::Stream;

use crate::conformance::clients::{BoxFuture, Client, ClientEnd, Inbox, Seen, Wire};

/// A client that reads the items of an adapter.
pub(super) struct StreamClient<T, W> {
    stream: T,
    wire: W,
    inbox: Inbox,
}

/// A stream that returns the cause of its end.
pub(super) trait Ending: Stream<Item = Bytes> + Unpin + Send {
    fn end(&self) -> Option<SubscriptionEnd>;
}

impl Ending for ChunkedStream<BoxSubscriber> {
    fn end(&self) -> Option<SubscriptionEnd> {
        self.end()
    }
}

impl Ending for SseEncoder<BoxSubscriber> {
    fn end(&self) -> Option<SubscriptionEnd> {
        self.end()
    }
}

impl<T: Ending, W: Wire> StreamClient<T, W> {
    pub(super) fn open(stream: T, wire: W, cursor: Option<&str>) -> Result<Self, String> {
        let mut this = Self { stream, wire, inbox: Inbox::after(cursor) };
        let Poll::Ready(first) = this.poll_item(&mut Context::from_waker(Waker::noop())) else {
            return Err("the first poll yields no bytes".into());
        };
        this.take(first)?;
        match this.wire.has_hello() == this.inbox.has_begun() {
            true => Ok(this),
            false => Err("no hello".into()),
        }
    }

    async fn read_item(&mut self) -> Result<Seen, String> {
        loop {
            if let Some(seen) = self.inbox.take() {
                return Ok(seen);
            }
            let item = poll_fn(|cx| self.poll_item(cx)).await;
            if item.is_none() {
                self.wire.end()?;
                return match self.stream.end() {
                    Some(SubscriptionEnd::Closed | SubscriptionEnd::Finished) => Ok(Seen::End(ClientEnd::Finished)),
                    Some(SubscriptionEnd::TooSlow) => Ok(Seen::End(ClientEnd::Later)),
                    other => Err(format!("ended with {other:?}")),
                };
            }
            self.take(item)?;
        }
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Pin::new(&mut self.stream).poll_next(cx)
    }

    fn take(&mut self, item: Option<Bytes>) -> Result<(), String> {
        item.map_or(Ok(()), |bytes| self.wire.read(&bytes, &mut self.inbox))
    }
}

impl<T: Ending, W: Wire> Client for StreamClient<T, W> {
    fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>> {
        Box::pin(self.read_item())
    }

    fn cursor(&self) -> Option<&str> {
        self.inbox.cursor()
    }
}
