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

/// Maximum number of bytes of a vectored write that is copied into one piece. Copying this number of bytes costs less than
/// the kernel's work for another piece.
const TOGETHER: usize = 1024;

/// TCP connection for server push: it has the [options](set_tcp_options) and writes small pieces as one.
///
/// A chunk of a stream is three pieces for an HTTP stack: its length, the event and a line end. The reply to a poll is two.
/// A vectored write of up to 1 KiB is copied into one piece, which costs less than the kernel's work for several. Larger
/// writes are passed on unchanged. TLS is layered on top of this stream.
///
/// ```
/// use hyper_util::rt::TokioIo;
/// use tidings::server::CoalescingStream;
/// use tokio::net::{TcpListener, TcpStream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (stream, _) = listener.accept().await?;
/// let stream = CoalescingStream::new(stream);
/// assert!(stream.get_ref().nodelay()?);
/// let io = TokioIo::new(stream); // for a connection of hyper
/// # drop((client, io));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CoalescingStream {
    stream: TcpStream,
    /// Set by each read, if there is a request timer.
    has_read: Option<Arc<AtomicBool>>,
}

impl CoalescingStream {
    /// Wraps an accepted connection and sets its options. An option that the operating system rejects is not set.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        // The connection works without the options.
        let _ = set_tcp_options(&stream);
        Self { stream, has_read: None }
    }

    /// Returns a timer for an HTTP/1 connection of hyper over this stream. It distinguishes an idle connection from one with
    /// an unfinished head. `timer` is the underlying timer.
    ///
    /// hyper closes an idle connection after its `header_read_timeout`. A proxy keeps connections for reuse, commonly for
    /// 60 s, and fails a request that it sends while the server closes the connection. With this timer an idle connection is
    /// closed after `idle`, and the time for a head counts from its first byte. A head that begins before the previous answer
    /// has ended (pipelining) has `idle` instead, from the end of that answer.
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

    /// Returns the TCP stream.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// Returns the TCP stream. No bytes are lost, because none are buffered.
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
            // `whole` has room for all pieces.
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
