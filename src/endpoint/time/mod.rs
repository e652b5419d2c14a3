//! Timers of one endpoint, and the task that runs them.

pub(crate) mod driver;
pub(crate) mod notify;
pub(crate) mod runtime;
pub(crate) mod sleep;
pub(crate) mod timeout;
pub(crate) mod wheel;
