use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Result of a command that a thread carries out.
pub(super) struct Reply<T>(Arc<Mutex<State<T>>>);

/// Sending half of a [`Reply`].
#[derive(Debug)]
pub(super) struct Replier<T>(Option<Arc<Mutex<State<T>>>>);

#[derive(Debug)]
enum State<T> {
    Waiting(Option<Waker>),
    Done(T),
    /// The thread ended before it carried out the command, or the reply was taken.
    Gone,
}

/// Returns both halves.
pub(super) fn reply<T>() -> (Replier<T>, Reply<T>) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    (Replier(Some(Arc::clone(&state))), Reply(state))
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Replier<T> {
    pub(super) fn send(mut self, result: T) {
        self.put(State::Done(result));
    }

    fn put(&mut self, state: State<T>) {
        let Some(shared) = self.0.take() else { return };
        let before = std::mem::replace(&mut *lock(&shared), state);
        if let State::Waiting(Some(waker)) = before {
            // A waker is code of the executor. Its panic is not one of this thread, which has other commands.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

impl<T> Drop for Replier<T> {
    fn drop(&mut self) {
        self.put(State::Gone);
    }
}

impl<T> Future for Reply<T> {
    /// `None` if the thread ended before it carried out the command.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // Cloned without a lock, as it is code of the executor.
        let waker = cx.waker().clone();
        let mut state = lock(&self.0);
        let (next, result) = match std::mem::replace(&mut *state, State::Gone) {
            State::Waiting(old) => {
                *state = State::Waiting(Some(waker));
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            State::Done(result) => (State::Gone, Some(result)),
            State::Gone => (State::Gone, None),
        };
        *state = next;
        drop(state);
        Poll::Ready(result)
    }
}
