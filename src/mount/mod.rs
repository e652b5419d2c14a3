//! The mount: one tower `Service` that answers every transport at one URL.
//!
//! A request passes `front` (host, origin, method, negotiation: all that its head tells), then `attach` (place, publisher,
//! transport) or `receive`. What lives on after the answer is a `session` in the `registry`; its time, and every
//! adapter's, is an entry in one `wheel`, which one `driver` turns.
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

mod accept;
mod admit;
mod answer;
mod asked;
mod attach;
mod bell;
mod body;
mod build;
mod builder;
mod challenge;
mod config;
mod connection;
mod content_encoding;
mod cors;
mod drain;
mod driver;
mod endpoint;
mod entity_tag;
mod erased;
mod extract;
mod flow;
mod gate;
#[cfg(feature = "websocket")]
mod handshake;
mod head;
mod headers;
mod host;
mod idle;
mod isolate;
mod live;
mod locked;
mod member_table;
mod mend;
mod message_settings;
mod negotiate;
mod notify;
mod origin;
mod origin_layer;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
mod poll;
mod prefer;
mod receive;
mod refusal;
mod refused;
mod registry;
mod rejects;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
mod replies;
mod response;
mod roll;
mod runtime;
mod session;
mod sessions;
mod shared;
mod sleep;
#[cfg(feature = "sse")]
mod soft_reject;
mod sse_settings;
mod stats;
#[cfg(any(feature = "chunked", feature = "sse"))]
mod stream;
mod timer;
mod transports;
#[cfg(feature = "websocket")]
mod turn_away;
#[cfg(feature = "websocket")]
mod upgrade;
#[cfg(feature = "websocket")]
mod upgraded;
mod wheel;
mod within;

pub use body::{Body, BodyError};
pub use builder::EndpointBuilder;
pub(crate) use connection::{ConnectionHandle, ConnectionOrder};
pub use endpoint::Endpoint;
pub(crate) use host::{AllowedHost, refuse_host};
pub use origin_layer::{OriginFuture, OriginLayer, OriginService};
pub use refused::{RefusalCause, Refused};
pub use response::ResponseFuture;
pub use session::{SessionInfo, SessionState};
pub use stats::EndpointStats;
pub use timer::EndpointTimer;
