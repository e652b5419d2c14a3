//! Helpers of the tests.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::contract::{Delivery, Subscriber};
use crate::engine::subscription::HistorySubscription;
use crate::time::{Clock, StdClock};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns a waker that unparks this thread.
pub(super) fn unpark() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// Waits for a future, at most 30 s.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let (waker, mut future) = (unpark(), pin!(future));
    let end = StdClock.now() + Duration::from_secs(30);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let left = end.saturating_duration_since(StdClock.now());
        assert!(!left.is_zero(), "nothing is ready for 30 s");
        thread::park_timeout(left);
    }
}

pub(super) fn next(subscription: &mut HistorySubscription) -> Delivery {
    wait(std::future::poll_fn(|cx| subscription.poll_next(cx)))
}

/// Returns the texts of the next events, which must come without a gap.
pub(super) fn texts(subscription: &mut HistorySubscription, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        match next(subscription) {
            Delivery::Events(batch) => texts.extend(batch.iter().map(|event| event.event.as_str().unwrap().to_owned())),
            other => panic!("{other:?} after {texts:?}"),
        }
    }
    texts
}
