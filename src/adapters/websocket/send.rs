use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use super::close::of_end;
use super::format::{ObjectFormat, RawFormat};
use super::sink::Phase;
use super::{CloseCause, CloseCode, WebSocketSink};
use crate::adapters::object::write_gap;
use crate::contract::{Encoded, Format, Subscriber};
use crate::model::Gap;

/// How many batches one poll writes, so that a socket that takes everything doesn't have the thread to itself.
const BUDGET: u32 = 16;

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> WebSocketSink<S, Io> {
    /// Writes until the subscriber has nothing more, or the socket takes nothing more.
    #[inline]
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) {
        if let Phase::Over(_) = self.phase {
            return;
        }
        match self.poll_queue(cx) {
            Poll::Ready(Ok(())) => self.deadlines.written(),
            Poll::Ready(Err(_)) => self.abandon(CloseCause::Lost),
            Poll::Pending => self.stuck(),
        }
    }

    /// Ready when all is written and flushed.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut budget = BUDGET;
        ready!(self.outbox.poll_write(&mut self.io, cx))?;
        while self.is_open() && self.pull(cx) {
            ready!(self.outbox.poll_write(&mut self.io, cx))?;
            budget -= 1;
            if budget == 0 {
                cx.waker().wake_by_ref();
                break;
            }
        }
        // A socket does nothing here; TLS may hold back what it has accepted.
        ready!(self.outbox.poll_flush(&mut self.io, cx))?;
        self.poll_shut(cx)
    }

    /// Asks the subscriber; whether that gave anything to write.
    #[inline]
    fn pull(&mut self, cx: &mut Context<'_>) -> bool {
        let format: &dyn Format = if self.has_objects() { &ObjectFormat } else { &RawFormat };
        match self.subscriber.poll_encoded(cx, format, self.config.batch) {
            Poll::Pending => return false,
            Poll::Ready(Encoded::Events(frames)) => self.outbox.push(frames),
            Poll::Ready(Encoded::Gap(gap)) => self.gap(&gap),
            Poll::Ready(Encoded::End(end)) => {
                let (code, reason) = of_end(end);
                self.end(CloseCause::End(end), code, reason);
            }
        }
        true
    }

    fn gap(&mut self, gap: &Gap) {
        if self.has_objects() {
            self.outbox.put_text(|out| write_gap(gap, out));
        } else {
            self.end(CloseCause::Gap, CloseCode::TRY_LATER, "gap");
        }
    }

    /// Ends our side where there is nothing more to say.
    fn poll_shut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.phase {
            Phase::Finishing(closed) => {
                let closed = *closed;
                // All was said; that the client is gone already takes nothing from that.
                let _ = ready!(Pin::new(&mut self.io).poll_close(cx));
                self.phase = Phase::Over(closed);
                Poll::Ready(Ok(()))
            }
            Phase::Failing { shut: shut @ false, .. } => {
                ready!(Pin::new(&mut self.io).poll_close(cx))?;
                *shut = true;
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Ok(())),
        }
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
