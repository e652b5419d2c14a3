//! Carry one subscriber over one transport. Each takes any [`Subscriber`](crate::Subscriber) and works without HTTP;
//! none knows a sibling. Their common ground: `object`, `reply`, `keep_alive` and `limit`.

#[cfg(feature = "chunked")]
mod chunked;
#[cfg(any(feature = "chunked", feature = "sse"))]
mod keep_alive;
#[allow(dead_code, reason = "the mount alone turns this folder on, without an adapter that uses it")]
pub(crate) mod limit;
#[cfg(feature = "long-poll")]
mod long_poll;
#[allow(dead_code, unused_imports, reason = "each function is used by some adapters, not by every one")]
pub(crate) mod object;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
mod reply;
#[cfg(feature = "short-poll")]
mod short_poll;
#[cfg(feature = "sse")]
mod sse;
#[cfg(feature = "websocket")]
mod websocket;

#[cfg(feature = "chunked")]
pub use chunked::{ChunkedStream, Heartbeat};
#[cfg(feature = "long-poll")]
pub use long_poll::LongPollWaiter;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
pub use reply::Reply;
#[cfg(all(feature = "http", any(feature = "short-poll", feature = "long-poll")))]
pub(crate) use reply::Whole;
#[cfg(feature = "short-poll")]
pub use short_poll::PollQueue;
#[cfg(feature = "sse")]
pub use sse::{SseEncoder, sse_retry_block};
#[cfg(feature = "websocket")]
pub use websocket::*;
