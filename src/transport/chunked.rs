//! Chunked streams: one response of JSON lines (NDJSON), one line an event.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::keep_alive::KeepAlive;
use super::limit;
use super::object::{write_bye, write_event, write_gap, write_heartbeat, write_hello};
use crate::contract::{EncodedDelivery, EventRef, Format, Slot, Subscriber, SubscriptionEnd, place};
use crate::model::Cursor;
use crate::time::Timer;

/// Writes a subscriber's events as a stream of NDJSON: one JSON object a line, one line feed after each.
///
/// First a `hello` line at once, then events and gaps as they come, and a keep-alive when nothing came for a while.
/// Every item is whole lines. The stream is over when the subscriber is at its [`end`](Self::end), or after
/// [`finish`](Self::finish). Polling is cancel-safe; an item that was returned is the caller's to write.
///
/// ```
/// use std::pin::Pin;
/// use std::time::Duration;
/// use bytes::Bytes;
/// use futures_core::Stream;
/// use tidings::Subscriber;
/// use tidings::time::Timer;
/// use tidings::transport::chunked::{ChunkedStream, Heartbeat};
///
/// fn body(subscriber: impl Subscriber, timer: &dyn Timer) -> Pin<Box<dyn Stream<Item = Bytes> + Send>> {
///     let lines = ChunkedStream::new(subscriber, timer).keep_alive(Duration::from_secs(10));
///     Box::pin(lines.heartbeat(Heartbeat::Visible))
/// }
/// ```
#[must_use = "streams do nothing unless polled"]
#[repr(C)]
pub struct ChunkedStream<S> {
    keep_alive: KeepAlive,
    // From the end of the keep-alive to the beginning of the subscriber: what a delivery touches, together.
    max_batch_bytes: usize,
    stage: Stage,
    heartbeat: Heartbeat,
    subscriber: S,
}

/// Form of a keep-alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Heartbeat {
    /// An empty line, which readers of NDJSON skip.
    #[default]
    Silent,
    /// `{"tidings":"heartbeat","cursor":"7.9"}` with the current cursor: also moves a quiet client's cursor on.
    Visible,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Opening,
    Open,
    Bye { retry: Duration },
    Over(Option<SubscriptionEnd>),
}

impl<S: Subscriber> ChunkedStream<S> {
    /// A stream of this subscriber's events from where it stands.
    pub fn new(subscriber: S, timer: &dyn Timer) -> Self {
        Self {
            subscriber,
            keep_alive: KeepAlive::new(timer),
            heartbeat: Heartbeat::Silent,
            max_batch_bytes: limit::BATCH,
            stage: Stage::Opening,
        }
    }

    /// The longest silence: 15 s unless set, [`Duration::MAX`] for no keep-alive at all.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive.set_interval(interval);
        self
    }

    /// Sets the form of a keep-alive. Default: an empty line.
    pub fn heartbeat(self, heartbeat: Heartbeat) -> Self {
        Self { heartbeat, ..self }
    }

    /// At most so many bytes of events in an item (64 KiB unless set), but always at least one event.
    pub fn max_batch_bytes(self, max: usize) -> Self {
        Self { max_batch_bytes: max, ..self }
    }

    /// Ends the stream in order: the next item is `{"tidings":"bye","retry_ms":…}`, and the last one. No effect once
    /// the stream is over.
    pub fn finish(&mut self, retry: Duration) {
        if !matches!(self.stage, Stage::Over(_)) {
            self.stage = Stage::Bye { retry };
        }
    }

    /// Why the subscriber gave nothing more; `None` while it does, and after a `bye`.
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

    #[cold]
    fn line(&mut self, write: impl FnOnce(&mut BytesMut)) -> Poll<Option<Bytes>> {
        self.keep_alive.wrote();
        let mut out = BytesMut::with_capacity(128);
        write(&mut out);
        out.extend_from_slice(b"\n");
        Poll::Ready(Some(out.freeze()))
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
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.subscriber.poll_encoded(cx, &Line, self.max_batch_bytes) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                self.keep_alive.wrote();
                Poll::Ready(Some(events.bytes))
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => self.line(|out| write_gap(&gap, out)),
            Poll::Ready(EncodedDelivery::End(end)) => {
                self.stage = Stage::Over(Some(end));
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(self.keep_alive.poll_due(cx));
                self.beat()
            }
        }
    }

    #[cold]
    fn poll_unopened(&mut self, stage: Stage) -> Poll<Option<Bytes>> {
        match stage {
            Stage::Opening => {
                self.stage = Stage::Open;
                let (cursor, heartbeat) = (self.cursor(), self.keep_alive.interval());
                self.line(|out| write_hello(cursor, heartbeat, out))
            }
            Stage::Bye { retry } => {
                self.stage = Stage::Over(None);
                self.line(|out| write_bye(retry, out))
            }
            Stage::Open | Stage::Over(_) => Poll::Ready(None),
        }
    }

    #[cold]
    fn beat(&mut self) -> Poll<Option<Bytes>> {
        match self.heartbeat {
            Heartbeat::Silent => Poll::Ready(Some(Bytes::from_static(b"\n"))),
            Heartbeat::Visible => {
                let cursor = self.cursor();
                self.line(|out| write_heartbeat(cursor, out))
            }
        }
    }
}

impl<S> Unpin for ChunkedStream<S> {}

impl<S: Subscriber> Stream for ChunkedStream<S> {
    type Item = Bytes;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.stage {
            Stage::Open => self.poll_events(cx),
            stage => self.poll_unopened(stage),
        }
    }
}

impl<S> fmt::Debug for ChunkedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkedStream").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// The event object and a line feed.
struct Line;

impl Format for Line {
    fn slot(&self) -> Option<Slot> {
        Some(place::OBJECT_LINE)
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        write_event(event, out);
        out.extend_from_slice(b"\n");
    }
}
