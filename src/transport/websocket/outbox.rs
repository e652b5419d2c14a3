use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_io::AsyncWrite;
use tungstenite::protocol::frame::coding::Control;

use super::CloseCode;
use super::format::text;
use super::frame::{Kind, frame, put_close};
use crate::transport::limit::FRAME;

/// Maximum number of pieces in one write.
pub(super) const PIECES: usize = 16;

/// Queue of all bytes to be written. It consists of whole frames, so that no frame begins inside another.
///
/// Its callers bound its length: events are added to an empty queue only, the last pong replaces earlier ones, an answer to a
/// message is added after the last one was written, and there is at most one of each other frame.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// First piece, without the bytes that are written.
    front: Bytes,
    /// Pieces after the first. `None` if there are none, which is the common case.
    backlog: Option<Box<Backlog>>,
    unflushed: bool,
    moved: bool,
    /// Whether the front is partly written, so that its rest may begin inside a frame.
    begun: bool,
    /// Whether the queue is written in pieces of at most [`FRAME`] bytes.
    in_frames: bool,
    /// Whether the queue may contain an answer to a message.
    answering: bool,
    /// Number of bytes written that no pong has acknowledged, up to 4 GiB.
    unacknowledged: u32,
}

/// Pieces that wait until the front is written.
#[derive(Debug, Default)]
struct Backlog {
    rest: VecDeque<Bytes>,
    /// Payload of the pong, which is written after `rest`.
    pong: Option<Bytes>,
}

impl Outbox {
    /// Sets the maximum length of a write to [`FRAME`] bytes.
    #[cfg(feature = "http")]
    pub(super) fn write_in_frames(&mut self) {
        self.in_frames = true;
    }

    /// Returns whether everything is written.
    #[inline]
    pub(super) fn is_written(&self) -> bool {
        self.front.is_empty()
    }

    /// Returns whether everything is written and flushed.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        !self.unflushed && self.is_written()
    }

    /// Adds whole frames.
    #[inline]
    pub(super) fn push(&mut self, frames: Bytes) {
        if self.is_written() {
            (self.front, self.begun) = (frames, false);
        } else {
            self.backlog().rest.push_back(frames);
        }
    }

    /// Writes frames without queueing them and flushes. The queue must be idle. Pending if bytes were not accepted, which
    /// are then queued.
    #[inline]
    pub(super) fn poll_write_through<Io: AsyncWrite + Unpin>(
        &mut self,
        frames: Bytes,
        io: &mut Io,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = if self.in_frames { frames.get(..FRAME).unwrap_or(&frames) } else { &frames };
        let written = match Pin::new(&mut *io).poll_write(cx, piece) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        if written < frames.len() {
            self.push(frames);
            self.wrote(written);
            return Poll::Pending;
        }
        self.unacknowledged = self.unacknowledged.saturating_add(written as u32);
        // Everything before this write was flushed.
        match Pin::new(io).poll_flush(cx) {
            Poll::Pending => {
                self.unflushed = true;
                Poll::Pending
            }
            flushed => flushed,
        }
    }

    /// Drops the bytes that are not written. Returns `false` if they may begin inside a frame, so that none can follow.
    pub(super) fn discard(&mut self) -> bool {
        let whole = self.is_written() || !self.begun;
        (self.front, self.backlog, self.answering) = (Bytes::new(), None, false);
        whole
    }

    /// Adds a text frame with the bytes that `write` appends.
    pub(super) fn put_text(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.push(text(write));
    }

    /// Adds the frame of an answer to a client's message.
    pub(super) fn put_answer(&mut self, frame: Bytes) {
        self.push(frame);
        self.answering = true;
    }

    /// Returns whether the queue may contain an answer. It does not once the whole queue was written.
    #[inline]
    pub(super) fn is_answering(&self) -> bool {
        self.answering
    }

    /// Adds a ping.
    pub(super) fn put_ping(&mut self, payload: &[u8]) {
        self.put(Kind::Control(Control::Ping), payload);
    }

    /// Adds a pong at the end of the queue. It replaces a pong that is still queued (RFC 6455 §5.5.3).
    pub(super) fn put_pong(&mut self, payload: Bytes) {
        match self.is_written() {
            true => self.push(pong(&payload)),
            false => self.backlog().pong = Some(payload),
        }
    }

    /// Adds a Close frame. Nothing may be added after it.
    pub(super) fn put_close(&mut self, code: Option<CloseCode>, reason: &str) {
        if let Some(payload) = self.backlog.as_mut().and_then(|backlog| backlog.pong.take()) {
            self.push(pong(&payload));
        }
        let mut frame = BytesMut::new();
        put_close(code, reason, &mut frame);
        self.push(frame.freeze());
    }

    /// Writes the whole queue, several pieces in one vectored write.
    #[inline(always)]
    pub(super) fn poll_write<Io: AsyncWrite + Unpin>(
        &mut self,
        io: &mut Io,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_written() {
            let io = Pin::new(&mut *io);
            let written = ready!(match &self.backlog {
                _ if self.in_frames => io.poll_write(cx, self.front.get(..FRAME).unwrap_or(&self.front)),
                None => io.poll_write(cx, &self.front),
                Some(backlog) => poll_pieces(&self.front, &backlog.rest, io, cx),
            })?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.wrote(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Flushes if bytes were written since the last flush.
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

    /// Returns the number of bytes written that no pong has acknowledged, up to 4 GiB.
    pub(super) fn unacknowledged(&self) -> u32 {
        self.unacknowledged
    }

    /// Records that a pong acknowledged `taken` of these bytes.
    pub(super) fn acknowledge(&mut self, taken: u32) {
        self.unacknowledged = self.unacknowledged.saturating_sub(taken);
    }

    /// Returns whether bytes were written since the last call.
    pub(super) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    fn put(&mut self, kind: Kind, payload: &[u8]) {
        self.push(frame(kind, payload));
    }

    fn backlog(&mut self) -> &mut Backlog {
        self.backlog.get_or_insert_default()
    }

    #[inline]
    fn wrote(&mut self, mut written: usize) {
        (self.unflushed, self.moved) = (true, true);
        self.unacknowledged = self.unacknowledged.saturating_add(written as u32);
        // The piece is replaced, because one that is advanced to its end would keep the shared buffer.
        while written >= self.front.len() {
            written -= self.front.len();
            (self.front, self.begun) = (self.next(), false);
            if self.front.is_empty() {
                self.answering = false;
                return;
            }
        }
        self.begun |= written > 0;
        self.front.advance(written);
    }

    /// Takes the piece after the front. Empty if there is none.
    #[inline]
    fn next(&mut self) -> Bytes {
        let Some(backlog) = &mut self.backlog else { return Bytes::new() };
        let next = backlog.rest.pop_front().or_else(|| backlog.pong.take().map(|payload| pong(&payload)));
        if backlog.rest.is_empty() && backlog.pong.is_none() {
            self.backlog = None;
        }
        next.unwrap_or_default()
    }
}

#[inline(never)]
fn poll_pieces<Io: AsyncWrite>(
    front: &Bytes,
    rest: &VecDeque<Bytes>,
    io: Pin<&mut Io>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); PIECES];
    let pieces = std::iter::once(front).chain(rest);
    slices.iter_mut().zip(pieces).for_each(|(slice, piece)| *slice = IoSlice::new(piece));
    io.poll_write_vectored(cx, &slices)
}

fn pong(payload: &[u8]) -> Bytes {
    frame(Kind::Control(Control::Pong), payload)
}
