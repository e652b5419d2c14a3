use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tidings::server::CoalescingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ledger::Panel;

/// Byte counts of a connection for the panel that uses it, and the switch that cuts it.
///
/// A browser shares its connections between panels, so the panel changes with each request. Bytes that are read belong to a
/// request whose head is not parsed yet: they are counted when it is, or when something is written, which can only be the
/// response. (Browsers do not send a request before the response to the previous one.)
#[derive(Default)]
pub(crate) struct Meter {
    tally: Mutex<Tally>,
    cut: AtomicBool,
    wakers: Mutex<[Option<Waker>; 2]>,
}

#[derive(Default)]
struct Tally {
    panel: Option<Arc<Panel>>,
    /// Bytes that were read and are not assigned to a panel yet.
    unclaimed: u64,
    /// Panels that have used this connection.
    known: Vec<String>,
}

impl Meter {
    /// Assigns a parsed request and the bytes after it to this panel, or to none.
    pub(crate) fn request(&self, panel: Option<Arc<Panel>>) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(panel) = &panel {
            let new = !tally.known.iter().any(|id| id == panel.id());
            if new {
                tally.known.push(panel.id().to_owned());
            }
            panel.asked(new);
        }
        tally.panel = panel;
        tally.claim();
    }

    /// Returns the panel of the latest request.
    pub(crate) fn panel(&self) -> Option<Arc<Panel>> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).panel.clone()
    }

    /// Wakes the connection's task, and lets its next read or write fail.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn read(&self, bytes: usize) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).unclaimed += bytes as u64;
    }

    fn wrote(&self, bytes: usize) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.claim();
        if let Some(panel) = &tally.panel {
            panel.down(bytes as u64);
        }
    }

    /// Fails if the connection was cut. Otherwise registers the waker for the cut.
    fn check(&self, side: usize, cx: &Context<'_>) -> io::Result<()> {
        if let Some(waker) = self.wakers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(side) {
            *waker = Some(cx.waker().clone());
        }
        match self.cut.load(Ordering::Acquire) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

impl Tally {
    fn claim(&mut self) {
        let bytes = std::mem::take(&mut self.unclaimed);
        if let Some(panel) = &self.panel {
            panel.up(bytes);
        }
    }
}

/// A TCP connection that counts its bytes.
pub(crate) struct Metered {
    stream: CoalescingStream,
    meter: Arc<Meter>,
}

const READS: usize = 0;
const WRITES: usize = 1;

impl Metered {
    pub(crate) fn new(stream: CoalescingStream, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.meter.check(READS, cx)?;
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.meter.read(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.meter.check(WRITES, cx)?;
        let bytes = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.meter.wrote(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.meter.check(WRITES, cx)?;
        let bytes = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.meter.wrote(bytes);
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
