use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tidings::server::CoalescingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ledger::Panel;

/// Bytes of a connection, counted for the panel that uses it, and the switch that cuts it.
///
/// A browser lends its connections around, so the owner changes with each request. Bytes read belong to the request
/// they turn out to be: they wait until its head is understood, or until something is written, which can only be its
/// answer. (No browser sends a request before the answer to the one before has come.)
#[derive(Default)]
pub(crate) struct Meter {
    tally: Mutex<Tally>,
    cut: AtomicBool,
    wakers: Mutex<[Option<Waker>; 2]>,
}

#[derive(Default)]
struct Tally {
    panel: Option<Arc<Panel>>,
    /// Read, and not yet known to be whose.
    unclaimed: u64,
    /// The panels that had this connection.
    known: Vec<String>,
}

impl Meter {
    /// A request was understood: it and what follows is this panel's, or no panel's.
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

    /// The panel whose request came last.
    pub(crate) fn panel(&self) -> Option<Arc<Panel>> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).panel.clone()
    }

    /// Makes the connection fail at its next read or write, which is now.
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

    /// Fails if the connection was cut, and else is told when it will be.
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

/// A TCP connection that counts.
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
