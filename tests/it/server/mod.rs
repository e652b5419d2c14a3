//! `tidings::server::serve`, over loopback. Its answers to attacks are tested in `security::server`.

mod bursts;
mod kept;
mod limits;
mod peers;
mod shutdown;
mod upgrades;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tidings::server::{Serve, serve};
use tidings::{Endpoint, LocalHub, Topic};
use tokio::net::TcpListener;

use crate::endpoint::world::App;

/// A router with the endpoint at `/events`, a greeting at `/`, and `/say`, which publishes what is posted to it and is
/// behind the endpoint's origin layer.
pub(crate) fn router(app: &App, endpoint: &Endpoint) -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }).post(|text: String| async move { text }))
        .route("/say", get(|| async { "say" }).post(say))
        .layer(endpoint.origin_layer())
        .route_service("/events", endpoint.clone())
        .with_state(app.hub.clone())
}

async fn say(State(hub): State<LocalHub>, text: String) -> &'static str {
    hub.publish_now(Topic::new("news").unwrap(), text).unwrap();
    "said"
}

/// Serves a router until the test ends.
pub(crate) async fn start(app: Router, set: impl FnOnce(Serve<Router>) -> Serve<Router>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = set(serve(listener, app));
    let address = server.local_addr().unwrap();
    tokio::spawn(server.into_future());
    address
}
