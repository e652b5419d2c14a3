//! Adapters that carry one [`Subscriber`](crate::Subscriber) over one transport, with or without HTTP.
//!
//! An [`Endpoint`](crate::Endpoint) uses these adapters. An application that has its own protocol or server can use them
//! without an endpoint: each module has a page with the bytes on the wire, the limits and an example. The example
//! `transports_without_http` carries one subscription over each of them.
//!
//! | module | adapter | on the wire | use it for |
//! |---|---|---|---|
//! | [`short_poll`] | [`PollQueue`](short_poll::PollQueue) | one JSON reply, at once | dashboards that refresh every minute, cron jobs, shells |
//! | [`long_poll`] | [`LongPollWaiter`](long_poll::LongPollWaiter) | one JSON reply, as soon as there is an event | proxies that buffer streams; clients that only send requests |
//! | [`chunked`] | [`ChunkedStream`](chunked::ChunkedStream) | one JSON object a line (NDJSON) | programs: any HTTP client that reads lines |
//! | [`sse`] | [`SseEncoder`](sse::SseEncoder) | server-sent events | browsers: `EventSource` reconnects and resumes by itself |
//! | [`websocket`] | [`WebSocketSink`](websocket::WebSocketSink) | WebSocket frames | messages in both directions, binary payloads, more than six tabs over HTTP/1.1 |
//!
//! # Objects
//!
//! The reply to a poll, a line of NDJSON, a `tidings.v1` message and a server-sent event of
//! [`SseEncoder::objects`](sse::SseEncoder::objects) consist of these JSON objects. Each is one line.
//!
//! An **event**. `id` is its cursor, absent if the source has no cursors. `key` is its key and `event` its name, absent
//! if it has none. `data` is a string if the payload is text, and the value itself if it is JSON. A binary payload is a
//! base64 string, followed by `"encoding":"base64"`.
//!
//! ```json
//! {"id":"7.a3","topic":"news","event":"price","data":"42.17"}
//! {"id":"7.a4","topic":"news","data":"AP8=","encoding":"base64"}
//! ```
//!
//! A **removal** of a key, see [`Event::removal`](crate::Event::removal).
//!
//! ```json
//! {"id":"7.a5","topic":"cars","key":"42","removed":true}
//! ```
//!
//! A **gap** in place of missing events, see [`Gap`](crate::Gap). `missed` is their number, `null` if it is not known.
//! `topic` is absent if they are of several topics. `"snapshot":true` is present if a snapshot follows.
//!
//! ```json
//! {"id":"7.a9","gap":{"reason":"evicted","missed":12,"topic":"news"}}
//! ```
//!
//! The **end of a topic**, after its last event, see [`Hub::finish`](crate::Hub::finish). `reason` is `done`, `stopped` or
//! `failed`. If all topics had ended before the client came, `end` has no members.
//!
//! ```json
//! {"id":"7.b13","end":{"topic":"news","reason":"done"}}
//! {"id":"7.b13","end":{}}
//! ```
//!
//! A **control object**. A stream begins with `hello`, whose `cursor` is the position where it begins, and whose
//! `heartbeat_ms` is the longest silence that the client can observe, `null` if heartbeats are not visible. `bye` is the
//! last object, and asks the client to reconnect after `retry_ms`. `error` rejects a message of a WebSocket client; only the
//! code `busy` has a `retry_ms`. `topics` confirms the new topics of a WebSocket client.
//!
//! ```json
//! {"tidings":"hello","cursor":"7.a3","heartbeat_ms":15000}
//! {"tidings":"heartbeat","cursor":"7.a3"}
//! {"tidings":"bye","retry_ms":1500}
//! {"tidings":"error","code":"busy","message":"busy, retry after 1500 ms","retry_ms":1500}
//! {"tidings":"topics","topics":["news","alerts"],"cursor":"7.a3"}
//! ```

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
#[allow(dead_code, reason = "each part is used by some transports, not by every one")]
pub(crate) mod wake_flag;
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub mod websocket;

#[cfg(any(feature = "short-poll", feature = "long-poll"))]
pub use reply::Reply;
#[cfg(all(feature = "http", any(feature = "short-poll", feature = "long-poll")))]
pub(crate) use reply::Whole;
