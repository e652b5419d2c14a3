use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use futures_io::{AsyncRead, AsyncWrite};

use super::close::of_rejection;
use super::deadlines::{Deadlines, Due};
use super::format::MessageAnswer;
use super::message_queue::MessageQueue;
use super::outbox::Outbox;
use super::reader::Reader;
use super::violation::Violation;
use super::{CloseCause, CloseCode, Closed, Subprotocol, WebSocketConfig};
use crate::contract::{Message, Rejection, Subscriber};
use crate::model::{Cursor, Event};
use crate::time::{Rate, Timer};
use crate::transport::object::{write_bye, write_hello};
use crate::transport::wake_flag::FlaggedWaker;

/// Adapter of a WebSocket: a future that carries a subscriber over a connection and is ready with its [`Closed`].
///
/// The [module page](crate::transport::websocket) has the wire format and an example of the bytes.
///
/// The sink owns both directions of `Io`, whose handshake is done. It polls the subscriber again when `Io` has accepted all
/// queued bytes, and releases shared history ([`Subscriber::release`]) while `Io` accepts none. Pings, pongs and the Close
/// frame are written between frames of events, never inside one.
///
/// Under `tidings.v1` a gap is sent in place of missing events. With raw frames the connection closes with 1013 at a gap,
/// unless a snapshot follows it.
///
/// # Liveness
///
/// A client that reads nothing is disconnected after the [`write_timeout`](WebSocketConfig::write_timeout), which begins
/// when the buffers between server and client are full.
///
/// A ping may wait in these buffers behind events that the client has not read. Its pong is due after
/// [`pong_timeout`](WebSocketConfig::pong_timeout), plus one write timeout for each 64 KiB written since the bytes that the
/// last pong acknowledged, of which at most 4 MiB count. A client that reads 64 KiB within each write timeout therefore stays
/// connected. With the defaults, a client that sends nothing is disconnected at most 650 s after the ping. If the client
/// sent other bytes in that time, the server pings again and waits once more.
///
/// # Cancel safety
///
/// Dropping the sink closes the connection without a Close frame, which a client sees as 1006. To close it with one, call
/// [`close`](Self::close) and poll until the sink is ready.
///
/// # Differences from `tungstenite::WebSocket`
///
/// Events are not copied into a write buffer. There is no read buffer while nothing is read. At most one pong is queued for a
/// client that sends pings and reads nothing. Fragments are counted.
#[must_use = "futures do nothing unless polled"]
// The fields are in the order in which a delivery touches them, so that they are on the fewest cache lines.
#[repr(C)]
pub struct WebSocketSink<S, Io> {
    pub(super) wake: FlaggedWaker,
    pub(super) subscriber: S,
    pub(super) config: Arc<WebSocketConfig>,
    pub(super) subprotocol: Subprotocol,
    pub(super) phase: Phase,
    /// Whether an event may be without a frame: raw frames have no form for removals.
    pub(super) may_lack_frames: bool,
    pub(super) unsent_removals: u32,
    pub(super) outbox: Outbox,
    pub(super) io: Io,
    pub(super) cold: Cold,
}

/// State that a delivery does not touch.
pub(super) struct Cold {
    /// Parser. `None` between two messages.
    pub(super) reader: Option<Box<Reader>>,
    /// Bytes that were read and are not parsed yet, because the handler was busy.
    pub(super) unparsed: Option<Box<BytesMut>>,
    /// Whether more bytes may be ready to be read.
    pub(super) has_input: bool,
    /// Whether the end of the last topic was queued.
    pub(super) end_written: bool,
    /// Whether a pause precedes the Close frame of the end.
    pub(super) pauses_at_end: bool,
    /// Number of bytes that were read and discarded after the end began.
    pub(super) discarded: u32,
    pub(super) message_queue: MessageQueue,
    pub(super) controls: Rate,
    pub(super) messages: Rate,
    pub(super) deadlines: Deadlines,
    /// Result of the future. Valid from [`Phase::Closing`] on.
    pub(super) closed: Closed,
}

/// Phase of a connection. A connection passes the phases in this order, and may skip some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nothing was written.
    New,
    /// Events and messages are passed on.
    Open,
    /// The subscriber has ended, and the pause before the Close frame is not over. Messages are counted and ignored, and
    /// pings are answered.
    Pausing,
    /// The server's Close frame is queued or written, and the client's has not come.
    Closing,
    /// The server's Close frame is queued or written, and the client's bytes cannot be parsed any more.
    Failing,
    /// The server's Close frame is written and its direction closed. The client's bytes are read and discarded, up to a
    /// limit: closing a socket with unread bytes may discard the Close frame.
    Draining,
    /// The outbox holds the last bytes. Nothing is read.
    Finishing,
    /// The connection has ended. A message handler may still be running.
    Over,
}

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> WebSocketSink<S, Io> {
    /// Creates a sink that sends raw frames and [ignores](Self::ignored_messages) the client's messages.
    ///
    /// The sink reads the clock when a control frame comes, when a message begins and when a write is not accepted, but not
    /// for an event.
    ///
    /// # Panics
    ///
    /// Panics if the timer does, such as `TokioTimer` outside a tokio runtime.
    pub fn new(io: Io, subscriber: S, timer: Arc<dyn Timer>, config: impl Into<Arc<WebSocketConfig>>) -> Self {
        let config = config.into();
        Self {
            io,
            wake: FlaggedWaker::default(),
            subscriber,
            outbox: Outbox::default(),
            subprotocol: Subprotocol::Raw,
            phase: Phase::New,
            may_lack_frames: false,
            unsent_removals: 0,
            cold: Cold {
                reader: None,
                unparsed: None,
                has_input: false,
                end_written: false,
                pauses_at_end: false,
                discarded: 0,
                message_queue: MessageQueue::default(),
                controls: Rate::default(),
                messages: Rate::default(),
                deadlines: Deadlines::new(timer, &config),
                closed: Closed { cause: CloseCause::Lost, code: None, clean: false },
            },
            config,
        }
    }

    /// Sets the content of the frames. Call it before the first poll. Default: [`Subprotocol::Raw`], which clients without
    /// this crate's subprotocol understand.
    pub fn subprotocol(self, subprotocol: Subprotocol) -> Self {
        Self { subprotocol, ..self }
    }

    /// Passes the client's messages to `handler`, one at a time. While the handler is busy at most one more message is read,
    /// so that the client's writes stall.
    ///
    /// `Ok(Some(event))` answers the client with an event that has no cursor: the payload in raw frames,
    /// `{"event":"name","data":…}` under `tidings.v1`. Answers are in the order of the messages. Their order among the
    /// subscriber's events is not defined. The handler receives the next message when the last answer was written.
    ///
    /// A [closing](Rejection::is_closing) rejection closes the connection: `Busy` with 1013, `Internal` with 1011 and no
    /// reason, others with 1008. [`Rejection::Unsupported`] ignores the message. For any other rejection, a `tidings.v1`
    /// client receives `{"tidings":"error","code":"forbidden","message":"forbidden"}`, and a client of raw frames receives
    /// nothing.
    ///
    /// If the handler is running when the connection ends, it is polled until it is ready, for at most the
    /// [`close_timeout`](WebSocketConfig::close_timeout). Its answer is dropped.
    ///
    /// ```
    /// use tidings::transport::websocket::WebSocketSink;
    /// use tidings::{Event, Message, Rejection, Subscriber};
    ///
    /// fn echo<S: Subscriber, Io>(sink: WebSocketSink<S, Io>) -> WebSocketSink<S, Io>
    /// where
    ///     Io: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin,
    /// {
    ///     sink.receive(async |message| match message {
    ///         Message::Text(text) => Ok(Some(Event::text(text))),
    ///         _ => Err(Rejection::Unsupported),
    ///     })
    /// }
    /// ```
    pub fn receive<F, R>(mut self, mut handler: F) -> Self
    where
        F: FnMut(Message) -> R + Send + 'static,
        R: Future<Output = Result<Option<Event>, Rejection>> + Send + 'static,
    {
        self.cold.message_queue.set(move |message| {
            let outcome = handler(message);
            async move { Ok(outcome.await?.map(MessageAnswer::Event)) }
        });
        self
    }

    /// Passes the client's messages to `handler` as [`receive`](Self::receive) does. The handler encodes the answers.
    #[cfg(feature = "http")]
    pub(crate) fn receive_encoded<F, R>(mut self, handler: F) -> Self
    where
        F: FnMut(Message) -> R + Send + 'static,
        R: Future<Output = Result<Option<MessageAnswer>, Rejection>> + Send + 'static,
    {
        self.cold.message_queue.set(handler);
        self
    }

    /// Returns the number of ignored messages: there is no handler, or it returned [`Rejection::Unsupported`]. The limits of
    /// [`WebSocketConfig`] apply to them too.
    #[must_use]
    pub fn ignored_messages(&self) -> u64 {
        self.cold.message_queue.ignored()
    }

    /// Writes queued frames in pieces of 64 KiB. Needed for an `Io` that accepts a write of any size, because only the next
    /// accepted piece shows that the client reads.
    #[cfg(feature = "http")]
    pub(crate) fn in_frames(mut self) -> Self {
        self.outbox.write_in_frames();
        self
    }

    /// Begins to close the connection: queues a Close frame, then waits for the client's. Poll the sink until it is ready.
    /// Does nothing if the connection is closing. At most 123 bytes of the reason are sent (RFC 6455 §5.5).
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.end(CloseCause::Asked, code, reason);
    }

    /// Begins to close the connection as [`close`](Self::close) does. Under `tidings.v1` a `bye` object with the time to
    /// reconnect is sent before the Close frame.
    pub fn bye(&mut self, retry: Duration, code: CloseCode, reason: &str) {
        if self.phase == Phase::Pausing {
            return self.close_finished();
        }
        if self.is_open() && self.has_objects() {
            self.outbox.put_text(|out| write_bye(retry, out));
        }
        self.close(code, reason);
    }

    /// Ends the connection as a drain of an endpoint does: [`bye`](Self::bye) with 1012, `restart`.
    pub fn finish(&mut self, retry: Duration) {
        self.bye(retry, CloseCode::RESTART, "restart");
    }

    /// Begins to close the connection as [`close`](Self::close) does, with the code and reason of a rejection: 1013 for
    /// `Busy`, 1011 without the error's text for `Internal`, 1008 for others.
    pub fn refuse(&mut self, rejection: &Rejection) {
        let (code, reason) = of_rejection(rejection);
        self.end(CloseCause::Rejected, code, &reason);
    }

    /// Discards the queue and begins to close the connection as [`close`](Self::close) does. If a frame is partly written, no
    /// Close frame can follow, and the connection ends without one.
    pub fn close_now(&mut self, code: CloseCode, reason: &str) {
        let unwritten = !self.outbox.is_written();
        if !self.outbox.discard() {
            self.abandon(CloseCause::Asked);
        } else if !self.is_closing() {
            self.close(code, reason);
        } else if unwritten {
            // The discarded queue had a Close frame at its end.
            self.outbox.put_close(Some(code), reason);
        }
    }

    /// Returns the subscriber's cursor. The last events up to it may still be in the queue.
    pub fn cursor(&self) -> Option<Cursor> {
        self.subscriber.cursor()
    }

    /// Returns the subscriber.
    pub fn subscriber_mut(&mut self) -> &mut S {
        &mut self.subscriber
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.phase <= Phase::Open
    }

    #[inline]
    pub(super) fn has_objects(&self) -> bool {
        self.subprotocol == Subprotocol::TidingsV1
    }

    /// Queues a Close frame, unless the connection is closing.
    pub(super) fn end(&mut self, cause: CloseCause, code: CloseCode, reason: &str) {
        if !self.is_closing() {
            self.outbox.put_close(Some(code), reason);
            self.cold.closed = Closed { cause, code: Some(code), clean: false };
            self.leave(Phase::Closing);
        }
    }

    /// Queues the Close frame of a violation. Further bytes of the client are not parsed.
    pub(super) fn fail(&mut self, violation: Violation) {
        self.end(CloseCause::Violation, violation.code, violation.reason);
        if self.phase == Phase::Closing {
            self.phase = Phase::Failing;
        }
    }

    /// Ends the connection without a Close frame.
    pub(super) fn abandon(&mut self, cause: CloseCause) {
        if !self.is_closing() {
            self.cold.closed.cause = cause;
        }
        self.cold.closed.clean = false;
        self.leave(Phase::Over);
    }

    /// Enters a phase without further events and messages.
    pub(super) fn leave(&mut self, phase: Phase) {
        self.phase = phase;
        self.subscriber.release();
        self.cold.message_queue.discard_waiting();
        self.cold.deadlines.closing();
    }

    /// Polls the connection, the handler, the subscriber and the deadlines.
    pub(crate) fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        if self.phase == Phase::New {
            self.open();
        }
        loop {
            self.poll_receive(cx);
            self.poll_send(cx);
            self.resume_messages();
            if self.phase == Phase::Over && !self.cold.message_queue.is_running() {
                return Poll::Ready(self.cold.closed);
            }
            match self.cold.deadlines.poll(&mut self.wake.context(), &self.config) {
                Poll::Ready(due) => self.due(due),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Begins the connection: sends the hello, if the subprotocol has one.
    fn open(&mut self) {
        self.phase = Phase::Open;
        if self.has_objects() {
            let (cursor, heartbeat) = (self.subscriber.cursor(), self.config.ping);
            self.outbox.put_text(|out| write_hello(cursor, Some(heartbeat), out));
        } else {
            self.may_lack_frames = self.subscriber.info().may_have_removals();
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            // While a write is pending, the write timeout detects a client that is gone.
            Due::Ping if !self.outbox.is_idle() => self.cold.deadlines.put_off(),
            // The pong may be among the bytes that were not read. Another ping still detects a broken connection.
            Due::Pong if !self.cold.has_input && !self.cold.deadlines.take_heard() => self.abandon(CloseCause::NoPong),
            Due::Ping | Due::Pong => self.ping(),
            Due::Message => self.fail(Violation::MESSAGE_TOO_SLOW),
            Due::Stall => self.abandon(CloseCause::Stalled),
            Due::Pause => self.close_finished(),
            Due::Close => {
                if self.phase != Phase::Over {
                    self.abandon(CloseCause::Lost);
                }
                self.cold.message_queue.abort();
            }
        }
    }
}

impl<S, Io> Unpin for WebSocketSink<S, Io> {}

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> Future for WebSocketSink<S, Io> {
    type Output = Closed;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        let this = self.get_mut();
        if this.poll_quiet(cx) { Poll::Pending } else { this.poll_all(cx) }
    }
}

impl<S, Io> fmt::Debug for WebSocketSink<S, Io> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketSink")
            .field("subprotocol", &self.subprotocol)
            .field("phase", &self.phase)
            .field("deadlines", &self.cold.deadlines)
            .finish_non_exhaustive()
    }
}
