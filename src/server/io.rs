use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::Open;
use crate::server::CoalescingStream;

/// Preface of an HTTP/2 connection (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Version of HTTP of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// Socket of a connection, whose version can be detected before HTTP reads it.
///
/// It is counted as an open connection until it is dropped, also while a WebSocket's session owns it.
#[derive(Debug)]
pub(super) struct Io {
    socket: CoalescingStream,
    /// Bytes that were read to detect the version, until HTTP reads them.
    first: Option<Box<First>>,
    open: Open,
}

#[derive(Debug, Default)]
struct First {
    bytes: [u8; PREFACE.len()],
    read: usize,
    len: usize,
}

impl Io {
    pub(super) fn new(socket: CoalescingStream, open: Open) -> Self {
        Self { socket, first: Some(Box::default()), open }
    }

    /// Returns the timer of an HTTP/1 connection over this socket.
    pub(super) fn request_timer(&mut self, idle: Duration) -> impl hyper::rt::Timer + Send + Sync + use<> {
        self.socket.request_timer(TokioTimer::new(), idle)
    }

    /// Reads until the version is known. One byte is enough for most HTTP/1 clients.
    pub(super) fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Version>> {
        let first = self.first.get_or_insert_default();
        loop {
            let (read, rest) = first.bytes.split_at_mut(first.len);
            if *read != PREFACE[..read.len()] {
                return Poll::Ready(Ok(Version::Http1));
            }
            if rest.is_empty() {
                return Poll::Ready(Ok(Version::Http2));
            }
            let mut buf = ReadBuf::new(rest);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buf))?;
            match buf.filled().len() {
                0 if first.len == 0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                0 => return Poll::Ready(Ok(Version::Http1)),
                more => first.len += more,
            }
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(first) = &mut self.first {
            let rest = first.bytes.get(first.read..first.len).unwrap_or_default();
            let some = &rest[..rest.len().min(buf.remaining())];
            buf.put_slice(some);
            first.read += some.len();
            let is_some = !some.is_empty();
            if first.read == first.len {
                self.first = None;
            }
            if is_some {
                return Poll::Ready(Ok(()));
            }
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if self.open.handle().is_aborted() {
            // The client reads nothing, so the bytes in the kernel are discarded too. If this fails, TCP_USER_TIMEOUT ends
            // the connection.
            let _ = socket2::SockRef::from(self.socket.get_ref()).set_linger(Some(Duration::ZERO));
        }
    }
}
