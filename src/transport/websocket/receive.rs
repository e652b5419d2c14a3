use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use futures_io::{AsyncRead, AsyncWrite};

use super::assembly::Limits;
use super::format::text;
use super::message_queue::Outcome;
use super::reader::Inbound;
use super::sink::Phase;
use super::violation::Violation;
use super::{CloseCause, CloseCode, Closed, WebSocketSink, scratch};
use crate::contract::{Rejection, Subscriber};
use crate::transport::object::write_error;

/// Maximum number of reads and messages in one poll, so that a client that sends without a pause does not block the thread.
const BUDGET: u32 = 16;

/// Maximum number of bytes that are discarded after the server's Close frame. A client that obeys the Close frame has less
/// than this in transit. Without the limit, a client that keeps sending would be read until the end of `close_timeout`.
const MAX_DISCARDED: u32 = 1 << 20;

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> WebSocketSink<S, Io> {
    /// Reads until no byte is ready or the handler is busy.
    #[inline]
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) {
        if !self.cold.message_queue.is_idle() {
            self.poll_messages();
        }
        let mut budget = BUDGET;
        self.cold.has_input = true;
        while self.is_reading() {
            if budget == 0 {
                self.wake.waker().wake_by_ref();
                break;
            }
            budget -= 1;
            if let Some(mut bytes) = self.cold.unparsed.take() {
                let left = self.take_in(&mut bytes, cx, &mut budget);
                if left > 0 {
                    bytes.advance(bytes.len() - left);
                    self.cold.unparsed = Some(bytes);
                }
            } else if scratch::lend(|scratch| self.poll_read(scratch, cx, &mut budget)).is_pending() {
                self.cold.has_input = false;
                break;
            }
        }
        if self.is_open() && self.cold.reader.as_ref().is_some_and(|reader| reader.is_inside_message()) {
            self.cold.deadlines.inside_message(self.config.message_timeout);
        }
    }

    /// Passes the messages to the handler. The next message waits while an answer is queued, so that at most one answer is
    /// held for a client that does not read.
    fn poll_messages(&mut self) {
        while !self.outbox.is_answering() {
            match self.cold.message_queue.poll(&mut self.wake.context()) {
                Poll::Ready(Some(outcome)) => self.answer(outcome),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
    }

    /// Sends the outcome of a message to the client, if the subprotocol has a form for it.
    fn answer(&mut self, outcome: Outcome) {
        let frame = match outcome {
            Ok(Some(answer)) if self.is_open() => answer.into_frame(self.subprotocol),
            Err(rejection) if rejection.is_closing() => return self.refuse(&rejection),
            Err(Rejection::Unsupported) => return self.cold.message_queue.ignore(),
            Err(rejection) if self.is_open() && self.has_objects() => text(|out| write_error(&rejection, out)),
            Ok(_) | Err(_) => return,
        };
        self.outbox.put_answer(frame);
        // Written at once, so that only a client that reads nothing delays its next message.
        self.write_queued();
    }

    /// Wakes the task if a message waited for an answer that is now written.
    pub(super) fn resume_messages(&self) {
        let message_queue = &self.cold.message_queue;
        if message_queue.is_full() && !message_queue.is_running() && !self.outbox.is_answering() {
            self.wake.waker().wake_by_ref();
        }
    }

    fn is_reading(&self) -> bool {
        match self.phase {
            Phase::New | Phase::Open | Phase::Pausing | Phase::Closing => !self.cold.message_queue.is_full(),
            Phase::Failing | Phase::Draining => true,
            Phase::Finishing | Phase::Over => false,
        }
    }

    fn is_reading_frames(&self) -> bool {
        self.phase <= Phase::Closing
    }

    fn poll_read(&mut self, scratch: &mut [u8], cx: &mut Context<'_>, budget: &mut u32) -> Poll<()> {
        let read = std::task::ready!(Pin::new(&mut self.io).poll_read(&mut self.wake.context(), scratch));
        match read.ok().and_then(|read| scratch.get_mut(..read)) {
            Some([]) | None => self.ended(),
            Some(bytes) => {
                self.cold.deadlines.heard();
                if !self.is_reading_frames() {
                    self.discard(bytes.len());
                }
                let left = self.take_in(bytes, cx, budget);
                if left > 0 {
                    self.cold.unparsed = Some(Box::new(BytesMut::from(&bytes[bytes.len() - left..])));
                }
            }
        }
        Poll::Ready(())
    }

    /// Parses bytes while their messages can be queued. Returns the number of bytes at the end that were not parsed and are
    /// to be kept.
    fn take_in(&mut self, mut bytes: &mut [u8], cx: &mut Context<'_>, budget: &mut u32) -> usize {
        let limits = Limits { bytes: self.config.max_message, fragments: self.config.max_fragments };
        let mut reader = self.cold.reader.take().unwrap_or_default();
        while !bytes.is_empty() && *budget > 0 && self.is_reading_frames() && !self.cold.message_queue.is_full() {
            match reader.read(&mut bytes, limits) {
                Ok(None) => {}
                Ok(Some(inbound)) => self.take(inbound, cx, budget),
                Err(violation) => {
                    self.write_last(cx);
                    self.fail(violation);
                }
            }
        }
        self.cold.reader = (!reader.is_idle()).then_some(reader);
        if self.is_reading_frames() { bytes.len() } else { 0 }
    }

    fn take(&mut self, inbound: Inbound, cx: &mut Context<'_>, budget: &mut u32) {
        match inbound {
            Inbound::Message(message) => {
                *budget -= 1;
                self.cold.deadlines.message_done();
                if !self.is_closing() && self.count_message() {
                    self.cold.message_queue.put(message);
                    self.poll_messages();
                }
            }
            Inbound::Ping(payload) => {
                if self.count_control() {
                    self.outbox.put_pong(payload);
                    // Written at once, so that only a client that reads nothing has its pings answered together.
                    self.write_queued();
                }
            }
            Inbound::Pong(payload) => {
                if self.count_control() {
                    self.ponged(&payload);
                }
            }
            Inbound::Close(code) => {
                self.write_last(cx);
                self.closed_by_client(code);
            }
        }
    }

    /// Counts a control frame. Returns whether it is to be handled.
    fn count_control(&mut self) -> bool {
        if !self.cold.controls.admit(self.cold.deadlines.now(), self.config.control_rate) {
            self.fail(Violation::TOO_MANY_CONTROLS);
        }
        !self.is_closing()
    }

    /// Counts a message. Returns whether it is to be handled.
    fn count_message(&mut self) -> bool {
        if !self.cold.messages.admit(self.cold.deadlines.now(), self.config.message_rate) {
            self.fail(Violation::TOO_MANY_MESSAGES);
        }
        self.is_open()
    }

    fn closed_by_client(&mut self, code: Option<CloseCode>) {
        if !self.is_closing() {
            self.outbox.put_close(code, "");
            self.cold.closed = Closed { cause: CloseCause::Client, code, clean: true };
            self.leave(Phase::Finishing);
        } else if self.phase == Phase::Closing {
            self.cold.closed.clean = true;
            self.leave(Phase::Finishing);
        }
    }

    /// Counts bytes that are discarded, and ends the connection above the limit.
    #[cold]
    fn discard(&mut self, bytes: usize) {
        self.cold.discarded = self.cold.discarded.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if self.cold.discarded > MAX_DISCARDED {
            self.abandon(CloseCause::Lost);
        }
    }

    /// Handles the end of the client's direction without a Close frame.
    fn ended(&mut self) {
        match self.phase {
            // The client may still read, so the queued Close frame is written first.
            Phase::Closing | Phase::Failing => self.leave(Phase::Finishing),
            _ => self.abandon(CloseCause::Lost),
        }
    }
}
