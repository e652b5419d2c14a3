//! Registration and waking of subscriptions that wait for events.

pub(crate) mod inbox;
pub(crate) mod late_marks;
pub(crate) mod notifier;
#[cfg(feature = "http")]
pub(crate) mod standby;
pub(crate) mod waiters;
