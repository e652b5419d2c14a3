//! Responses that stay open: chunked streams, server-sent events, WebSockets.

#[cfg(feature = "websocket")]
pub(crate) mod end_upgrade;
#[cfg(feature = "websocket")]
pub(crate) mod handshake;
pub(crate) mod live_body;
#[cfg(feature = "websocket")]
pub(crate) mod reject_upgrade;
#[cfg(any(feature = "chunked", feature = "sse"))]
pub(crate) mod response;
#[cfg(feature = "sse")]
pub(crate) mod soft_reject;
#[cfg(feature = "websocket")]
pub(crate) mod upgrade;
#[cfg(feature = "websocket")]
pub(crate) mod upgraded;
#[cfg(feature = "sse")]
mod without_controls;
