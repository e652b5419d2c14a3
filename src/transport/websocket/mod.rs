//! WebSockets: one connection that carries events to the client and messages from it (RFC 6455).
//!
//! The adapter begins after the handshake. It owns both directions of any [`AsyncRead`](futures_io::AsyncRead) and
//! [`AsyncWrite`](futures_io::AsyncWrite), and is a future that is ready when the connection has ended.
//!
//! # Wire format
//!
//! Each event is one unfragmented frame (RFC 6455 §5.2). The [`Subprotocol`] selects its content:
//!
//! | subprotocol | content of a frame |
//! |---|---|
//! | none ([`Raw`](Subprotocol::Raw)) | the payload: a text frame if it is text or JSON, else a binary frame. No cursors, keys, gaps and removals |
//! | `tidings.v1` | a text frame with one of the [JSON objects](crate::transport#objects), `hello` first |
//!
//! An event with the payload `first`, raw and under `tidings.v1`:
//!
//! ```text
//! 81 05                        first
//! 81 2B                        {"id":"7.a8","topic":"news","data":"first"}
//! ```
//!
//! Under `tidings.v1` the [end of a topic](crate::Hub::finish) is an object after its last event. After that of the last topic
//! the connection closes with 1000, `finished`. A client that resumes after the end of its last topic gets `hello`, an end
//! without a topic, and the Close. A client of raw frames gets the Close only.
//!
//! ```json
//! {"id":"7.a9","end":{"topic":"news","reason":"done"}}
//! {"id":"7.a9","end":{}}
//! ```
//!
//! The client's messages are its own. An answer to a message is an event without `id` and `topic`, see
//! [`WebSocketSink::receive`].
//!
//! A ping has one byte as its payload, which changes with each answered ping. Under `tidings.v1`, and with
//! [`raw_acknowledgements`](WebSocketConfig::raw_acknowledgements), the client's cursor follows, without its tag:
//!
//! ```text
//! 89 05                        00 "7.a8"
//! 8A 85                        the pong: the client has received everything up to 7.a8
//! ```
//!
//! A pong whose payload is that of the unanswered ping is passed to
//! [`Subscriber::acknowledge`](crate::Subscriber::acknowledge). Other pongs count as any byte of the client.
//!
//! # Changing topics
//!
//! A `tidings.v1` client of an [`Endpoint`](crate::Endpoint) changes its topics without a new connection. It sends the
//! whole new set, and gets the answer when the set is in force, or an error that has the names, too:
//!
//! ```json
//! {"tidings":"topics","topics":["news","alerts"]}
//! {"tidings":"topics","topics":["news","alerts"],"cursor":"7.a9"}
//! {"tidings":"error","code":"forbidden","message":"forbidden","topics":["news","alerts"]}
//! ```
//!
//! The endpoint asks [`Publisher::subscribe`](crate::Publisher::subscribe) with the new
//! [topics](crate::SubscribeRequest::topics), the client's cursor as the start, and its
//! [session](crate::SubscribeRequest::session). Until the answer the client keeps its old set. Then the new subscriber
//! [skips](crate::Subscriber::skip_to) what the client has, and takes the place of the old one between two deliveries:
//! no event of a topic in both sets is lost or doubled. Of an added topic the client gets every event after the
//! `cursor` of the answer. The state of an added [keyed](crate::Retention::latest_per_key) topic is sent before the
//! answer.
//!
//! | limit | effect |
//! |---|---|
//! | [`max_topics_per_request`](crate::EndpointBuilder::max_topics_per_request), at least one topic | code `invalid` |
//! | 10 changes in a second | code `busy`; each change is also one of [`max_message_rate`](crate::EndpointBuilder::max_message_rate), which closes the connection |
//! | one change at a time | a further one waits; a newer one takes its place, and the replaced one gets no answer |
//! | [`max_concurrent_calls`](crate::EndpointBuilder::max_concurrent_calls), also for the session's limit key | code `busy` |
//! | [`subscribe_timeout`](crate::EndpointBuilder::subscribe_timeout) | code `busy` |
//! | a source without cursors, or that cannot skip | code `unsupported` |
//!
//! A refusal leaves the connection open, whatever its code, also if it is [closing](crate::Rejection::closing). A
//! malformed change is refused with the code `invalid` and no names. Messages whose member `tidings` has another value,
//! and all messages of raw WebSockets, go to [`Publisher::receive`](crate::Publisher::receive). The application changes
//! the topics of any stream or WebSocket by [`Endpoint::resubscribe`](crate::Endpoint::resubscribe).
//!
//! ```
//! use tidings::{Accepted, LocalHub, Publisher, Rejection, SubscribeRequest, Subscription};
//!
//! struct Rooms {
//!     hub: LocalHub,
//! }
//!
//! impl Publisher for Rooms {
//!     type Subscriber = Subscription;
//!
//!     async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
//!         let user = match request.session() {
//!             Some(session) => session.data::<String>().cloned(), // a change: the session has the user
//!             None => request.header("x-user").map(str::to_owned), // set by a proxy that authenticates
//!         };
//!         let user = user.ok_or(Rejection::Unauthorized)?;
//!         if request.topics().iter().any(|room| room.as_str().starts_with("staff/") && user != "ann") {
//!             return Err(Rejection::Forbidden);
//!         }
//!         let rooms = self.hub.subscribe(request.subscribe_to(request.topics()))?;
//!         Ok(Accepted::new(rooms).with_data(user))
//!     }
//! }
//! ```
//!
//! # When to use it
//!
//! Use it if the client also sends messages, if payloads are binary, or if a browser needs more than six connections to one
//! host over HTTP/1.1. Prefer `tidings.v1`: a client of raw frames has no cursor, so it misses the events between two of its
//! connections, without a gap.
//!
//! # Limits
//!
//! [`WebSocketConfig`] has the limits of both directions, with the defaults and the reasons. The connection closes with a code
//! of RFC 6455 §7.4.1:
//!
//! | cause | code |
//! |---|---|
//! | the subscriber ended: all topics have ended, or the hub was closed | 1000 |
//! | protocol violation | 1002 |
//! | text that is not UTF-8 | 1007 |
//! | too many messages, fragments or control frames; a message that takes too long; a rejection | 1008 |
//! | message above [`max_message`](WebSocketConfig::max_message) | 1009 |
//! | internal error | 1011 |
//! | [`finish`](WebSocketSink::finish) | 1012 |
//! | subscriber too slow; gap in raw frames; [`Rejection::Busy`](crate::Rejection::Busy) | 1013 |
//!
//! A client that reads nothing, or answers no ping, is disconnected without a Close frame.
//!
//! # Example
//!
//! The handshake is done by hand: the server answers `Sec-WebSocket-Key` with [`websocket_accept`] and agrees on a
//! subprotocol with [`Subprotocol::choose`].
//!
//! ```
//! use std::io;
//! use std::pin::Pin;
//! use std::sync::Arc;
//! use std::task::{Context, Poll, ready};
//! use tidings::time::TokioTimer;
//! use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig, WebSocketSink, websocket_accept};
//! use tidings::{LocalHub, Subscribe, Subscriber};
//! use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
//!
//! /// Connection of tokio with the traits of futures-io. `tokio_util::compat` has such a type too.
//! struct Compat(DuplexStream);
//!
//! impl futures_io::AsyncRead for Compat {
//!     fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
//!         let mut buf = ReadBuf::new(buf);
//!         ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
//!         Poll::Ready(Ok(buf.filled().len()))
//!     }
//! }
//!
//! impl futures_io::AsyncWrite for Compat {
//!     fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
//!         Pin::new(&mut self.0).poll_write(cx, buf)
//!     }
//!
//!     fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
//!         Pin::new(&mut self.0).poll_flush(cx)
//!     }
//!
//!     fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
//!         Pin::new(&mut self.0).poll_shutdown(cx)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut client, mut server) = tokio::io::duplex(4096);
//!
//! // The request had `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==` and `Sec-WebSocket-Protocol: tidings.v1`.
//! let accept = websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ==").ok_or("answer 400")?;
//! let subprotocol = Subprotocol::choose(["tidings.v1"]).ok_or("answer 400")?;
//! let head = format!(
//!     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//!      Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
//!     subprotocol.name().ok_or("no name")?,
//! );
//! server.write_all(head.as_bytes()).await?;
//!
//! let hub = LocalHub::new();
//! let subscription = hub.subscribe(Subscribe::topics(["news"]))?;
//! let begin = subscription.cursor().expect("a local hub has cursors");
//! let timer = Arc::new(TokioTimer::default());
//! let sink = WebSocketSink::new(Compat(server), subscription, timer, WebSocketConfig::default());
//! let connection = tokio::spawn(sink.subprotocol(subprotocol));
//! let cursor = hub.publish_now("news", "first")?.cursor().expect("a local hub has cursors");
//!
//! // The client closes with 1000. Its frames are masked, here with a mask of zeros.
//! client.write_all(b"\x88\x82\0\0\0\0\x03\xE8").await?;
//! let mut bytes = Vec::new();
//! client.read_to_end(&mut bytes).await?;
//!
//! let mut expected = head.into_bytes();
//! for object in [
//!     format!(r#"{{"tidings":"hello","cursor":"{begin}","heartbeat_ms":25000}}"#),
//!     format!(r#"{{"id":"{cursor}","topic":"news","data":"first"}}"#),
//! ] {
//!     expected.extend([0x81, object.len() as u8]);
//!     expected.extend(object.as_bytes());
//! }
//! expected.extend(b"\x88\x02\x03\xE8");
//! assert_eq!(bytes, expected);
//!
//! let closed = connection.await?;
//! assert!(closed.clean && closed.cause == CloseCause::Client);
//! # Ok(())
//! # }
//! ```

// `sink` owns the connection, `receive` and `send` are its two directions. The protocol takes and returns bytes: `reader`
// parses input, `outbox` queues output, `deadlines` has the times. An event wakes the task without setting the wake
// flag, so that such a wake polls the subscriber only.

mod assembly;
mod close;
mod config;
mod deadlines;
mod format;
mod frame;
mod handshake;
mod mask;
mod message_queue;
mod outbox;
mod pause;
mod ping;
mod reader;
mod receive;
mod scratch;
mod send;
mod sink;
mod violation;

pub use close::{CloseCause, CloseCode, Closed};
pub use config::WebSocketConfig;
#[cfg(feature = "http")]
pub(crate) use format::{MessageAnswer, encode_answer, text as encode_object};
pub use handshake::{Subprotocol, websocket_accept};
pub use sink::WebSocketSink;
