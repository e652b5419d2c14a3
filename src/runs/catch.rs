use std::any::Any;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs code of the application, and returns the text of its panic if it panics.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    // Unwind safety: the values that the code was using are dropped, not used again.
    catch_unwind(AssertUnwindSafe(run)).map_err(text)
}

/// Wakes a task. A panic of the waker has no further effect.
pub(crate) fn wake(waker: Waker) {
    let _panicked = catch_panic(|| waker.wake());
}

/// Returns the text of a panic, and drops its payload.
fn text(payload: Box<dyn Any + Send>) -> String {
    let known = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let known = known.or_else(|| payload.downcast_ref::<String>().cloned());
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // The drop of this one may panic, too.
        forget(second);
    }
    known.unwrap_or_else(|| "panic without a text".to_owned())
}
