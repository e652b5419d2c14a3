mod without_controls;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::block::{
    sse_retry_block, write_end_block, write_gap_block, write_heartbeat_block, write_hello_block, write_id_line,
    write_retry, write_topic_end_block,
};
use super::format::{Object, Plain, without_removals};
use crate::contract::{EncodedDelivery, Format, Subscriber, SubscriptionEnd};
use crate::model::{Cursor, Gap, TopicEnd};
use crate::time::Timer;
use crate::transport::keep_alive::KeepAlive;
use crate::transport::limit;
#[cfg(feature = "http")]
pub(crate) use without_controls::FirstDelivery;

/// Keep-alive. It has no empty line, because some readers would take it for an empty event.
const COMMENT: Bytes = Bytes::from_static(b":\n");

/// Adapter of server-sent events: a [`Stream`] of blocks (WHATWG HTML §9.2).
///
/// The [module page](crate::transport::sse) has the wire format and an example of the bytes.
///
/// The first item is a comment and the [hello](Self::hello), ready at once. A block for each event and gap follows, and a
/// keep-alive after each interval without an item. Each item consists of whole blocks or is a keep-alive. The stream ends when
/// the subscriber has [ended](Self::end), or after [`finish`](Self::finish). If the subscriber ends as
/// [`Finished`](SubscriptionEnd::Finished), the last block is `event: tidings.end` with `retry: 86400000`, a day. End the body
/// cleanly after it, so that no client loses the block.
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
    // A delivery touches the end of the keep-alive, these fields and the beginning of the subscriber. They are adjacent.
    max_batch_bytes: usize,
    stage: Stage,
    objects: bool,
    visible: bool,
    hello: bool,
    controls: bool,
    /// Whether a topic has failed. Set without control blocks only.
    has_failed: bool,
    subscriber: S,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Opening,
    /// There was no hello. The next block is the client's first and has the `retry:` line.
    Retry,
    Open,
    /// The end of the last topic was written. The subscriber yields its own end next.
    Ended,
    Finishing,
    Over(Option<SubscriptionEnd>),
}

impl<S: Subscriber> SseEncoder<S> {
    /// Creates a stream of the subscriber's events from its current position.
    ///
    /// # Panics
    ///
    /// Panics if the timer does, such as `TokioTimer` outside a tokio runtime.
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
            controls: true,
            has_failed: false,
        }
    }

    /// Sets whether the stream begins with a block `event: tidings.hello`, whose id is the subscriber's cursor. Default:
    /// `true`. A client whose connection is cut before its first event resumes from that id.
    ///
    /// Without the block such a client has no id yet. It misses the events until it reconnects, and receives no gap. An
    /// `EventSource` passes the block only to listeners for its name. Turn it off for readers that show or parse every
    /// block. Streams of [objects](Self::objects) always have it.
    ///
    /// The block has no id while the subscriber has no cursor, because it has still to yield a gap of another epoch. Some
    /// clients then discard their id. In [`Recover`](crate::subscriber::Recover) the subscriber keeps the client's cursor
    /// until that gap.
    pub fn hello(self, hello: bool) -> Self {
        Self { hello, ..self }
    }

    /// Sets whether the stream has blocks of its own beside those of events. Default: `true`. Set it to `false` for readers
    /// that parse the data of every block, such as clients of AI answers.
    ///
    /// The stream then begins with a comment, keep-alives are comments, and `retry:` is in the first block of an event.
    /// [Removals](crate::Event::removal), ends of topics and [`finish`](Self::finish) write nothing. A gap ends the stream as
    /// [`TooSlow`](SubscriptionEnd::TooSlow), since the format cannot express it, unless a snapshot follows the gap. If a
    /// topic ends as [`Failed`](crate::EndReason::Failed), the [end](Self::end) of the stream is
    /// [`Failed`](SubscriptionEnd::Failed) in place of [`Finished`](SubscriptionEnd::Finished).
    ///
    /// End the body with an error after these two and after `finish`. A client then reconnects, or shows an error. After a
    /// clean end, a reader of an AI answer would show a cut answer as complete.
    pub fn controls(self, controls: bool) -> Self {
        Self { controls, ..self }
    }

    /// Sets the longest silence. [`Duration::MAX`] disables keep-alives, less than 2 ms is 2 ms. Default: 15 s. It is a
    /// quarter of the 60 s after which nginx and load balancers close an idle connection.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive.set_interval(interval);
        self
    }

    /// Sets the `retry:` of the first block: the time after which the client reconnects, at least 1 ms. Default: none, so
    /// that the client uses its own.
    pub fn retry(self, retry: Duration) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// Sets whether `data:` is the JSON event object, with topic, name and encoding, in place of the payload. The blocks of
    /// events then have no `event:`. Default: `false`.
    pub fn objects(self, objects: bool) -> Self {
        Self { objects, ..self }
    }

    /// Sets whether a keep-alive is a block `event: tidings.heartbeat` with the current cursor as its id. Default: `false`.
    /// A keep-alive is then a comment, which scripts cannot observe.
    ///
    /// A stream of a [filtered](crate::subscriber::SubscriberInfo::is_filtered) subscriber, or of one with
    /// [keyed](crate::Retention::latest_per_key) topics, has such keep-alives in any case: without an id, a client that gets
    /// nothing for a long time would resume at a position that has left history, and get a gap although it misses nothing.
    /// Without a [hello](Self::hello) they are a line with the id and no empty line, because some readers take each empty line
    /// for the end of an event. Readers that store an id as soon as they read it resume there; an `EventSource` stores it with
    /// the next block, so leave the hello on for it. Without [controls](Self::controls) they are comments.
    pub fn visible_heartbeat(self, visible: bool) -> Self {
        Self { visible, ..self }
    }

    /// Sets the maximum number of bytes of events in an item. An item contains at least one event. Default: 64 KiB. It is
    /// about one TCP window.
    pub fn max_batch_bytes(self, max: usize) -> Self {
        Self { max_batch_bytes: max, ..self }
    }

    /// Ends the stream after one more item, a block `event: tidings.retry` with `retry:` and the current cursor as its id.
    /// Without a [hello](Self::hello) or [controls](Self::controls) the stream ends at once. Does nothing if the stream has
    /// ended, or the end of the last topic was written.
    ///
    /// Keep the connection open for at least 100 ms after the last item, and then end the body with an error, as an endpoint
    /// does. Most clients reconnect after either end of a body, but some do not after a clean one.
    pub fn finish(&mut self, retry: Duration) {
        match self.stage {
            Stage::Opening | Stage::Retry | Stage::Open | Stage::Finishing => {
                (self.stage, self.retry) = (Stage::Finishing, Some(retry));
            }
            Stage::Ended => self.stage = Stage::Over(Some(SubscriptionEnd::Finished)),
            Stage::Over(_) => {}
        }
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

    /// Registers the task of `cx` if no further item is ready. Returns whether it was registered; `false` means that
    /// the caller must poll, see [`Subscriber::register`].
    #[cfg(feature = "http")]
    #[inline]
    pub(crate) fn register(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.stage, Stage::Open) && self.keep_alive.is_set(cx) && self.subscriber.register(cx)
    }

    /// Polls the subscriber. The shared bytes of a batch are returned without a copy.
    #[inline(always)]
    fn poll_events(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Option<Bytes>> {
        match self.subscriber.poll_encoded(cx, self.format(), max) {
            Poll::Ready(EncodedDelivery::Events(events)) if !events.bytes.is_empty() => {
                self.keep_alive.wrote();
                Poll::Ready(Some(events.bytes))
            }
            // Removals, which a stream without control blocks leaves out.
            Poll::Ready(EncodedDelivery::Events(_)) => self.poll_past_controls(cx, max),
            Poll::Pending => {
                ready!(self.keep_alive.poll_due(cx));
                self.beat()
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => self.gap(&gap, cx, max),
            Poll::Ready(EncodedDelivery::TopicEnd(end)) => self.topic_end(&end, cx, max),
            Poll::Ready(EncodedDelivery::End(end)) => self.finished(end),
        }
    }

    #[inline]
    fn format(&self) -> &'static dyn Format {
        match (self.controls, self.objects) {
            (true, true) => &Object,
            (true, false) => &Plain,
            (false, objects) => without_removals(objects),
        }
    }

    #[cold]
    fn gap(&mut self, gap: &Gap, cx: &mut Context<'_>, max: usize) -> Poll<Option<Bytes>> {
        match self.controls {
            true => self.block(|out| write_gap_block(gap, out)),
            false if gap.snapshot => self.poll_past_controls(cx, max),
            false => self.break_off(),
        }
    }

    #[cold]
    fn topic_end(&mut self, end: &TopicEnd, cx: &mut Context<'_>, max: usize) -> Poll<Option<Bytes>> {
        if !self.controls {
            self.note_end(end);
            return self.poll_past_controls(cx, max);
        }
        if end.is_last {
            self.stage = Stage::Ended;
        }
        self.block(|out| write_topic_end_block(end, out))
    }

    /// Ends the stream. Writes the end in one more block if all topics have ended and no end was written in this stream.
    #[cold]
    fn finished(&mut self, end: SubscriptionEnd) -> Poll<Option<Bytes>> {
        let end = if self.has_failed { SubscriptionEnd::Failed } else { end };
        let end_written = matches!(std::mem::replace(&mut self.stage, Stage::Over(Some(end))), Stage::Ended);
        if end_written || !self.controls || end != SubscriptionEnd::Finished {
            return Poll::Ready(None);
        }
        let cursor = self.cursor();
        self.block(|out| write_end_block(cursor, out))
    }

    #[cold]
    fn beat(&mut self) -> Poll<Option<Bytes>> {
        let cursor = self.cursor();
        let owed = cursor.filter(|_| self.controls && self.subscriber.info().owes_cursor());
        match owed {
            _ if self.controls && self.visible => self.block(|out| write_heartbeat_block(cursor, out)),
            Some(_) if self.has_control_blocks() => self.block(|out| write_heartbeat_block(cursor, out)),
            Some(cursor) => self.block(|out| write_id_line(cursor, out)),
            None => Poll::Ready(Some(COMMENT)),
        }
    }

    #[cold]
    fn poll_unopened(&mut self, cx: &mut Context<'_>, stage: Stage) -> Poll<Option<Bytes>> {
        match stage {
            Stage::Opening => self.open(),
            Stage::Retry => self.poll_retry(cx),
            Stage::Ended => self.poll_events(cx, 1),
            Stage::Finishing => Poll::Ready(self.last_block()),
            Stage::Open | Stage::Over(_) => Poll::Ready(None),
        }
    }

    fn open(&mut self) -> Poll<Option<Bytes>> {
        self.keep_alive.wrote();
        if !self.has_control_blocks() {
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
        let retry = self.retry.filter(|_| self.has_control_blocks())?;
        Some(sse_retry_block(retry, self.cursor()))
    }

    /// Returns whether the stream begins with a hello, and ends with the time to reconnect.
    fn has_control_blocks(&self) -> bool {
        self.controls && (self.hello || self.objects)
    }

    /// Adds the retry line to the first block, unless that is the last one of the stream and has a retry of its own. It requests
    /// one event only, because the shared bytes are copied.
    fn poll_retry(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let item = ready!(self.poll_events(cx, 1));
        let block = match item {
            Some(block) if block.ends_with(b"\n\n") && matches!(self.stage, Stage::Retry) => block,
            keep_alive_or_end => return Poll::Ready(keep_alive_or_end),
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
