//! The endpoint's side of a server: a layer for routes of the application, a check of hosts, a timer for hyper.

#[cfg(feature = "browser-client")]
mod browser_client;
pub(crate) mod origin_layer;
mod refuse_host;
mod timer;

#[cfg(feature = "browser-client")]
pub use browser_client::{BrowserClient, browser_client};
pub use origin_layer::{OriginFuture, OriginLayer, OriginService};
pub(crate) use refuse_host::refuse_host;
