//! One tower `Service` that answers every transport at one URL.
//!
//! `Shared::front` checks the head of a request: host, origin, method, transport. `attach` then asks the publisher for a
//! subscriber and answers over the transport, or `receive` passes a message to the publisher. A session that outlives
//! its answer is in the session registry. Its timers, and those of the adapters, are entries of one timer wheel, which one
//! `driver` advances.
#![cfg_attr(
    not(feature = "full"),
    allow(
        dead_code,
        unreachable_code,
        unused_imports,
        unused_variables,
        reason = "each transport uses a part, and not each is built"
    )
)]

mod attach;
mod body;
mod build;
mod builder;
mod catch_panic;
mod config;
mod drain;
mod erased;
mod gate;
mod message_settings;
mod mutex;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
mod poll;
pub(crate) mod publisher;
mod receive;
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
mod time;

pub use body::{Body, BodyError};
pub use builder::EndpointBuilder;
pub use publisher::{Accepted, IntoAccepted, IntoSubscription, Publisher};
pub use reject::{RefusalCause, Refused};
pub use request::SubscribeRequest;
pub(crate) use request::{AllowedHost, refuse_host};
pub use response::ResponseFuture;
pub(crate) use server::{ConnectionHandle, ConnectionOrder};
pub use server::{OriginFuture, OriginLayer, OriginService};
pub use service::Endpoint;
pub use session::{Session, SessionEnd, SessionId, SessionInfo, SessionState};
pub use stats::EndpointStats;
