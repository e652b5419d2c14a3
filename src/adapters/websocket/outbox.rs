use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_io::AsyncWrite;
use tungstenite::protocol::frame::coding::{Control, Data};

use super::CloseCode;
use super::frame::{Kind, put, put_close};

/// Everything that is to be written, in one queue, so that a frame never begins inside another.
///
/// It is bounded by its users: events are added when it is empty, of pongs the last one is kept, and of the rest there
/// is one at a time.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Whole frames, without what of them is written.
    front: Bytes,
    /// The frames after them.
    own: BytesMut,
    pong: Option<Bytes>,
    unflushed: bool,
    moved: bool,
}

impl Outbox {
    /// Whether all is written, and flushed.
    pub(super) fn is_idle(&self) -> bool {
        !self.unflushed && self.front.is_empty() && self.own.is_empty() && self.pong.is_none()
    }

    /// Adds whole frames of events. Only after [`poll_write`](Self::poll_write) was ready.
    #[inline]
    pub(super) fn push(&mut self, frames: Bytes) {
        self.front = frames;
    }

    /// Adds a text frame of what `write` appends.
    pub(super) fn put_text(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut text = BytesMut::new();
        write(&mut text);
        put(Kind::Data(Data::Text), &text, &mut self.own);
    }

    pub(super) fn put_ping(&mut self) {
        put(Kind::Control(Control::Ping), b"", &mut self.own);
    }

    /// Answers a ping. An older answer that has not begun to be written is dropped (RFC 6455 §5.5.3).
    pub(super) fn put_pong(&mut self, payload: Bytes) {
        self.pong = Some(payload);
    }

    /// Adds a Close frame, after which nothing may be added.
    pub(super) fn put_close(&mut self, code: Option<CloseCode>, reason: &str) {
        self.settle_pong();
        put_close(code, reason, &mut self.own);
    }

    /// Writes until nothing is left.
    #[inline]
    pub(super) fn poll_write<Io: AsyncWrite + Unpin>(
        &mut self,
        io: &mut Io,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.front.is_empty() && !self.refill() {
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Pin::new(&mut *io).poll_write(cx, &self.front))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            (self.unflushed, self.moved) = (true, true);
            if written < self.front.len() {
                self.front.advance(written);
            } else {
                // An advance would keep the shared buffer.
                self.front = Bytes::new();
            }
        }
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

    fn refill(&mut self) -> bool {
        self.settle_pong();
        if !self.own.is_empty() {
            self.front = std::mem::take(&mut self.own).freeze();
        }
        !self.front.is_empty()
    }

    fn settle_pong(&mut self) {
        if let Some(payload) = self.pong.take() {
            put(Kind::Control(Control::Pong), &payload, &mut self.own);
        }
    }
}
