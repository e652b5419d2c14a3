use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "http")]
use super::request_timer::RequestTimer;
use super::tcp_options::set_tcp_options;

/// Up to how many bytes several pieces are put together: to copy so few costs less than the kernel's work for each
/// further piece.
const TOGETHER: usize = 1024;

/// A connection set up for push: [tuned](set_tcp_options), and with small writes in one piece.
///
/// A chunk of a stream is three pieces to an HTTP stack, its length, the event and a line's end, and a poll's reply is
/// two; written as they are they cost the kernel more than the copy that makes them one. A larger write is passed on as
/// it comes. With hyper: `TokioIo::new(CoalescingStream::new(stream))`; TLS goes around it.
#[derive(Debug)]
pub struct CoalescingStream {
    stream: TcpStream,
    /// Set by each read, if there is a request timer.
    has_read: Option<Arc<AtomicBool>>,
}

impl CoalescingStream {
    /// A connection as it was accepted. Without the options where the operating system refuses them.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        // It works without.
        let _ = set_tcp_options(&stream);
        Self { stream, has_read: None }
    }

    /// Returns a timer for hyper's HTTP/1 connection over this socket, which tells an idle connection between two requests
    /// from one whose request's head is late. It sleeps by `timer`.
    ///
    /// hyper closes an idle connection after its `header_read_timeout`. A proxy in front keeps connections for reuse, commonly
    /// for 60 s, and gets an error for a request that it sends just when the server closes one. With this timer the connection
    /// is closed after `idle`, and the time for a head counts from its first byte. A head that begins before the previous
    /// answer has ended (pipelining) has `idle` instead, from the end of that answer on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hyper::server::conn::http1;
    ///
    /// fn builder(socket: &mut tidings::server::CoalescingStream, endpoint: &tidings::Endpoint) -> http1::Builder {
    ///     let mut builder = http1::Builder::new();
    ///     builder
    ///         .timer(socket.request_timer(endpoint.timer(), Duration::from_secs(75)))
    ///         .header_read_timeout(Duration::from_secs(10));
    ///     builder
    /// }
    /// ```
    #[cfg(feature = "http")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    pub fn request_timer<T>(
        &mut self,
        timer: T,
        idle: std::time::Duration,
    ) -> impl hyper::rt::Timer + Send + Sync + use<T>
    where
        T: hyper::rt::Timer + Clone + Unpin + Send + Sync + 'static,
    {
        RequestTimer::new(timer, idle, self.has_read.get_or_insert_default().clone())
    }

    /// The connection as it is.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// The connection without this. Nothing is held back that would have to be written first.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.stream
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl AsyncRead for CoalescingStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Some(has_read) = this.has_read.as_ref().filter(|_| buf.filled().len() > before) {
            has_read.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for CoalescingStream {
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
