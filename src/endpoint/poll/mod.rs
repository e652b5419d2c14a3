//! Responses to short and long polls.

#[cfg(any(feature = "short-poll", feature = "long-poll"))]
pub(crate) mod held;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
pub(crate) mod replies;
