//! Parsing and checks of a request: host, origin, cursor, transport and topics.

pub(crate) mod accept;
pub(crate) mod content_encoding;
pub(crate) mod cors;
pub(crate) mod entity_tag;
pub(crate) mod extract;
pub(crate) mod forwarded;
pub(crate) mod head;
pub(crate) mod host;
pub(crate) mod negotiate;
pub(crate) mod origin;
pub(crate) mod prefer;
pub(crate) mod query;
pub(crate) mod start;
pub(crate) mod stream_only;
pub(crate) mod subscribe_request;
pub(crate) mod transports;
pub(crate) mod upgrade_request;

pub(crate) use host::AllowedHost;
pub use subscribe_request::SubscribeRequest;
