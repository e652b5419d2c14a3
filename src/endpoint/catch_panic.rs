use std::panic::{AssertUnwindSafe, catch_unwind};

/// Error of application code that panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs application code, and returns an error if it panics.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    // Unwind safety: the values that the code was using are dropped, not used again.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
}

/// Polls a future, and returns an error if a poll panics.
pub(crate) async fn catch_future_panic<F: Future>(future: F) -> Result<F::Output, Panicked> {
    use std::task::Poll;

    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match catch_panic(|| future.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}
