//! Server push for Rust web applications: publish an event once, and every client gets it over the transport that it can
//! use, in order, and with an explicit gap where events are missing.
//!
//! A [`LocalHub`] takes events and keeps their history. An [`Endpoint`] gives them to clients by short poll, long poll, chunked
//! NDJSON stream, server-sent events or WebSocket, all at one URL. It is a tower service for an axum router or a hyper server.
//!
//! # First example
//!
//! ```no_run
//! # #[cfg(feature = "full")] mod app {
//! use axum::{Router, extract::State, routing::post};
//! use tidings::{Endpoint, LocalHub, server::serve};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let hub = LocalHub::new();
//!     let events = Endpoint::public(&hub, ["news"]);
//!     let say = post(async |State(hub): State<LocalHub>, text: String| hub.publish("news", text).await.map(drop));
//!     let app = Router::new().route("/say", say).layer(events.origin_layer());
//!     let app = app.route_service("/events", events.clone()).with_state(hub);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     println!("listening on http://{}", listener.local_addr()?);
//!     serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await
//! }
//! # }
//! ```
//!
//! ```toml
//! [dependencies]
//! axum = "0.8"
//! tidings = { version = "0.1", features = ["full"] }
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "signal"] }
//! ```
//!
//! ```text
//! curl -N localhost:3000/events -H 'accept: text/event-stream'
//! curl localhost:3000/say -H 'content-type: text/plain' -d 'it is on'
//! ```
//!
//! # Authorise each client
//!
//! [`Endpoint::public`] is for topics that every client may read. [`Endpoint::from_fn`] calls a closure for each request. It
//! returns the topics of the client, or a [`Rejection`]. The `?` operator makes a rejection of any error.
//!
//! ```
//! # #[cfg(feature = "full")] {
//! use tidings::{Endpoint, LocalHub, Rejection, Topic};
//!
//! let hub = LocalHub::new();
//! let events = Endpoint::from_fn(&hub, async |request| {
//!     let user = request.header("x-user").ok_or(Rejection::Unauthorized)?; // set by your authentication
//!     let inbox = Topic::from_segments(["users", user, "inbox"])?; // 400 if the name contains `/` or `*`
//!     Ok(request.subscribe_to([inbox]))
//! });
//! # }
//! ```
//!
//! A user that a layer has put into the request's extensions is read by
//! [`request.extension::<User>()`](SubscribeRequest::extension), and a token in the URL by
//! [`request.query("token")`](SubscribeRequest::query): a browser's `EventSource` and `WebSocket` send cookies, but
//! cannot set an `Authorization` header. Implement [`Publisher`] for messages from clients
//! ([`receive`](Publisher::receive)), [snapshots](Publisher::snapshot) of the application's state, and sessions
//! ([`joined`](Publisher::joined), [`left`](Publisher::left)). In a handler of your own, also
//! for a POST, call [`Endpoint::check`] and [`Endpoint::respond`].
//! The example `axum_inbox` in the repository has tokens, messages, snapshots and a test. [`Endpoint`] shows [how an
//! application tests its endpoint](Endpoint#test-your-endpoint).
//!
//! A stream whose token expires ends by [`Accepted::with_lifetime`], unless [`Publisher::renew`] or [`Endpoint::extend`]
//! renews it.
//!
//! # State for new clients
//!
//! With [`Retention::latest_per_key`] the hub keeps the newest event of each key of a topic, whatever its age. A new client gets
//! these first, and then each change. [`EndpointBuilder::presence`] publishes the connected users in this way.
//!
//! ```
//! use tidings::{Event, LocalHub, Retention};
//!
//! let hub = LocalHub::builder().retain_for("cars", Retention::latest_per_key()).build();
//! hub.publish_now("cars", Event::text("at the station").with_key("42")?)?;
//! hub.publish_now("cars", Event::removal("42")?)?; // the car has left
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which transport when
//!
//! | transport | requested by | use it for |
//! |---|---|---|
//! | [SSE](transport::sse) | `Accept: text/event-stream` | browsers (`EventSource`), htmx; the first choice if only the server sends |
//! | [WebSocket](transport::websocket) | an upgrade, with the subprotocol `tidings.v1` | messages both ways, binary payloads |
//! | [chunked stream](transport::chunked) | `Accept: application/x-ndjson` | programs: one JSON object a line |
//! | [long poll](transport::long_poll) | `Prefer: wait=20` and a cursor | networks whose proxies hold streams back |
//! | [short poll](transport::short_poll) | none of these | dashboards that refresh each minute, cron jobs, `curl` |
//!
//! Each event carries a [`Cursor`]. A client that returns with its last cursor, over any transport, gets every retained event
//! after it, in order and once, and a [`Gap`] in place of events that are gone. Raw WebSocket frames, without `tidings.v1`,
//! carry no cursor: events that are published between two connections are lost.
//!
//! # Modules
//!
//! | module | content | feature |
//! |---|---|---|
//! | the root | hub, topics, events, cursors, endpoint, publisher, errors | `http` for [`Endpoint`] |
//! | [`transport`] | the five adapters, to mount by hand without [`Endpoint`] | one for each |
//! | [`subscriber`] | batches, formats, recovery by snapshots, subscribers of streams | |
//! | [`endpoint`] | the layer for your own routes, refusals, futures of the service | `http` |
//! | [`runs`] | answers that outlive their requests, such as those of a model | `tokio`, or a timer and a spawner |
//! | [`server`] | `serve` for axum and tower services, TCP options | `server`, `tokio` |
//! | [`stats`] | counters of hub and endpoint, descriptions of sessions | |
//! | [`instruments`] | spans of sessions, metrics | `tracing`, `metrics` |
//! | [`disk`] | `DiskHub`: history in a directory, which outlives the process | `disk` |
//! | [`engine`] | the subscriptions of hubs whose history outlives the process | `engine` |
//! | [`conformance`] | tests for hubs, subscribers and adapters of your own | `conformance` |
//! | [`time`] | clocks and timers, for tests and other runtimes | |
//!
//! No feature is on by default. `full` turns on all but engines, instruments and tests; the README has the table of features.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "conformance")]
#[cfg_attr(docsrs, doc(cfg(feature = "conformance")))]
pub mod conformance;
mod contract;
#[cfg(feature = "disk")]
#[cfg_attr(docsrs, doc(cfg(feature = "disk")))]
pub mod disk;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub mod endpoint;
#[cfg(any(test, feature = "engine"))]
#[cfg_attr(docsrs, doc(cfg(feature = "engine")))]
pub mod engine;
#[cfg(all(doc, feature = "full", feature = "disk"))]
pub mod guide;
mod hub;
#[cfg(any(feature = "tracing", feature = "metrics"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "tracing", feature = "metrics"))))]
#[cfg_attr(not(feature = "http"), allow(dead_code, rustdoc::broken_intra_doc_links, reason = "of endpoints"))]
pub mod instruments;
mod model;
pub mod runs;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod server;
pub mod subscriber;
pub mod time;
#[cfg(feature = "object")]
#[allow(unused_imports, unreachable_pub, reason = "`http` alone turns the folder on, without an adapter")]
pub mod transport;

pub use contract::{
    Hub, Message, PublishError, Receipt, Rejection, Start, Subscribe, SubscribeError, Subscriber, Transport,
};
#[cfg(feature = "http")]
pub use endpoint::{
    ResubscribeError,
    accepted::Accepted,
    body::{Body, BodyError},
    builder::EndpointBuilder,
    publisher::Publisher,
    request::SubscribeRequest,
    service::Endpoint,
    session::{Session, SessionEnd, SessionId},
};
pub use hub::{LocalHub, LocalHubBuilder, Subscription};
pub use model::{
    Cursor, CursorError, EndReason, Event, EventError, EventKind, Gap, GapReason, IntoTopic, Overflow, Pattern,
    PatternError, Retention, StateLimits, Topic, TopicEnd, TopicError,
};
pub use subscriber::snapshot::Snapshot;

/// Counters and states of a hub, of an endpoint and of its sessions.
pub mod stats {
    #[cfg(feature = "http")]
    pub use crate::endpoint::session::{SessionInfo, SessionState};
    #[cfg(feature = "http")]
    pub use crate::endpoint::stats::EndpointStats;
    pub use crate::hub::HubStats;
}

#[cfg(all(doctest, feature = "full", feature = "conformance"))]
#[doc = include_str!("../README.md")]
struct Readme;
