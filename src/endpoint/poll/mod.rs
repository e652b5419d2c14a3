//! Responses to short and long polls.

#[cfg(feature = "long-poll")]
pub(crate) mod long;
pub(crate) mod replies;
mod reply;
#[cfg(feature = "short-poll")]
pub(crate) mod short;
