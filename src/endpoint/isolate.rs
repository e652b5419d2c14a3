use std::panic::{AssertUnwindSafe, catch_unwind};

/// The application's code panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs application code whose panic must end no more than what it was called for.
pub(crate) fn isolate<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    // Unwind safety: what the code was using is dropped, not used again.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
}

/// Polls a future, and returns an error if a poll panics.
pub(crate) async fn isolated<F: Future>(future: F) -> Result<F::Output, Panicked> {
    use std::task::Poll;

    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match isolate(|| future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}
