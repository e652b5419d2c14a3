//! Counts steps while a lock is held, in unit tests.
//!
//! No hold of a lock goes through more than 1,024 topics, events, segments or subscribers, so that no publisher waits
//! longer for a lock because a hub has grown. Each lock of [`sync`](crate::hub::sync) begins a hold when the thread
//! holds no other. A lock that is taken within a hold is a step. A loop that runs under a lock calls [`count_steps`].
//! More than 1,024 steps panic. In other builds the functions do nothing.
//!
//! A batch is the caller's: each of its events is [counted by itself](next_event).

#[cfg(all(test, not(loom)))]
mod tests;

/// Number of events, topics or subscribers that a loop goes through before it releases the lock.
pub(crate) const STRETCH: usize = 256;

#[cfg(any(not(test), loom))]
mod counted {
    /// Hold of a lock.
    #[derive(Debug)]
    pub(crate) struct Hold;

    impl Hold {
        #[inline(always)]
        pub(crate) fn begin() -> Self {
            Self
        }
    }

    /// Counts steps.
    #[inline(always)]
    pub(crate) fn count_steps(_steps: usize) {}

    /// Begins a new count, for the next event of a batch.
    #[inline(always)]
    pub(crate) fn next_event() {}
}

#[cfg(all(test, not(loom)))]
mod counted {
    use std::cell::Cell;

    /// Largest number of steps of one hold.
    pub(crate) const MOST: usize = 1_024;

    thread_local! {
        /// Number of locks held by the thread.
        static HELD: Cell<usize> = const { Cell::new(0) };
        /// Number of steps of the present hold, or of the last one.
        static STEPS: Cell<usize> = const { Cell::new(0) };
        /// Largest number of steps of a hold of this thread.
        static RECORD: Cell<usize> = const { Cell::new(0) };
    }

    /// Hold of a lock.
    #[derive(Debug)]
    pub(crate) struct Hold(());

    impl Hold {
        pub(crate) fn begin() -> Self {
            match HELD.get() {
                0 => STEPS.set(0),
                _ => count_steps(1),
            }
            HELD.set(HELD.get() + 1);
            Self(())
        }
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            HELD.set(HELD.get() - 1);
        }
    }

    /// Counts steps.
    pub(crate) fn count_steps(steps: usize) {
        if HELD.get() > 0 {
            STEPS.set(STEPS.get() + steps);
            RECORD.set(RECORD.get().max(STEPS.get()));
            // Not while a panic unwinds: a second one would abort.
            let steps = STEPS.get();
            assert!(steps <= MOST || std::thread::panicking(), "{steps} steps while a lock is held");
        }
    }

    /// Begins a new count, for the next event of a batch.
    pub(crate) fn next_event() {
        STEPS.set(0);
    }

    /// Returns the largest number of steps of a hold of this thread since the last call.
    pub(crate) fn take_record() -> usize {
        RECORD.take()
    }
}

pub(crate) use counted::{Hold, count_steps, next_event};
