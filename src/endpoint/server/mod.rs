//! The endpoint's side of a server: a layer for routes of the application, a check of hosts, a timer for hyper.

pub(crate) mod origin_layer;
mod refuse_host;
mod timer;

pub use origin_layer::{OriginFuture, OriginLayer, OriginService};
pub(crate) use refuse_host::refuse_host;
