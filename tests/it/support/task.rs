use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;

/// A task that the test polls by hand, and that counts its wakes.
#[derive(Clone, Default)]
pub(crate) struct Task(Arc<Wakes>);

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Task {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Polls a future once.
    pub(crate) fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        self.with(|cx| Pin::new(future).poll(cx))
    }

    /// Returns the items that a stream has ready, and `true` if it ended.
    pub(crate) fn drain<T: Stream + Unpin>(&self, stream: &mut T) -> (Vec<T::Item>, bool) {
        let mut items = Vec::new();
        loop {
            match self.with(|cx| Pin::new(&mut *stream).poll_next(cx)) {
                Poll::Ready(Some(item)) => items.push(item),
                Poll::Ready(None) => return (items, true),
                Poll::Pending => return (items, false),
            }
        }
    }

    /// Returns the number of wakes since the last call.
    pub(crate) fn wakes(&self) -> usize {
        self.0.0.swap(0, Ordering::Relaxed)
    }

    /// Calls a poll function with the context of the task.
    pub(crate) fn with<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.0))))
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
