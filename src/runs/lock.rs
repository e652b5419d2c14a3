use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex without poisoning: the values of this floor are valid after each statement, so a panic leaves them valid.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
