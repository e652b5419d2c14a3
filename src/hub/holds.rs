//! Counts visits while a lock is held, in unit tests.
//!
//! No hold of a lock visits more than 1,024 topics, events, segments or subscribers, so that no publisher waits longer for a
//! lock because a hub has grown. Each lock of [`sync`](crate::hub::sync) begins a hold when it is taken with no other
//! held by the thread; one that is taken within a hold is a visit. A loop that runs under a lock calls [`count_visits`].
//! More visits than that panic. In other builds all of this is nothing.
//!
//! A batch is the caller's: each of its events is [counted by itself](next_event).

#[cfg(all(test, not(loom)))]
mod tests;

/// Number of events, topics or subscribers that a loop goes through before it releases the lock.
pub(super) const STRETCH: usize = 256;

#[cfg(any(not(test), loom))]
mod counted {
    /// A hold of a lock.
    #[derive(Debug)]
    pub(in crate::hub) struct Hold;

    impl Hold {
        #[inline(always)]
        pub(in crate::hub) fn begin() -> Self {
            Self
        }
    }

    /// Counts visits.
    #[inline(always)]
    pub(in crate::hub) fn count_visits(_visits: usize) {}

    /// Begins the count anew, for the next event of a batch.
    #[inline(always)]
    pub(in crate::hub) fn next_event() {}
}

#[cfg(all(test, not(loom)))]
mod counted {
    use std::cell::Cell;

    /// Most visits of one hold.
    pub(super) const MOST: usize = 1_024;

    thread_local! {
        /// Locks held by the thread.
        static HELD: Cell<usize> = const { Cell::new(0) };
        /// Visits of the hold that goes on, or of the last one.
        static VISITS: Cell<usize> = const { Cell::new(0) };
        /// Most visits of a hold of this thread.
        static RECORD: Cell<usize> = const { Cell::new(0) };
    }

    /// A hold of a lock.
    #[derive(Debug)]
    pub(in crate::hub) struct Hold(());

    impl Hold {
        pub(in crate::hub) fn begin() -> Self {
            match HELD.get() {
                0 => VISITS.set(0),
                _ => count_visits(1),
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

    /// Counts visits.
    pub(in crate::hub) fn count_visits(visits: usize) {
        if HELD.get() > 0 {
            VISITS.set(VISITS.get() + visits);
            RECORD.set(RECORD.get().max(VISITS.get()));
            // Not while a panic unwinds: a second one would abort.
            let visits = VISITS.get();
            assert!(visits <= MOST || std::thread::panicking(), "{visits} visits while a lock is held");
        }
    }

    /// Begins the count anew, for the next event of a batch.
    pub(in crate::hub) fn next_event() {
        VISITS.set(0);
    }

    /// Returns the most visits of a hold of this thread since the last call.
    pub(super) fn take_record() -> usize {
        RECORD.take()
    }
}

pub(super) use counted::{Hold, count_visits, next_event};
