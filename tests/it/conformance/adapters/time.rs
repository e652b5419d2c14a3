use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tidings::time::{Clock, Timer};

use crate::clients::BoxFuture;
use crate::conformance::context::CaseResult;
use crate::support::{Task, VirtualTimer};

/// Runs a future. Whenever it waits without a wake, advances the time to the next sleep.
pub(crate) fn block_on<T>(timer: &VirtualTimer, future: impl Future<Output = T>) -> T {
    let (task, mut future) = (Task::new(), pin!(future));
    loop {
        if let Poll::Ready(done) = task.poll(&mut future) {
            return done;
        }
        if task.wakes() == 0 {
            assert!(timer.advance_to_next().is_some(), "no sleep is left that could wake it");
        }
    }
}

/// Runs a case for at most `limit`.
pub(crate) async fn within(timer: VirtualTimer, limit: Duration, mut run: BoxFuture<'_, CaseResult>) -> CaseResult {
    let mut over = timer.sleep_until(timer.now() + limit);
    poll_fn(|cx| match run.as_mut().poll(cx) {
        Poll::Pending => over.as_mut().poll(cx).map(|()| Err(format!("no item for {limit:?}"))),
        done => done,
    })
    .await
}
