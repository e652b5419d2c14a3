//! The transport adapters, without HTTP.

#[cfg(feature = "chunked")]
mod chunked;
#[cfg(feature = "full")]
mod ends;
#[cfg(feature = "full")]
mod filtered;
#[cfg(feature = "long-poll")]
mod long_poll;
#[cfg(feature = "short-poll")]
mod short_poll;
#[cfg(feature = "sse")]
mod sse;
#[cfg(feature = "websocket")]
mod websocket;
