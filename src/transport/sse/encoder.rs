use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::block::{sse_retry_block, write_gap_block, write_heartbeat_block, write_hello_block, write_retry};
use super::format::{Object, Plain};
use crate::contract::{EncodedDelivery, Format, Subscriber, SubscriptionEnd};
use crate::model::Cursor;
use crate::time::Timer;
use crate::transport::keep_alive::KeepAlive;
use crate::transport::limit;

/// One line feed: after an empty line some readers would see an empty event.
const COMMENT: Bytes = Bytes::from_static(b":\n");

/// Writes a subscriber's events as server-sent events (WHATWG HTML §9.2).
///
/// The first item is ready at once: a comment line and the [hello](Self::hello). Then comes a block for each event, and
/// the same comment as a keep-alive when nothing came for a while. A gap is a block with `event: tidings.gap`. `id:` is
/// last in every block. Every item is whole blocks or a comment, so the stream may be cut between any two.
///
/// SSE carries text: binary payloads go as base64, and only [objects](Self::objects) say so. A reader joins `data:` lines
/// with LF, so CRLF and CR in a text arrive as LF; in [objects](Self::objects) they arrive as they are.
///
/// The stream is over when the subscriber is at its [`end`](Self::end), or after [`finish`](Self::finish). Polling is
/// cancel-safe; an item that was returned is the caller's to write.
///
/// ```
/// use std::pin::Pin;
/// use std::time::Duration;
/// use bytes::Bytes;
/// use futures_core::Stream;
/// use tidings::Subscriber;
/// use tidings::time::Timer;
/// use tidings::transport::sse::SseEncoder;
///
/// fn body(subscriber: impl Subscriber, timer: &dyn Timer) -> Pin<Box<dyn Stream<Item = Bytes> + Send>> {
///     Box::pin(SseEncoder::new(subscriber, timer).retry(Duration::from_secs(2)))
/// }
/// ```
#[must_use = "streams do nothing unless polled"]
#[repr(C)]
pub struct SseEncoder<S> {
    retry: Option<Duration>,
    keep_alive: KeepAlive,
    // From the end of the keep-alive to the beginning of the subscriber: what a delivery touches, together.
    max_batch_bytes: usize,
    stage: Stage,
    objects: bool,
    visible: bool,
    hello: bool,
    subscriber: S,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Opening,
    /// There was no hello. The next block is the client's first, and tells it when to come back.
    Retry,
    Open,
    Finishing,
    Over(Option<SubscriptionEnd>),
}

impl<S: Subscriber> SseEncoder<S> {
    /// A stream of this subscriber's events from where it stands.
    pub fn new(subscriber: S, timer: &dyn Timer) -> Self {
        Self {
            subscriber,
            keep_alive: KeepAlive::new(timer),
            stage: Stage::Opening,
            max_batch_bytes: limit::BATCH,
            retry: None,
            objects: false,
            visible: false,
            hello: true,
        }
    }

    /// Sets whether the stream begins with a block `event: tidings.hello`, whose id is the cursor where the subscriber
    /// stands. Default: `true`.
    ///
    /// A client that is cut before its first event resumes from that id. Without the hello it has no id yet, so it loses,
    /// without a gap, what was published until it was back. An `EventSource` gives the block to listeners for its name
    /// only. Turn it off for readers that show or parse every block alike. Streams of [objects](Self::objects) always
    /// have it.
    ///
    /// The block has no id while the subscriber has no cursor, because a gap of another epoch is still to be told. Some
    /// clients then forget theirs. In [`Recover`](crate::subscriber::Recover) a subscriber has the client's own until the gap.
    pub fn hello(self, hello: bool) -> Self {
        Self { hello, ..self }
    }

    /// The longest silence: 15 s unless set, [`Duration::MAX`] for no keep-alive at all.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive.set_interval(interval);
        self
    }

    /// Tells the client, in its first block, how long to wait before it comes back (at least 1 ms). Not told unless set.
    pub fn retry(self, retry: Duration) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// Whether data is the JSON event object, which tells topic, name and encoding, rather than the payload. The blocks
    /// of events then have no `event:`.
    pub fn objects(self, objects: bool) -> Self {
        Self { objects, ..self }
    }

    /// Whether a keep-alive is a block, `event: tidings.heartbeat` with the current cursor as its id, rather than a
    /// comment, which scripts can't see.
    pub fn visible_heartbeat(self, visible: bool) -> Self {
        Self { visible, ..self }
    }

    /// At most so many bytes of events in an item (64 KiB unless set), but always at least one event.
    pub fn max_batch_bytes(self, max: usize) -> Self {
        Self { max_batch_bytes: max, ..self }
    }

    /// Ends the stream in order: the next item is a block `event: tidings.retry` with `retry:` and the current cursor as its
    /// id, and the last one, as in a drain of an endpoint. Without a [hello](Self::hello) there is no such block either, and
    /// the stream is over at once. No effect once the stream is over.
    ///
    /// End the body with an error at least 100 ms after the last item, as an endpoint does: most clients come back after
    /// either end, but some take a clean end for the last one. See [`sse_retry_block`](crate::transport::sse::sse_retry_block).
    pub fn finish(&mut self, retry: Duration) {
        if !matches!(self.stage, Stage::Over(_)) {
            (self.stage, self.retry) = (Stage::Finishing, Some(retry));
        }
    }

    /// Returns why the subscriber gave nothing more: `None` while the stream goes on, and after [`finish`](Self::finish).
    #[must_use]
    pub fn end(&self) -> Option<SubscriptionEnd> {
        match self.stage {
            Stage::Over(end) => end,
            _ => None,
        }
    }

    /// Everything up to here was yielded. `None` where the source has no cursors.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.subscriber.cursor()
    }

    /// The subscriber, to [release](Subscriber::release) it while the socket takes nothing.
    pub fn subscriber_mut(&mut self) -> &mut S {
        &mut self.subscriber
    }

    /// Registers the task of `cx` if no further item is ready. Returns whether it was registered; `false` means that
    /// the caller must poll, see [`Subscriber::register`].
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn register(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.stage, Stage::Open) && self.keep_alive.is_set(cx) && self.subscriber.register(cx)
    }

    /// The hot path: a batch's shared bytes go out as they are.
    #[inline(always)]
    fn poll_events(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Option<Bytes>> {
        let format: &dyn Format = if self.objects { &Object } else { &Plain };
        match self.subscriber.poll_encoded(cx, format, max) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                self.keep_alive.wrote();
                Poll::Ready(Some(events.bytes))
            }
            Poll::Pending => {
                ready!(self.keep_alive.poll_due(cx));
                self.beat()
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => self.block(|out| write_gap_block(&gap, out)),
            Poll::Ready(EncodedDelivery::End(end)) => {
                self.stage = Stage::Over(Some(end));
                Poll::Ready(None)
            }
        }
    }

    #[cold]
    fn beat(&mut self) -> Poll<Option<Bytes>> {
        if self.visible {
            let cursor = self.cursor();
            return self.block(|out| write_heartbeat_block(cursor, out));
        }
        Poll::Ready(Some(COMMENT))
    }

    #[cold]
    fn poll_unopened(&mut self, cx: &mut Context<'_>, stage: Stage) -> Poll<Option<Bytes>> {
        match stage {
            Stage::Opening => self.open(),
            Stage::Retry => self.poll_retry(cx),
            Stage::Finishing => Poll::Ready(self.last_block()),
            Stage::Open | Stage::Over(_) => Poll::Ready(None),
        }
    }

    fn open(&mut self) -> Poll<Option<Bytes>> {
        self.keep_alive.wrote();
        if !self.hello && !self.objects {
            self.stage = if self.retry.is_some() { Stage::Retry } else { Stage::Open };
            return Poll::Ready(Some(COMMENT));
        }
        self.stage = Stage::Open;
        let (cursor, retry) = (self.cursor(), self.retry);
        let heartbeat = self.keep_alive.interval().filter(|_| self.visible);
        self.block(|out| {
            out.extend_from_slice(&COMMENT);
            retry.into_iter().for_each(|retry| write_retry(retry, out));
            write_hello_block(cursor, heartbeat, out);
        })
    }

    fn last_block(&mut self) -> Option<Bytes> {
        self.stage = Stage::Over(None);
        let retry = self.retry.filter(|_| self.hello || self.objects)?;
        Some(sse_retry_block(retry, self.cursor()))
    }

    /// Puts the retry line into the first block. Asks for one event only, for the shared bytes must be copied for it.
    fn poll_retry(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let item = ready!(self.poll_events(cx, 1));
        let block = match item {
            Some(block) if block != COMMENT => block,
            comment_or_end => return Poll::Ready(comment_or_end),
        };
        self.stage = Stage::Open;
        let retry = self.retry;
        self.block(|out| {
            retry.into_iter().for_each(|retry| write_retry(retry, out));
            out.extend_from_slice(&block);
        })
    }

    #[cold]
    fn block(&mut self, write: impl FnOnce(&mut BytesMut)) -> Poll<Option<Bytes>> {
        self.keep_alive.wrote();
        let mut out = BytesMut::with_capacity(128);
        write(&mut out);
        Poll::Ready(Some(out.freeze()))
    }
}

impl<S> Unpin for SseEncoder<S> {}

impl<S: Subscriber> Stream for SseEncoder<S> {
    type Item = Bytes;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.stage {
            Stage::Open => {
                let max = self.max_batch_bytes;
                self.poll_events(cx, max)
            }
            stage => self.poll_unopened(cx, stage),
        }
    }
}

impl<S> fmt::Debug for SseEncoder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseEncoder").field("stage", &self.stage).finish_non_exhaustive()
    }
}
