//! Responses to short and long polls.

#[cfg(feature = "long-poll")]
pub(crate) mod long;
pub(crate) mod reply;
pub(crate) mod reply_cache;
#[cfg(feature = "short-poll")]
pub(crate) mod short;
