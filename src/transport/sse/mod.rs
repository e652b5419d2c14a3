//! Server-sent events: one response that does not end, with one block of text an event (WHATWG HTML §9.2).
//!
//! # Wire format
//!
//! A block ends with an empty line. `data:` is the payload, one line for each of its lines. `event:` is the event's name,
//! absent if it has none. `id:` is the cursor, the last field of each block. A line that begins with `:` is a comment, used
//! for keep-alives. An [`Endpoint`](crate::Endpoint) sends the stream as `text/event-stream`.
//!
//! ```text
//! :
//! retry: 2000
//! event: tidings.hello
//! data: {"tidings":"hello","cursor":"7.a7","heartbeat_ms":null}
//! id: 7.a7
//!
//! event: price
//! data: 42.17
//! id: 7.a8
//!
//! event: tidings.gap
//! data: {"id":"7.b12","gap":{"reason":"overflow","missed":4,"topic":"news"}}
//! id: 7.b12
//!
//! :
//! event: tidings.retry
//! retry: 1500
//! data: {"retry_ms":1500}
//! id: 7.b12
//!
//! ```
//!
//! The [end of a topic](crate::Hub::finish) is a block after its last event. That of the last topic is the last block of the
//! stream, which then ends cleanly. Its `retry:` of a day keeps an `EventSource` from reconnecting; an endpoint answers a client
//! that does with 204. Close the `EventSource` in a listener for `tidings.end`: else its `readyState` remains 0.
//!
//! ```text
//! event: tidings.topic_end
//! data: {"id":"7.b13","end":{"topic":"news","reason":"done"}}
//! id: 7.b13
//!
//! event: tidings.end
//! retry: 86400000
//! data: {"id":"7.b15","end":{"topic":"scores","reason":"stopped"}}
//! id: 7.b15
//!
//! ```
//!
//! A [removal](crate::Event::removal) is a block of its own:
//!
//! ```text
//! event: tidings.removed
//! data: {"id":"7.a5","topic":"cars","key":"42","removed":true}
//! id: 7.a5
//!
//! ```
//!
//! If all topics had ended before, the data of `tidings.end` is `{"id":"7.b15","end":{}}`.
//!
//! Without [`controls`](SseEncoder::controls), for readers that parse the data of every block, the stream consists of comments
//! and blocks of events, without removals:
//!
//! ```text
//! :
//! retry: 2000
//! data: 42.17
//! id: 7.a8
//!
//! ```
//!
//! With [`objects`](SseEncoder::objects), `data:` is the [event object](crate::transport#objects), and blocks of events
//! and removals have no `event:`.
//!
//! # When to use it
//!
//! Use it for browsers: an `EventSource` reconnects by itself and sends the last `id:` as `Last-Event-ID`. Over HTTP/1.1 a
//! browser opens at most six connections to one host, which all tabs share. Over HTTP/2 all tabs share one connection.
//!
//! # Limits
//!
//! The format carries text. A binary payload is base64, and only [`objects`](SseEncoder::objects) mark it as such. A reader
//! joins the `data:` lines with LF, so CRLF and CR in a text arrive as LF; in objects they arrive unchanged. An item has at
//! most [`max_batch_bytes`](SseEncoder::max_batch_bytes) of events, and at least one event. The adapter has no write timeout,
//! because it does not write: the caller takes an item, writes it and polls again.
//!
//! # Example
//!
//! ```
//! use std::{future::poll_fn, pin::Pin, time::Duration};
//! use futures_core::Stream;
//! use tidings::time::TokioTimer;
//! use tidings::transport::sse::SseEncoder;
//! use tidings::{Event, LocalHub, Subscribe, Subscriber};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (hub, timer) = (LocalHub::new(), TokioTimer::default());
//! let subscription = hub.subscribe(Subscribe::topics(["news"]))?;
//! let begin = subscription.cursor().expect("a local hub has cursors");
//! let mut stream = SseEncoder::new(subscription, &timer).retry(Duration::from_secs(2));
//! let event = Event::text("first\nsecond").with_name("poem")?;
//! let cursor = hub.publish_now("news", event)?.cursor().expect("a local hub has cursors");
//!
//! // The third item is the keep-alive, due after 15 s without an event.
//! let mut body = Vec::new();
//! for _ in 0..3 {
//!     let item = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
//!     body.extend(item.expect("the stream continues"));
//! }
//!
//! let lines = [
//!     ":",
//!     "retry: 2000",
//!     "event: tidings.hello",
//!     &format!(r#"data: {{"tidings":"hello","cursor":"{begin}","heartbeat_ms":null}}"#),
//!     &format!("id: {begin}"),
//!     "",
//!     "event: poem",
//!     "data: first",
//!     "data: second",
//!     &format!("id: {cursor}"),
//!     "",
//!     ":",
//!     "",
//! ];
//! assert_eq!(String::from_utf8(body)?, lines.join("\n"));
//! # Ok(())
//! # }
//! ```

mod block;
mod encoder;
mod format;

#[cfg(feature = "http")]
pub(crate) use block::sse_retry_block;
#[cfg(feature = "http")]
pub(crate) use encoder::FirstDelivery;
pub use encoder::SseEncoder;
