use std::collections::VecDeque;
use std::io::{self, IoSlice, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};

/// The server's end of a connection in memory. The client's end sets the sizes of its reads and writes, and its room.
pub(super) struct ServerEnd(Arc<Mutex<State>>);

/// The client's end, which also controls the connection. Clones are the same end.
#[derive(Clone)]
pub(super) struct ClientEnd(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    to_server: VecDeque<u8>,
    /// The client sends nothing more.
    ended: bool,
    to_client: VecDeque<u8>,
    /// Number of bytes that the server can still write.
    room: usize,
    /// Maximum bytes of each read and write, in rotation. Empty means no maximum.
    cuts: VecDeque<usize>,
    read_waker: Option<Waker>,
    write_waker: Option<Waker>,
    broken: bool,
    reads: usize,
    writes: usize,
    flushed: bool,
    shut: bool,
}

impl ClientEnd {
    /// Returns both ends of a connection that takes everything.
    pub(super) fn connect() -> (Self, ServerEnd) {
        let state = Arc::new(Mutex::new(State { room: usize::MAX, flushed: true, ..State::default() }));
        (Self(state.clone()), ServerEnd(state))
    }

    pub(super) fn send(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.to_server.extend(bytes);
        let waker = state.read_waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Ends the client's side.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.send(b"");
    }

    /// Resets the connection, so that every further read and write fails.
    pub(super) fn reset(&self) {
        self.state().broken = true;
        self.send(b"");
        self.allow(0);
    }

    /// Sets the number of bytes that the server can still write.
    pub(super) fn allow(&self, room: usize) {
        let mut state = self.state();
        state.room = room;
        let waker = state.write_waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Sets the maximum bytes of each read and write, in rotation.
    pub(super) fn cut(&self, cuts: &[usize]) {
        self.state().cuts = cuts.iter().map(|&cut| cut.max(1)).collect();
    }

    /// Returns the number of bytes that the server has not read.
    pub(super) fn unread(&self) -> usize {
        self.state().to_server.len()
    }

    /// Returns the number of reads of the server since the last call.
    pub(super) fn reads(&self) -> usize {
        std::mem::take(&mut self.state().reads)
    }

    /// Returns the number of writes of the server since the last call.
    pub(super) fn writes(&self) -> usize {
        std::mem::take(&mut self.state().writes)
    }

    /// Returns whether the server flushed everything that it wrote, or the connection is full.
    pub(super) fn is_flushed(&self) -> bool {
        let state = self.state();
        state.flushed || state.room == 0
    }

    /// Returns whether the server has shut its side.
    pub(super) fn is_shut(&self) -> bool {
        self.state().shut
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn cut(&mut self, all: usize) -> usize {
        self.cuts.rotate_left(1.min(self.cuts.len()));
        self.cuts.front().map_or(all, |cut| all.min(*cut))
    }
}

/// Reads as from a nonblocking socket.
impl Read for ClientEnd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.to_client.is_empty() && !state.shut {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.to_client.read(buf)
    }
}

impl AsyncRead for ServerEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        state.reads += 1;
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.to_server.is_empty() && !state.ended {
            state.read_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = state.cut(buf.len());
        Poll::Ready(state.to_server.read(&mut buf[..most]))
    }
}

impl AsyncWrite for ServerEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!buf.is_empty(), "an empty write");
        let mut state = self.0.lock().unwrap();
        assert!(!state.shut, "a write after the end");
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.room == 0 {
            state.write_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let room = state.room;
        let most = state.cut(buf.len().min(room));
        state.room = room.saturating_sub(if room == usize::MAX { 0 } else { most });
        (state.writes, state.flushed) = (state.writes + 1, false);
        state.to_client.extend(&buf[..most]);
        Poll::Ready(Ok(most))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &bufs.iter().flat_map(|buf| buf.iter().copied()).collect::<Vec<u8>>())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        assert!(!state.shut, "closed twice");
        state.shut = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.0.lock().unwrap().shut = true;
    }
}
