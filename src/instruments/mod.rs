//! Instruments of hubs and endpoints: spans of the crate [`tracing`](https://docs.rs/tracing) under the feature `tracing`,
//! metrics of the crate [`metrics`](https://docs.rs/metrics) under the feature `metrics`.
//!
//! Neither feature is in `full`. The application installs the subscriber or the recorder.
//!
//! # Spans and events
//!
//! Each session has one span, `session` of the target `tidings::session`, at the level `INFO`. It has no parent, so that the
//! span of a request is closed with its response; it follows from the span in which the session began. A short poll without
//! a session name is no session. The publisher's [`joined`](crate::Publisher::joined) and [`left`](crate::Publisher::left)
//! run in the span.
//!
//! | field | set at | value |
//! |---|---|---|
//! | `session` | begin | the [id](crate::SessionId) |
//! | `transport` | begin | such as `sse` |
//! | `topics` | begin | topics and patterns, separated by spaces, up to 128 bytes, then `…` |
//! | `peer` | begin | address of the client's connection, if the server puts it into the request's extensions |
//! | `name` | begin | the client's [name](crate::Session::name) |
//! | `user_agent` | begin | the header of that name |
//! | `behind` | begin | number of events of the source after the client's cursor, if the cursor is one of the source's epoch |
//! | `end` | end | reason, such as `stalled` |
//! | `events`, `bytes` | end | number of events given to the connection, and of their bytes with framing |
//! | `gaps`, `missed` | end | number of gaps, and of the events in them as far as that is known |
//! | `duration_ms` | end | time since the begin, in milliseconds |
//!
//! | event | target | level |
//! |---|---|---|
//! | `session began` | `tidings::session` | `DEBUG` |
//! | `session ended` | `tidings::session` | `DEBUG` for an end that is expected, `INFO` for `too_slow`, `stalled`, `refused` and `revoked`, `ERROR` for `panicked` |
//! | `refused` | `tidings::refusal` | `ERROR` for the cause `internal` and for status 500, `WARN` for `busy` and `presence`, otherwise `INFO` |
//!
//! A refusal has the fields of [`Refused`](crate::endpoint::Refused): `cause`, `status`, `close_code`, `method`, `path`,
//! `peer`, `transport`, `session` and `text`. Any client can cause refusals. The filter `tidings::refusal=warn` leaves out those that
//! are the client's fault.
//!
//! Text of a client is escaped as by [`str::escape_debug`], so that it contains no line break and no control character. It
//! is cut after 128 bytes. The query string is in no field.
//!
//! A delivery makes no span and no event.
#![cfg_attr(feature = "metrics", doc = include_str!("metrics.md"))]

#[cfg(feature = "metrics")]
mod metric;
#[cfg(feature = "metrics")]
pub(crate) mod names;

#[cfg(feature = "metrics")]
pub use metric::{Metric, MetricKind, describe};
#[cfg(feature = "metrics")]
pub use names::{DELAY_BUCKETS, METRICS};
