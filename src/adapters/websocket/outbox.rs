use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_io::AsyncWrite;
use tungstenite::protocol::frame::coding::{Control, Data};

use super::CloseCode;
use super::frame::{Kind, put, put_close};

/// How many pieces one write takes.
pub(super) const PIECES: usize = 16;

/// Everything that is to be written, in one queue of whole frames, so that a frame never begins inside another.
///
/// It is bounded by its users: events are added where it was empty, of pongs the last one is kept, and of the rest
/// there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Without what of it is written.
    front: Bytes,
    rest: VecDeque<Bytes>,
    pong: Option<Bytes>,
    unflushed: bool,
    moved: bool,
    /// Some of the front is written, and some is not: maybe in the middle of a frame.
    begun: bool,
}

impl Outbox {
    /// Whether all is written.
    #[inline]
    pub(super) fn is_written(&self) -> bool {
        self.front.is_empty() && self.pong.is_none()
    }

    /// Whether all is written, and flushed.
    pub(super) fn is_idle(&self) -> bool {
        !self.unflushed && self.is_written()
    }

    /// Adds whole frames.
    #[inline]
    pub(super) fn push(&mut self, frames: Bytes) {
        if self.front.is_empty() {
            (self.front, self.begun) = (frames, false);
        } else {
            self.rest.push_back(frames);
        }
    }

    /// Forgets what is not written. `false`: it may be the rest of a frame, so nothing can follow.
    pub(super) fn discard(&mut self) -> bool {
        let whole = self.front.is_empty() || !self.begun;
        (self.front, self.rest, self.pong) = (Bytes::new(), VecDeque::new(), None);
        whole
    }

    /// Adds a text frame of what `write` appends.
    pub(super) fn put_text(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut text = BytesMut::new();
        write(&mut text);
        self.put(Kind::Data(Data::Text), &text);
    }

    pub(super) fn put_ping(&mut self) {
        self.put(Kind::Control(Control::Ping), b"");
    }

    /// Answers a ping, after all that is queued. An answer that still waits is dropped (RFC 6455 §5.5.3).
    pub(super) fn put_pong(&mut self, payload: Bytes) {
        self.pong = Some(payload);
    }

    /// Adds a Close frame, after which nothing may be added.
    pub(super) fn put_close(&mut self, code: Option<CloseCode>, reason: &str) {
        if let Some(payload) = self.pong.take() {
            self.put(Kind::Control(Control::Pong), &payload);
        }
        let mut frame = BytesMut::new();
        put_close(code, reason, &mut frame);
        self.push(frame.freeze());
    }

    /// Writes until nothing is left. The pieces go in one write where `Io` can.
    #[inline(always)]
    pub(super) fn poll_write<Io: AsyncWrite + Unpin>(
        &mut self,
        io: &mut Io,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_written() {
            self.settle_pong();
            let io = Pin::new(&mut *io);
            let written = ready!(match self.rest.is_empty() {
                true => io.poll_write(cx, &self.front),
                false => self.poll_pieces(io, cx),
            })?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            (self.unflushed, self.moved) = (true, true);
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Flushes where something was written since the last time.
    #[inline]
    pub(super) fn poll_flush<Io: AsyncWrite + Unpin>(
        &mut self,
        io: &mut Io,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether anything was written since the last call.
    pub(super) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    fn put(&mut self, kind: Kind, payload: &[u8]) {
        let mut frame = BytesMut::new();
        put(kind, payload, &mut frame);
        self.push(frame.freeze());
    }

    /// Queues the pong where nothing is before it.
    #[inline]
    fn settle_pong(&mut self) {
        if let Some(payload) = self.pong.take_if(|_| self.front.is_empty()) {
            self.put(Kind::Control(Control::Pong), &payload);
        }
    }

    #[inline(never)]
    fn poll_pieces<Io: AsyncWrite>(&self, io: Pin<&mut Io>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); PIECES];
        let pieces = std::iter::once(&self.front).chain(&self.rest);
        slices.iter_mut().zip(pieces).for_each(|(slice, piece)| *slice = IoSlice::new(piece));
        io.poll_write_vectored(cx, &slices)
    }

    #[inline]
    fn advance(&mut self, mut written: usize) {
        // Replaced, since a piece advanced to its end would keep the shared buffer.
        if written == self.front.len() && self.rest.is_empty() {
            self.front = Bytes::new();
            return;
        }
        while written >= self.front.len() {
            written -= self.front.len();
            (self.front, self.begun) = (self.rest.pop_front().unwrap_or_default(), false);
            if self.rest.is_empty() {
                self.rest = VecDeque::new();
            }
            if self.front.is_empty() {
                return;
            }
        }
        self.begun |= written > 0;
        self.front.advance(written);
    }
}
