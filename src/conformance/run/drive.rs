use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::conformance::run::{CaseResult, VirtualTimer};

/// Time for which a run waits for other threads before the virtual time advances.
const SETTLE: Duration = Duration::from_millis(2);
/// Maximum number of such waits, and of advances of the time, in a run. With [`SETTLE`] it is 60 s without a wake.
const MOST_WAITS: usize = 30_000;
/// Maximum number of polls of a run. A subscriber that always wakes its task ends it.
const MOST_POLLS: usize = 10_000_000;

/// Runs a case on the current thread. Whenever it waits without a wake, advances the time to the next sleep. Unless the hub is
/// immediate, waits for a wake of another thread first.
///
/// An advance that is too early does no harm: a stream sends a keep-alive, and a poll is repeated.
pub(in crate::conformance) fn drive(
    timer: &VirtualTimer,
    is_immediate: bool,
    run: impl Future<Output = CaseResult>,
) -> CaseResult {
    let (task, settle) = (Arc::new(Task::default()), if is_immediate { Duration::ZERO } else { SETTLE });
    let (waker, mut run) = (Waker::from(Arc::clone(&task)), pin!(run));
    let mut waits = 0;
    for _ in 0..MOST_POLLS {
        if let Poll::Ready(done) = run.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        if task.take_wake(settle) {
            continue;
        }
        if waits == MOST_WAITS {
            return Err(format!("the run is still pending after {MOST_WAITS} advances of the time").into());
        }
        waits += 1;
        if timer.advance_to_next().is_none() && is_immediate {
            return Err("the run is pending, and nothing is left that could wake it".into());
        }
    }
    Err(format!("the run is still pending after {MOST_POLLS} polls").into())
}

/// Task of a run.
#[derive(Default)]
struct Task {
    is_woken: Mutex<bool>,
    wakes: Condvar,
}

impl Task {
    /// Returns whether the task was woken since the last call. Waits for a wake at most for a time.
    fn take_wake(&self, time: Duration) -> bool {
        let is_woken = self.is_woken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wakes.wait_timeout_while(is_woken, time, |is_woken| !*is_woken);
        let (mut is_woken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *is_woken)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wakes.notify_one();
    }
}
