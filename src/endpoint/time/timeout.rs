use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::wheel::Wheel;
use crate::time::Timer;

/// Returns the future's output. If the future takes longer than `limit`, drops it and returns `None`. A future that is
/// ready at once costs no look at a clock.
#[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
pub(crate) fn timeout<F: Future>(wheel: &Wheel, limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
    async move {
        let (mut future, mut deadline) = (pin!(future), None);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let deadline = deadline.get_or_insert_with(|| wheel.sleep_until(wheel.after(limit)));
            deadline.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}
