//! Transports: one module each, with the adapter that carries one [`Subscriber`](crate::Subscriber) over it, with or
//! without HTTP.

#[cfg(feature = "chunked")]
#[cfg_attr(docsrs, doc(cfg(feature = "chunked")))]
pub mod chunked;
#[cfg(any(feature = "chunked", feature = "sse"))]
mod keep_alive;
#[allow(dead_code, reason = "`http` alone turns this folder on, without an adapter that uses it")]
pub(crate) mod limit;
#[cfg(feature = "long-poll")]
#[cfg_attr(docsrs, doc(cfg(feature = "long-poll")))]
pub mod long_poll;
#[allow(dead_code, unused_imports, reason = "each function is used by some adapters, not by every one")]
pub(crate) mod object;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
mod reply;
#[cfg(feature = "short-poll")]
#[cfg_attr(docsrs, doc(cfg(feature = "short-poll")))]
pub mod short_poll;
#[cfg(feature = "sse")]
#[cfg_attr(docsrs, doc(cfg(feature = "sse")))]
pub mod sse;
#[cfg(any(feature = "chunked", feature = "sse", feature = "websocket", feature = "http"))]
pub(crate) mod wake_flag;
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub mod websocket;

#[cfg(any(feature = "short-poll", feature = "long-poll"))]
pub use reply::Reply;
#[cfg(all(feature = "http", any(feature = "short-poll", feature = "long-poll")))]
pub(crate) use reply::Whole;
