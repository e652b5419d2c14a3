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

/// How many pieces one write takes.
pub(super) const PIECES: usize = 16;

/// Everything that is to be written, in one queue of whole frames, so that a frame never begins inside another.
///
/// It is bounded by its users: events are added where it was empty, of pongs the last one is kept, an answer to a message
/// is added after the last one was written, and of the rest there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Without what of it is written.
    front: Bytes,
    /// Not there where nothing is, as at most times.
    behind: Option<Box<Behind>>,
    unflushed: bool,
    moved: bool,
    /// Some of the front is written, and some is not: maybe in the middle of a frame.
    begun: bool,
    /// Whether what is queued is written in pieces of at most [`FRAME`] bytes.
    in_frames: bool,
    /// Whether an answer to a message may be among what is queued.
    answering: bool,
    /// Number of bytes written that no pong proves to be taken, up to 4 GiB.
    unproved: u32,
}

/// Bytes that wait until the front is written.
#[derive(Debug, Default)]
struct Behind {
    rest: VecDeque<Bytes>,
    /// The payload of an answer to a ping, which comes last.
    pong: Option<Bytes>,
}

impl Outbox {
    /// Writes queued frames in pieces of at most [`FRAME`] bytes from now on.
    #[cfg(feature = "http")]
    pub(super) fn write_in_frames(&mut self) {
        self.in_frames = true;
    }

    /// Whether all is written.
    #[inline]
    pub(super) fn is_written(&self) -> bool {
        self.front.is_empty()
    }

    /// Whether all is written, and flushed.
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
            self.behind().rest.push_back(frames);
        }
    }

    /// Writes whole frames past the queue, which is idle, and flushes. Pending: what did not go through is queued.
    #[inline]
    pub(super) fn poll_pass<Io: AsyncWrite + Unpin>(
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
        self.unproved = self.unproved.saturating_add(written as u32);
        // All before this was flushed.
        match Pin::new(io).poll_flush(cx) {
            Poll::Pending => {
                self.unflushed = true;
                Poll::Pending
            }
            flushed => flushed,
        }
    }

    /// Forgets what is not written. `false`: it may be the rest of a frame, so nothing can follow.
    pub(super) fn discard(&mut self) -> bool {
        let whole = self.is_written() || !self.begun;
        (self.front, self.behind, self.answering) = (Bytes::new(), None, false);
        whole
    }

    /// Adds a text frame of what `write` appends.
    pub(super) fn put_text(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.push(text(write));
    }

    /// Adds the frame of an answer to a client's message.
    pub(super) fn put_answer(&mut self, frame: Bytes) {
        self.push(frame);
        self.answering = true;
    }

    /// Returns whether an answer may be queued. It is cleared when all that is queued with it was written.
    #[inline]
    pub(super) fn is_answering(&self) -> bool {
        self.answering
    }

    pub(super) fn put_ping(&mut self, payload: u8) {
        self.put(Kind::Control(Control::Ping), &[payload]);
    }

    /// Answers a ping, after all that is queued. An answer that still waits is dropped (RFC 6455 §5.5.3).
    pub(super) fn put_pong(&mut self, payload: Bytes) {
        match self.is_written() {
            true => self.push(pong(&payload)),
            false => self.behind().pong = Some(payload),
        }
    }

    /// Adds a Close frame, after which nothing may be added.
    pub(super) fn put_close(&mut self, code: Option<CloseCode>, reason: &str) {
        if let Some(payload) = self.behind.as_mut().and_then(|behind| behind.pong.take()) {
            self.push(pong(&payload));
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
            let io = Pin::new(&mut *io);
            let written = ready!(match &self.behind {
                _ if self.in_frames => io.poll_write(cx, self.front.get(..FRAME).unwrap_or(&self.front)),
                None => io.poll_write(cx, &self.front),
                Some(behind) => poll_pieces(&self.front, &behind.rest, io, cx),
            })?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.wrote(written);
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

    /// Returns the number of bytes written that no pong proves to be taken, up to 4 GiB.
    pub(super) fn unproved(&self) -> u32 {
        self.unproved
    }

    /// Notes that so many of these bytes were taken.
    pub(super) fn prove(&mut self, taken: u32) {
        self.unproved = self.unproved.saturating_sub(taken);
    }

    /// Whether anything was written since the last call.
    pub(super) fn has_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    fn put(&mut self, kind: Kind, payload: &[u8]) {
        self.push(frame(kind, payload));
    }

    fn behind(&mut self) -> &mut Behind {
        self.behind.get_or_insert_default()
    }

    #[inline]
    fn wrote(&mut self, mut written: usize) {
        (self.unflushed, self.moved) = (true, true);
        self.unproved = self.unproved.saturating_add(written as u32);
        // Replaced, since a piece advanced to its end would keep the shared buffer.
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

    /// Takes the bytes that come after the front; empty if there are none.
    #[inline]
    fn next(&mut self) -> Bytes {
        let Some(behind) = &mut self.behind else { return Bytes::new() };
        let next = behind.rest.pop_front().or_else(|| behind.pong.take().map(|payload| pong(&payload)));
        if behind.rest.is_empty() && behind.pong.is_none() {
            self.behind = None;
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
