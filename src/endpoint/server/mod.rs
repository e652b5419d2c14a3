//! The seam to the server: connections, the layer for routes of the application, a timer for hyper.

pub(crate) mod connection;
pub(crate) mod origin_layer;
pub(crate) mod timer;

pub(crate) use connection::{ConnectionHandle, ConnectionOrder};
pub use origin_layer::{OriginFuture, OriginLayer, OriginService};
