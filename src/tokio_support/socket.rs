use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tune::tune;

/// Up to how many bytes several pieces are put together: to copy so few costs less than the kernel's work for each
/// further piece.
const TOGETHER: usize = 1024;

/// A connection set up for push: [tuned](tune), and with small writes in one piece.
///
/// A chunk of a stream is three pieces to an HTTP stack, its length, the event and a line's end, and a poll's reply is
/// two; written as they are they cost the kernel more than the copy that makes them one. A larger write is passed on as
/// it comes. With hyper: `TokioIo::new(Socket::new(stream))`; TLS goes around it.
#[derive(Debug)]
pub struct Socket(TcpStream);

impl Socket {
    /// A connection as it was accepted. Without the options where the operating system refuses them.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        // It works without.
        let _ = tune(&stream);
        Self(stream)
    }

    /// The connection as it is.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.0
    }

    /// The connection without this. Nothing is held back that would have to be written first.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.0
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().0)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        if pieces.len() < 2 || len > TOGETHER {
            return self.stream().poll_write_vectored(cx, pieces);
        }
        let mut whole = [0; TOGETHER];
        let mut free = whole.as_mut_slice();
        for piece in pieces {
            // There is room for all of them.
            let _ = free.write(piece);
        }
        self.stream().poll_write(cx, whole.get(..len).unwrap_or_default())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
