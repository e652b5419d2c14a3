//! Types around an [`Endpoint`](crate::Endpoint): the layer for routes of the application, the reports of refusals, the
//! answer to a refused request, the future of a response, and the sealed traits of its arguments.
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
mod catch_panic;
mod check;
mod config;
mod connection;
mod drain;
mod ended_source;
mod erased;
mod future;
mod gate;
mod limits;
mod message_settings;
mod mutex;
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
pub use refused::Refused;
pub use reject::RefusalCause;
pub(crate) use request::AllowedHost;
pub use respond::IntoParts;
pub use resubscribe::ResubscribeError;
pub(crate) use server::refuse_host;
pub use server::{OriginFuture, OriginLayer, OriginService};
