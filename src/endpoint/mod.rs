//! Types around an [`Endpoint`](crate::Endpoint): the layer for routes of the application, the reports of refusals, the
//! answer to a refused request, the future of a response, and the sealed traits of its arguments.
//!
//! # One user, one session
//!
//! Events go to topics, so an event for one user goes to a topic that only this user may subscribe to, and an event for
//! one client to a topic of that client. A topic costs nothing before its first event or subscription, and an endpoint
//! subscribes a client to any number of them under one cursor:
//!
//! - `users/{user}/inbox` reaches every session of the user, and keeps the events for the sessions that come later.
//! - `users/{user}/clients/{name}` reaches the client that has chosen this name, by `?session=` or a parameter of its
//!   own. The name stands below the user, so a client that guesses the name of another user's client gets nothing.
//! - A [`Session`](crate::Session) has an [id](crate::Session::id) only after it was accepted. For a topic of one
//!   connection, make an id in the closure, subscribe to its topic, and give it to the session as
//!   [data](crate::Accepted::with_data). A client that reconnects gets another topic, so events for the earlier one are
//!   lost.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tidings::{Accepted, Endpoint, LocalHub, Rejection, Topic};
//!
//! struct User(String);
//!
//! let hub = LocalHub::new();
//! let events = Endpoint::from_fn(&hub, async |request| {
//!     let user = request.header("x-user").ok_or(Rejection::Unauthorized)?; // set by your authentication
//!     let mut topics = vec![Topic::new("news")?, Topic::from_segments(["users", user, "inbox"])?];
//!     if let Some(name) = request.query("session") {
//!         topics.push(Topic::from_segments(["users", user, "clients", &name])?);
//!     }
//!     Ok(Accepted::new(request.subscribe_to(topics)).with_data(User(user.to_owned())))
//! });
//!
//! let get = |uri: &str| http::Request::get(uri).header("host", "localhost").header("x-user", "7");
//! let phone = events.handle(get("/?transport=sse&session=phone").body(String::new())?).await;
//! let tab = events.handle(get("/?transport=chunked").body(String::new())?).await;
//!
//! // Every session of the user, and one client.
//! assert_eq!(hub.publish_now("users/7/inbox", "for user 7")?.subscribers(), 2);
//! assert_eq!(hub.publish_now("users/7/clients/phone", "for the phone")?.subscribers(), 1);
//!
//! // The sessions of the user, from outside.
//! let inbox = Topic::new("users/7/inbox")?;
//! assert_eq!(events.sessions_on(&inbox).len(), 2);
//! assert_eq!(events.revoke_where(|session| session.data::<User>().is_some_and(|user| user.0 == "7")), 2);
//! # drop((phone, tab));
//! # Ok(())
//! # }
//! ```
//!
//! [`Publisher::receive`](crate::Publisher::receive) answers the sender of a message without a topic.
//! [`Endpoint::resubscribe`](crate::Endpoint::resubscribe) gives a live session other topics.
//!
//! # Presence
//!
//! [`EndpointBuilder::presence`](crate::EndpointBuilder::presence) publishes which users have a session, as the state
//! of a topic: a client that subscribes to the topic gets all of them, and then each change. The example
//! `axum_presence` in the repository has a page that lists them.
//! [`Endpoint::sessions_on`](crate::Endpoint::sessions_on) returns the sessions that follow a topic, for the server
//! itself.
#![cfg_attr(
    not(feature = "full"),
    allow(
        dead_code,
        unreachable_code,
        unused_imports,
        unused_variables,
        reason = "each transport uses some of the items, and not every transport is built"
    )
)]

// An endpoint is one tower `Service` that answers every transport at one URL.
//
// `Shared::dispatch` checks the head of a request: host, origin, method, transport. `Shared::subscribe` then asks the
// publisher for a subscriber and answers over the transport, or `Shared::receive` passes a message to the publisher. A
// session that outlives its answer is in the session registry. Its timers, and those of the adapters, are entries of
// one timer wheel, which one driver advances.
//
// Files of this folder may use all of its subfolders. The subfolders use each other in one direction only.

pub(crate) mod accepted;
mod admit;
pub(crate) mod body;
mod build;
pub(crate) mod builder;
mod call;
mod catch_panic;
mod check;
mod config;
mod connection;
mod drain;
mod ended_source;
mod erased;
mod future;
mod gate;
mod instruments;
mod limits;
mod message_settings;
mod mutex;
#[cfg(feature = "server")]
mod peer;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
mod poll;
mod presence;
pub(crate) mod publisher;
mod receive;
mod refused;
mod reject;
pub(crate) mod request;
mod respond;
mod response;
mod resubscribe;
mod server;
pub(crate) mod service;
pub(crate) mod session;
mod sessions;
mod shared;
mod sse_settings;
pub(crate) mod stats;
mod stream;
mod subscribe;
mod time;
#[cfg(feature = "websocket")]
mod topics_message;

pub use accepted::{IntoAccepted, IntoSubscription};
pub use check::RefusalResponse;
pub(crate) use connection::{ConnectionHandle, ConnectionOrder};
pub use future::ResponseFuture;
#[cfg(feature = "server")]
pub use peer::PeerAddr;
pub use refused::Refused;
pub use reject::RefusalCause;
pub(crate) use request::AllowedHost;
pub use respond::IntoParts;
pub use resubscribe::ResubscribeError;
pub(crate) use server::refuse_host;
#[cfg(feature = "browser-client")]
pub use server::{BrowserClient, browser_client};
pub use server::{OriginFuture, OriginLayer, OriginService};
