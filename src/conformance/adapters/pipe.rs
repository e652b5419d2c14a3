use std::collections::VecDeque;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

/// A connection in memory whose two ends belong to one task, which polls the other end after each write.
#[derive(Debug, Clone, Default)]
pub(super) struct Pipe(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    to_server: VecDeque<u8>,
    to_client: Vec<u8>,
}

impl Pipe {
    /// Sends bytes from the client.
    pub(super) fn send(&self, bytes: &[u8]) {
        self.state().to_server.extend(bytes);
    }

    /// Takes the bytes that were written for the client.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().to_client)
    }
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server's end.
impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if state.to_server.is_empty() { Poll::Pending } else { Poll::Ready(state.to_server.read(buf)) }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.state().to_client.extend(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
