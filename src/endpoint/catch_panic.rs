use std::panic::{AssertUnwindSafe, catch_unwind};

/// Error: the application's code panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs code of the application. Returns an error if it panics, so that its panic ends nothing else.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    // Unwind safety: what the code was using is dropped, not used again.
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
