use std::sync::Arc;

use http::Response;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

use super::handshake::Handshake;
use super::upgrade::prepare;
use super::upgraded::Io;
use crate::endpoint::body::Body;
use crate::endpoint::ended_source::Ended;
use crate::endpoint::reject::brief_connections::BriefPermit;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::shared::Shared;
use crate::time::Clock;
use crate::transport::websocket::WebSocketSink;

/// Opens a WebSocket whose client has everything, and closes it with 1000 and `finished`. Under `tidings.v1` the client gets
/// `hello` and an end before that.
///
/// The connection is no session. The number of such connections is limited.
pub(crate) fn end_upgrade(shared: &Arc<Shared>, parts: &mut Parts) -> Result<Response<Body>, Refusal> {
    let (handshake, upgrade): (Handshake, OnUpgrade) = prepare(shared, parts)?;
    let permit = BriefPermit::acquire(&shared.ended_clients, shared.runtime.wheel.now())
        .ok_or_else(|| shared.busy("too many clients of ended sources: max_soft_rejects is reached"))?;
    let (timer, config, subprotocol) = (shared.runtime.timer.clone(), shared.websocket.clone(), handshake.subprotocol);
    let task = async move {
        let _permit = permit;
        let Ok(connection) = upgrade.await else { return };
        let sink = WebSocketSink::new(Io::new(connection), Ended::of_source(), timer, config);
        sink.subprotocol(subprotocol).pause_at_end().await;
    };
    shared.runtime.spawn(task).map_err(|missing| Refusal::internal(missing.as_str()))?;
    Ok(handshake.response())
}
