//! Chunked streams: one response that does not end, with one JSON object a line (NDJSON).
//!
//! # Wire format
//!
//! Each line is one of the [JSON objects](crate::transport#objects) and ends with one line feed. The first line is `hello`.
//! A keep-alive is an empty line or a `heartbeat` object, see [`Heartbeat`]. An [`Endpoint`](crate::Endpoint) sends the
//! stream as `application/x-ndjson`, on HTTP/1.1 with `Transfer-Encoding: chunked` (RFC 9112 §7.1).
//!
//! ```json
//! {"tidings":"hello","cursor":"7.a7","heartbeat_ms":15000}
//! {"id":"7.a8","topic":"news","data":"first"}
//! {"id":"7.b12","gap":{"reason":"overflow","missed":4,"topic":"news"}}
//!
//! {"tidings":"bye","retry_ms":1500}
//! ```
//!
//! The [end of a topic](crate::Hub::finish) is a line after its last event. After the end of the last topic the stream ends:
//!
//! ```json
//! {"id":"7.b13","end":{"topic":"news","reason":"done"}}
//! ```
//!
//! A client that resumes after the end of its last topic gets `hello` and an end without a topic. The stream then ends. A
//! client can therefore tell a complete stream from one that was cut, also over HTTP/1.0, where both look alike:
//!
//! ```json
//! {"tidings":"hello","cursor":"7.b13","heartbeat_ms":15000}
//! {"id":"7.b13","end":{}}
//! ```
//!
//! # When to use it
//!
//! Use it for programs. Any HTTP client that reads a body line by line can follow the stream, with the cursor and the topic
//! of each event. Browsers have [`sse`](crate::transport::sse), which reconnects by itself.
//!
//! # Limits
//!
//! An item has at most [`max_batch_bytes`](ChunkedStream::max_batch_bytes) of events, and at least one event. There is no
//! limit for a line except [`EndpointBuilder::max_event`](crate::EndpointBuilder::max_event), while some clients have one:
//! aiohttp refuses lines above 128 KiB, in recent versions 512 KiB. The adapter has no write timeout, because it does not
//! write: the caller takes an item, writes it and polls again.
//!
//! # Example
//!
//! ```
//! use std::{future::poll_fn, pin::Pin, time::Duration};
//! use futures_core::Stream;
//! use tidings::time::TokioTimer;
//! use tidings::transport::chunked::ChunkedStream;
//! use tidings::{LocalHub, Subscribe, Subscriber};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (hub, timer) = (LocalHub::new(), TokioTimer::default());
//! let subscription = hub.subscribe(Subscribe::topics(["news"]))?;
//! let begin = subscription.cursor().expect("a local hub has cursors");
//! let mut stream = ChunkedStream::new(subscription, &timer).keep_alive(Duration::from_secs(10));
//! let cursor = hub.publish_now("news", "first")?.cursor().expect("a local hub has cursors");
//!
//! // The third item is due after 10 s without an event.
//! let mut body = Vec::new();
//! for _ in 0..3 {
//!     let item = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
//!     body.extend(item.expect("the stream continues"));
//! }
//! stream.finish(Duration::from_millis(1500));
//! while let Some(item) = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
//!     body.extend(item);
//! }
//!
//! let lines = [
//!     format!(r#"{{"tidings":"hello","cursor":"{begin}","heartbeat_ms":10000}}"#),
//!     format!(r#"{{"id":"{cursor}","topic":"news","data":"first"}}"#),
//!     String::new(),
//!     r#"{"tidings":"bye","retry_ms":1500}"#.to_owned(),
//! ];
//! assert_eq!(String::from_utf8(body)?, lines.join("\n") + "\n");
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::keep_alive::KeepAlive;
use super::limit;
use super::object::{write_bye, write_end, write_event, write_gap, write_heartbeat, write_hello, write_topic_end};
use crate::contract::{EncodedDelivery, EventRef, Format, Slot, Subscriber, SubscriptionEnd, place};
use crate::model::{Cursor, TopicEnd};
use crate::time::Timer;

/// Adapter of a chunked stream: a [`Stream`] of NDJSON lines.
///
/// The [module page](self) has the wire format and an example of the bytes.
///
/// The first item is the `hello` line, ready at once. Events and gaps follow as they come, and a keep-alive follows after
/// each interval without an item. Each item consists of whole lines. The stream ends when the subscriber has
/// [ended](Self::end), or after [`finish`](Self::finish). If the subscriber ends as
/// [`Finished`](SubscriptionEnd::Finished), the last line is the end of a topic, or `{"id":"7.b13","end":{}}`.
///
/// # Cancel safety
///
/// A poll that is not repeated loses nothing. An item that was returned must be written by the caller.
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
    // A delivery touches the end of the keep-alive, these fields and the beginning of the subscriber. They are adjacent.
    max_batch_bytes: usize,
    stage: Stage,
    heartbeat: Heartbeat,
    /// Whether a pause precedes the end of the body.
    pauses_at_end: bool,
    subscriber: S,
}

/// Form of a keep-alive, see [`ChunkedStream::heartbeat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Heartbeat {
    /// Empty line, which readers of NDJSON skip. The stream of a
    /// [filtered](crate::subscriber::SubscriberInfo::is_filtered) subscriber, or of one with
    /// [keyed](crate::Retention::latest_per_key) topics, has visible ones in any case, since the client needs the cursor.
    #[default]
    Silent,
    /// `{"tidings":"heartbeat","cursor":"7.a9"}` with the current cursor. It also advances the cursor of a client that
    /// receives no events.
    Visible,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Opening,
    Open,
    /// The end of the last topic was written. The subscriber yields its own end next.
    Ended,
    /// Everything was written. The stream ends after the pause.
    Pausing,
    Bye {
        retry: Duration,
    },
    Over(Option<SubscriptionEnd>),
}

impl<S: Subscriber> ChunkedStream<S> {
    /// Creates a stream of the subscriber's events from its current position.
    ///
    /// # Panics
    ///
    /// Panics if the timer does, such as `TokioTimer` outside a tokio runtime.
    pub fn new(subscriber: S, timer: &dyn Timer) -> Self {
        Self {
            subscriber,
            keep_alive: KeepAlive::new(timer),
            heartbeat: Heartbeat::Silent,
            pauses_at_end: false,
            max_batch_bytes: limit::BATCH,
            stage: Stage::Opening,
        }
    }

    /// Sets the longest silence. [`Duration::MAX`] disables keep-alives, less than 2 ms is 2 ms. Default: 15 s. It is a
    /// quarter of the 60 s after which nginx and load balancers close an idle connection.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive.set_interval(interval);
        self
    }

    /// Sets the form of a keep-alive. Default: an empty line, the shortest form.
    pub fn heartbeat(self, heartbeat: Heartbeat) -> Self {
        Self { heartbeat, ..self }
    }

    /// Sets the maximum number of bytes of events in an item. An item contains at least one event. Default: 64 KiB. It is
    /// about one TCP window.
    pub fn max_batch_bytes(self, max: usize) -> Self {
        Self { max_batch_bytes: max, ..self }
    }

    /// Delays the end of the stream until it is 1 s old, if all topics have ended. A client that comes again at once after the
    /// end of a body then makes one request in a second.
    #[cfg(feature = "http")]
    pub(crate) fn pause_at_end(self, pauses_at_end: bool) -> Self {
        Self { pauses_at_end, ..self }
    }

    /// Ends the stream after one more item, `{"tidings":"bye","retry_ms":…}`. Does nothing if the stream has ended, or the
    /// end of the last topic was written.
    pub fn finish(&mut self, retry: Duration) {
        self.stage = match self.stage {
            Stage::Opening | Stage::Open | Stage::Bye { .. } => Stage::Bye { retry },
            Stage::Ended | Stage::Pausing => Stage::Over(Some(SubscriptionEnd::Finished)),
            Stage::Over(end) => Stage::Over(end),
        };
    }

    /// Returns the end of the subscriber. `None` while the stream continues, and after [`finish`](Self::finish).
    #[must_use]
    pub fn end(&self) -> Option<SubscriptionEnd> {
        match self.stage {
            Stage::Over(end) => end,
            _ => None,
        }
    }

    /// Returns the cursor of the last item. `None` if the source has no cursors.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.subscriber.cursor()
    }

    /// Returns the subscriber, so that the caller can [release](Subscriber::release) it while the socket accepts no bytes.
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

    /// Polls the subscriber. The shared bytes of a batch are returned without a copy.
    #[inline(always)]
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.subscriber.poll_encoded(cx, &Line, self.max_batch_bytes) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                self.keep_alive.wrote();
                Poll::Ready(Some(events.bytes))
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => self.line(|out| write_gap(&gap, out)),
            Poll::Ready(EncodedDelivery::TopicEnd(end)) => self.topic_end(&end),
            Poll::Ready(EncodedDelivery::End(end)) => self.finished(end, cx),
            Poll::Pending => {
                ready!(self.keep_alive.poll_due(cx));
                self.beat()
            }
        }
    }

    #[cold]
    fn poll_unopened(&mut self, cx: &mut Context<'_>, stage: Stage) -> Poll<Option<Bytes>> {
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
            Stage::Ended => self.poll_events(cx),
            Stage::Pausing => {
                ready!(self.keep_alive.poll_due(cx));
                self.stage = Stage::Over(Some(SubscriptionEnd::Finished));
                Poll::Ready(None)
            }
            Stage::Open | Stage::Over(_) => Poll::Ready(None),
        }
    }

    #[cold]
    fn topic_end(&mut self, end: &TopicEnd) -> Poll<Option<Bytes>> {
        if end.is_last {
            self.stage = Stage::Ended;
        }
        self.line(|out| write_topic_end(end, out))
    }

    /// Ends the stream. Writes the end in one more line if all topics have ended and no end was written in this stream.
    #[cold]
    fn finished(&mut self, end: SubscriptionEnd, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let end_written = matches!(std::mem::replace(&mut self.stage, Stage::Over(Some(end))), Stage::Ended);
        if end != SubscriptionEnd::Finished {
            return Poll::Ready(None);
        }
        let cursor = self.cursor();
        let line = (!end_written).then(|| self.line(|out| write_end(cursor, out)));
        if self.pauses_at_end {
            self.stage = Stage::Pausing;
            self.keep_alive.due_after(limit::REPEATED_END);
        }
        line.unwrap_or_else(|| self.poll_unopened(cx, self.stage))
    }

    #[cold]
    fn beat(&mut self) -> Poll<Option<Bytes>> {
        let cursor = self.cursor();
        let owes_cursor = || cursor.is_some() && self.subscriber.info().owes_cursor();
        match self.heartbeat {
            Heartbeat::Silent if !owes_cursor() => Poll::Ready(Some(Bytes::from_static(b"\n"))),
            Heartbeat::Silent | Heartbeat::Visible => self.line(|out| write_heartbeat(cursor, out)),
        }
    }
}

impl<S> Unpin for ChunkedStream<S> {}

impl<S: Subscriber> Stream for ChunkedStream<S> {
    type Item = Bytes;

    #[inline(always)]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.stage {
            Stage::Open => self.poll_events(cx),
            stage => self.poll_unopened(cx, stage),
        }
    }
}

impl<S> fmt::Debug for ChunkedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkedStream").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// Format of an event in the stream: the event object and a line feed.
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
