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
use super::mailbox::Mailbox;
use super::outbox::Outbox;
use super::rate::Rate;
use super::reader::Reader;
use super::violation::Violation;
use super::{CloseCause, CloseCode, Closed, Subprotocol, WebSocketConfig};
use crate::contract::{Message, Rejection, Subscriber};
use crate::model::{Cursor, Event};
use crate::time::Timer;
use crate::transport::object::{write_bye, write_heartbeat, write_hello};
use crate::transport::wake_flag::FlaggedWaker;

/// Carries a subscriber over a WebSocket connection whose handshake is done, up to its end: a future of how it ended.
///
/// It owns both directions of `Io`. Events go out as the frames that the subscriber hands over already encoded; it is
/// asked for more only when `Io` has taken all there was, and lets go of shared history ([`Subscriber::release`]) when
/// `Io` takes nothing. Pings, pongs and the Close frame go between those writes, never inside one.
///
/// If events are missing, `tidings.v1` sends a gap in their place. Raw frames have no gaps: the connection ends with
/// 1013, unless state follows. Raw frames have no cursor either, so a client misses the events that are published
/// between two of its connections, see [`Subprotocol::Raw`]. Each protocol violation of the client, and each limit of
/// [`WebSocketConfig`] that it exceeds, ends the connection with the code of RFC 6455 §7.4.1.
///
/// A ping may lie behind events that the client has not read, in the buffers of sockets and proxies. So its pong is due
/// after [`pong_timeout`](WebSocketConfig::pong_timeout) and, for each 64 KiB that were written since what the last pong
/// answered, one [`write_timeout`](WebSocketConfig::write_timeout) more: with the defaults after 10 s, and 10 s for each 64 KiB,
/// of which at most 4 MiB count. So a client that reads 64 KiB within each write timeout stays, and one that answers nothing
/// is ended at the latest 650 s after the ping. If anything else came from the client meanwhile, this wait begins once more.
/// A client that takes nothing is ended by the write timeout as soon as the buffers are full.
///
/// Dropping it drops the connection without a Close frame, which a client sees as 1006. To end it in good order call
/// [`close`](Self::close), and poll on until it is ready.
///
/// # Differences from `tungstenite::WebSocket`
///
/// Events are not copied into a write buffer, there is no read buffer while nothing is read, a client that sends pings
/// and reads nothing costs one pong, and fragments are counted.
#[must_use = "futures do nothing unless polled"]
// In this order, so that what each delivery touches is on the fewest lines of memory.
#[repr(C)]
pub struct WebSocketSink<S, Io> {
    pub(super) wake: FlaggedWaker,
    pub(super) subscriber: S,
    pub(super) config: Arc<WebSocketConfig>,
    pub(super) subprotocol: Subprotocol,
    pub(super) phase: Phase,
    pub(super) outbox: Outbox,
    pub(super) io: Io,
    pub(super) aside: Aside,
}

/// State that a delivery does not touch.
pub(super) struct Aside {
    /// Not there between two frames outside of a message.
    pub(super) reader: Option<Box<Reader>>,
    /// Bytes that were read and are not parsed yet, because the handler was busy.
    pub(super) backlog: Option<Box<BytesMut>>,
    /// Whether there may be more to read than was.
    pub(super) behind: bool,
    /// How many bytes came that nothing was made of, behind the end.
    pub(super) waited_out: u32,
    pub(super) mailbox: Mailbox,
    pub(super) controls: Rate,
    pub(super) messages: Rate,
    pub(super) deadlines: Deadlines,
    /// How it ends, from [`Phase::Closing`] on.
    pub(super) closed: Closed,
}

/// How far a connection is, in the order in which that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Nothing was written.
    New,
    Open,
    /// Our Close is on its way, the client's has not come.
    Closing,
    /// Our Close is on its way, and no frame of the client's can be read any more.
    Failing,
    /// Our Close is written and our side shut. The client's bytes are waited out, up to a limit, since to drop them
    /// unread may take the Close frame away from it.
    Draining,
    /// The outbox holds the last bytes; nothing is read.
    Finishing,
    /// Done, but for the handler.
    Over,
}

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> WebSocketSink<S, Io> {
    /// Carries `subscriber` over `io`, in raw frames, and [ignores](Self::ignored_messages) the client's messages.
    ///
    /// The clock is read only beside the way of an event: when a control frame comes, a message begins, or a write
    /// does not go through.
    pub fn new(io: Io, subscriber: S, timer: Arc<dyn Timer>, config: impl Into<Arc<WebSocketConfig>>) -> Self {
        let config = config.into();
        Self {
            io,
            wake: FlaggedWaker::default(),
            subscriber,
            outbox: Outbox::default(),
            subprotocol: Subprotocol::Raw,
            phase: Phase::New,
            aside: Aside {
                reader: None,
                backlog: None,
                behind: false,
                waited_out: 0,
                mailbox: Mailbox::default(),
                controls: Rate::default(),
                messages: Rate::default(),
                deadlines: Deadlines::new(timer, &config),
                closed: Closed { cause: CloseCause::Lost, code: None, clean: false },
            },
            config,
        }
    }

    /// Sets the content of the frames. Must be called before the first poll.
    pub fn subprotocol(self, subprotocol: Subprotocol) -> Self {
        Self { subprotocol, ..self }
    }

    /// Hands the client's messages to `handler`, one after another: while it is busy with one, at most one more is
    /// read, and the client's sending stalls.
    ///
    /// `Ok(Some(event))` answers the client, without a cursor: in raw frames with the payload, under `tidings.v1` with
    /// `{"event":"name","data":…}`. Answers go out in the order of the messages, with no order between them and the
    /// subscriber's events. The handler gets the next message when the last answer was written to the connection.
    ///
    /// A [closing](Rejection::is_closing) rejection ends the connection: `Busy` with 1013, `Internal` with 1011 and no text,
    /// the rest with 1008. [`Rejection::Unsupported`] ignores the message. For any other, a `tidings.v1` client gets
    /// `{"tidings":"error","code":"forbidden","message":"forbidden"}`, and a client of raw frames gets nothing.
    ///
    /// A message in the handler's hands when the connection ends is finished, if that takes no longer than
    /// [`close_timeout`](WebSocketConfig::close_timeout). Its answer is dropped.
    pub fn receive<F, R>(mut self, mut handler: F) -> Self
    where
        F: FnMut(Message) -> R + Send + 'static,
        R: Future<Output = Result<Option<Event>, Rejection>> + Send + 'static,
    {
        self.aside.mailbox.set(move |message| {
            let outcome = handler(message);
            async move { Ok(outcome.await?.map(MessageAnswer::Event)) }
        });
        self
    }

    /// Hands the client's messages to `handler`, as [`receive`](Self::receive) does, which encodes the answers itself.
    #[cfg(feature = "http")]
    pub(crate) fn receive_encoded<F, R>(mut self, handler: F) -> Self
    where
        F: FnMut(Message) -> R + Send + 'static,
        R: Future<Output = Result<Option<MessageAnswer>, Rejection>> + Send + 'static,
    {
        self.aside.mailbox.set(handler);
        self
    }

    /// Returns the number of messages that were ignored, because there is no handler or because it returned
    /// [`Rejection::Unsupported`]. The message rate and the other limits of [`WebSocketConfig`] hold for them too.
    #[must_use]
    pub fn ignored_messages(&self) -> u64 {
        self.aside.mailbox.ignored()
    }

    /// Writes queued frames in pieces of 64 KiB. Needed for an `Io` that accepts a write of any size: only the next accepted
    /// piece shows that the client reads.
    #[cfg(feature = "http")]
    pub(crate) fn in_frames(mut self) -> Self {
        self.outbox.write_in_frames();
        self
    }

    /// Begins the end: a Close frame after what is already in the queue, then the client's answer, then the end of the
    /// connection. Poll on. Does nothing where the end has begun. Of the reason, the first 123 bytes are sent.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.end(CloseCause::Asked, code, reason);
    }

    /// Begins the end as [`close`](Self::close) does. If the subprotocol has a message for it, the client is first told
    /// when to come back.
    pub fn bye(&mut self, retry: Duration, code: CloseCode, reason: &str) {
        if self.is_open() && self.has_objects() {
            self.outbox.put_text(|out| write_bye(retry, out));
        }
        self.close(code, reason);
    }

    /// Ends the connection as a drain of an endpoint does: [`bye`](Self::bye) with 1012, `restart`.
    pub fn finish(&mut self, retry: Duration) {
        self.bye(retry, CloseCode::RESTART, "restart");
    }

    /// Begins the end as [`close`](Self::close) does, with the code and the reason of a rejection: `Busy` with 1013,
    /// `Internal` with 1011 and no text, the rest with 1008.
    pub fn refuse(&mut self, rejection: &Rejection) {
        let (code, reason) = of_rejection(rejection);
        self.end(CloseCause::Rejected, code, &reason);
    }

    /// Begins the end as [`close`](Self::close) does, and discards the queue. If a frame is partly written, no Close
    /// frame can follow, and the connection is dropped.
    pub fn close_now(&mut self, code: CloseCode, reason: &str) {
        let unwritten = !self.outbox.is_written();
        if !self.outbox.discard() {
            self.abandon(CloseCause::Asked);
        } else if self.is_open() {
            self.close(code, reason);
        } else if unwritten {
            // A Close was last in the queue.
            self.outbox.put_close(Some(code), reason);
        }
    }

    /// Returns the subscriber's cursor. The last items up to it may still be in the queue.
    pub fn cursor(&self) -> Option<Cursor> {
        self.subscriber.cursor()
    }

    /// The subscriber.
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

    /// Queues our Close, unless the end has begun.
    pub(super) fn end(&mut self, cause: CloseCause, code: CloseCode, reason: &str) {
        if self.is_open() {
            self.outbox.put_close(Some(code), reason);
            self.aside.closed = Closed { cause, code: Some(code), clean: false };
            self.leave(Phase::Closing);
        }
    }

    /// Queues the Close that a violation calls for; after it, nothing the client sends has a meaning.
    pub(super) fn fail(&mut self, violation: Violation) {
        self.end(CloseCause::Violation, violation.code, violation.reason);
        if self.phase == Phase::Closing {
            self.phase = Phase::Failing;
        }
    }

    /// Ends it here and now.
    pub(super) fn abandon(&mut self, cause: CloseCause) {
        if self.is_open() {
            self.aside.closed.cause = cause;
        }
        self.aside.closed.clean = false;
        self.leave(Phase::Over);
    }

    /// Goes on to a phase in which there are no more events, and no more messages.
    pub(super) fn leave(&mut self, phase: Phase) {
        self.phase = phase;
        self.subscriber.release();
        self.aside.mailbox.discard_waiting();
        self.aside.deadlines.closing();
    }

    /// Goes on with everything that may have woken the task.
    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        if self.phase == Phase::New {
            self.greet();
        }
        loop {
            self.poll_receive(cx);
            self.poll_send(cx);
            self.resume_mailbox();
            if self.phase == Phase::Over && !self.aside.mailbox.is_running() {
                return Poll::Ready(self.aside.closed);
            }
            match self.aside.deadlines.poll(&mut self.wake.context(), &self.config) {
                Poll::Ready(due) => self.due(due),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn greet(&mut self) {
        self.phase = Phase::Open;
        if self.has_objects() {
            let (cursor, heartbeat) = (self.subscriber.cursor(), self.config.ping);
            self.outbox.put_text(|out| write_hello(cursor, Some(heartbeat), out));
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            // While a write is under way, its own deadline tells whether the client is there.
            Due::Ping if !self.outbox.is_idle() => self.aside.deadlines.put_off(),
            // What was not read may have the pong in it; the ping shows at least whether the connection is there.
            Due::Pong if !self.aside.behind && !self.aside.deadlines.wait_on() => self.abandon(CloseCause::NoPong),
            Due::Ping | Due::Pong => {
                if self.has_objects() {
                    let cursor = self.subscriber.cursor();
                    self.outbox.put_text(|out| write_heartbeat(cursor, out));
                }
                let payload = self.aside.deadlines.pinged(self.outbox.unproved());
                self.outbox.put_ping(payload);
            }
            Due::Message => self.fail(Violation::MESSAGE_TOO_SLOW),
            Due::Stall => self.abandon(CloseCause::Stalled),
            Due::Close => {
                if self.phase != Phase::Over {
                    self.abandon(CloseCause::Lost);
                }
                self.aside.mailbox.abort();
            }
        }
    }
}

impl<S, Io> Unpin for WebSocketSink<S, Io> {}

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> Future for WebSocketSink<S, Io> {
    type Output = Closed;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        let this = self.get_mut();
        let quiet = !this.wake.take_for(cx) && this.phase == Phase::Open && this.outbox.is_idle();
        if quiet && this.pass_on(cx) {
            return Poll::Pending;
        }
        this.poll_all(cx)
    }
}

impl<S, Io> fmt::Debug for WebSocketSink<S, Io> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketSink")
            .field("subprotocol", &self.subprotocol)
            .field("phase", &self.phase)
            .field("deadlines", &self.aside.deadlines)
            .finish_non_exhaustive()
    }
}
