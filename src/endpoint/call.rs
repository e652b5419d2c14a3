use std::future::Future;
use std::time::Duration;

use super::catch_panic::catch_future_panic;
use super::reject::RefusalCause;
use super::shared::Shared;
use super::time::timeout::timeout;

/// Failure of a call of the publisher for a live session.
pub(crate) enum FailedCall {
    Panicked,
    TimedOut(Duration),
}

impl Shared {
    /// Calls the publisher, and waits for at most the `subscribe_timeout`. A panic of the publisher is caught.
    pub(crate) async fn call<F: Future>(&self, call: impl FnOnce() -> F) -> Result<F::Output, FailedCall> {
        let limit = self.config.subscribe_timeout;
        // In a block, because the call itself may panic before it returns its future.
        let called = catch_future_panic(async { call().await });
        match timeout(&self.runtime.wheel, limit, called).await {
            Some(called) => called.map_err(|_| FailedCall::Panicked),
            None => Err(FailedCall::TimedOut(limit)),
        }
    }
}

impl FailedCall {
    pub(crate) fn cause(&self) -> RefusalCause {
        match self {
            Self::Panicked => RefusalCause::Publisher,
            Self::TimedOut(_) => RefusalCause::Busy,
        }
    }

    /// Returns the text for the operator. `method` is the publisher's method.
    pub(crate) fn text(&self, method: &str) -> String {
        match self {
            Self::Panicked => format!("{method}: publisher panicked"),
            Self::TimedOut(limit) => timed_out(method, *limit),
        }
    }
}

/// Returns the text for the operator if a call takes longer than the `subscribe_timeout`.
pub(crate) fn timed_out(method: &str, limit: Duration) -> String {
    format!("{method} timed out after {limit:?} (subscribe_timeout)")
}
