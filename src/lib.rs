//! Server push for Rust web applications: publish once, deliver over whatever each client can speak, lose nothing
//! silently. Raw WebSocket frames, which carry no cursor, are the exception: see [`Transport::WebSocket`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod contract;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub mod endpoint;
mod hub;
mod model;
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
    Accepted, Body, BodyError, Endpoint, EndpointBuilder, Publisher, Session, SessionEnd, SessionId, SubscribeRequest,
};
pub use hub::{LocalHub, LocalHubBuilder, Subscription};
pub use model::{
    Cursor, CursorError, Event, EventError, EventKind, Gap, GapReason, IntoTopic, Overflow, Pattern, PatternError,
    Retention, Topic, TopicError,
};
pub use subscriber::Snapshot;

/// Counters and states of a hub, of an endpoint and of its sessions.
pub mod stats {
    #[cfg(feature = "http")]
    pub use crate::endpoint::{EndpointStats, SessionInfo, SessionState};
    pub use crate::hub::HubStats;
}

#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;
