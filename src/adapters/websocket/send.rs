use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use super::close::of_end;
use super::format::{ObjectFormat, RawFormat};
use super::outbox::PIECES;
use super::sink::Phase;
use super::{CloseCause, CloseCode, WebSocketSink};
use crate::adapters::object::write_gap;
use crate::contract::{Encoded, Format, Subscriber};
use crate::model::Gap;

/// How often one poll writes, so that a socket that takes everything doesn't have the thread to itself.
const BUDGET: u32 = 16;

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> WebSocketSink<S, Io> {
    /// Writes until the subscriber has nothing more, or the socket takes nothing more.
    #[inline]
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) {
        if self.phase == Phase::Over {
            return;
        }
        match self.poll_queue(cx) {
            Poll::Ready(Ok(())) => self.deadlines.written(),
            Poll::Ready(Err(_)) => self.abandon(CloseCause::Lost),
            Poll::Pending => self.stuck(),
        }
    }

    /// Writes what is queued, and asks for no more.
    #[cold]
    pub(super) fn say(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(_)) = self.outbox.poll_write(&mut self.io, cx) {
            self.abandon(CloseCause::Lost);
        }
    }

    /// Queues what was published before the client's end, if there is room for it: the answers to its last messages.
    #[cold]
    pub(super) fn say_last(&mut self, cx: &mut Context<'_>) {
        self.say(cx);
        if self.is_open() && self.outbox.is_written() {
            let _ = self.gather(cx);
        }
    }

    /// Ready when all is written and flushed.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut budget = BUDGET;
        let mut more = true;
        loop {
            ready!(self.outbox.poll_write(&mut self.io, cx))?;
            if !more || !self.is_open() {
                break;
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                break;
            }
            budget -= 1;
            more = self.gather(cx).is_ready();
        }
        // A socket does nothing here; TLS may hold back what it has accepted.
        ready!(self.outbox.poll_flush(&mut self.io, cx))?;
        self.poll_shut(cx)
    }

    /// Queues what the subscriber has, as much as goes out in one write. Pending when that was all.
    #[inline]
    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let format: &dyn Format = if self.has_objects() { &ObjectFormat } else { &RawFormat };
        let mut room = self.config.batch;
        for _ in 0..PIECES {
            match ready!(self.subscriber.poll_encoded(cx, format, room)) {
                Encoded::Events(events) => {
                    room = room.saturating_sub(events.bytes.len());
                    self.outbox.push(events.bytes);
                }
                Encoded::Gap(gap) => self.gap(&gap),
                Encoded::End(end) => {
                    let (code, reason) = of_end(end);
                    self.end(CloseCause::End(end), code, reason);
                }
            }
            if room == 0 || !self.is_open() {
                break;
            }
        }
        Poll::Ready(())
    }

    fn gap(&mut self, gap: &Gap) {
        if self.has_objects() {
            self.outbox.put_text(|out| write_gap(gap, out));
        } else if !gap.snapshot {
            // Raw frames can't tell of it.
            self.end(CloseCause::Gap, CloseCode::TRY_LATER, "gap");
        }
    }

    /// Ends our side where there is nothing more to say.
    fn poll_shut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.phase {
            Phase::Finishing => {
                // All was said; that the client is gone already takes nothing from that.
                let _ = ready!(Pin::new(&mut self.io).poll_close(cx));
                self.phase = Phase::Over;
            }
            Phase::Failing => {
                ready!(Pin::new(&mut self.io).poll_close(cx))?;
                self.phase = Phase::Draining;
            }
            _ => {}
        }
        Poll::Ready(Ok(()))
    }

    /// The socket takes nothing.
    fn stuck(&mut self) {
        if !self.is_open() {
            return;
        }
        if self.outbox.has_moved() {
            self.deadlines.written();
        }
        self.deadlines.stalled(self.config.write_stall);
        self.subscriber.detach();
    }
}
