//! One tower `Service` that answers every transport at one URL.
//!
//! `Shared::dispatch` checks the head of a request: host, origin, method, transport. `Shared::subscribe` then asks the
//! publisher for a subscriber and answers over the transport, or `Shared::receive` passes a message to the publisher. A
//! session that outlives its answer is in the session registry. Its timers, and those of the adapters, are entries of
//! one timer wheel, which one driver advances.
//!
//! Files of this folder may use all of its subfolders. The subfolders use each other in one direction only.
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

mod accepted;
mod admit;
mod body;
mod build;
mod builder;
mod catch_panic;
mod config;
mod connection;
mod drain;
mod erased;
mod future;
mod gate;
mod limits;
mod message_settings;
mod mutex;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
mod poll;
pub(crate) mod publisher;
mod receive;
mod refused;
mod reject;
pub(crate) mod request;
mod response;
mod server;
mod service;
pub(crate) mod session;
mod sessions;
mod shared;
mod sse_settings;
mod stats;
mod stream;
mod subscribe;
mod time;

pub use accepted::{Accepted, IntoAccepted, IntoSubscription};
pub use body::{Body, BodyError};
pub use builder::EndpointBuilder;
pub(crate) use connection::{ConnectionHandle, ConnectionOrder};
pub use future::ResponseFuture;
pub use publisher::Publisher;
pub use refused::Refused;
pub use reject::RefusalCause;
pub(crate) use request::AllowedHost;
pub use request::SubscribeRequest;
pub(crate) use server::refuse_host;
pub use server::{OriginFuture, OriginLayer, OriginService};
pub use service::Endpoint;
pub use session::{Session, SessionEnd, SessionId, SessionInfo, SessionState};
pub use stats::EndpointStats;
