use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use hyper::upgrade::OnUpgrade;

use super::refusal::Refusal;
use super::refused::Refused;
use super::rejects::Place;
use crate::contract::{Delivery, Rejection, Subscriber};
use crate::endpoint::body::Body;
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::shared::Shared;
use crate::endpoint::stream::handshake::Handshake;
use crate::endpoint::stream::upgraded::Io;
use crate::transport::websocket::{CloseCode, WebSocketSink};

/// Opens a refused page's WebSocket to close it: a script sees nothing of a status, so it would come again and again for
/// what it never gets. Only "never" is told so; after "later", and where there is no place, the status does.
pub(crate) fn reject_upgrade(
    shared: &Arc<Shared>,
    refusal: Refusal,
    request: &SubscribeRequest,
    handshake: Handshake,
    upgrade: OnUpgrade,
) -> Result<Response<Body>, Refusal> {
    let never = refusal.rejection.clone().filter(is_never);
    let Some((rejection, place)) = never.and_then(|never| Some((never, Place::take(shared)?))) else {
        return Err(refusal);
    };
    let (timer, config) = (shared.runtime.timer.clone(), shared.websocket.clone());
    let subprotocol = handshake.subprotocol;
    let task = async move {
        let _place = place;
        let Ok(connection) = upgrade.await else { return };
        let mut sink = WebSocketSink::new(Io::new(connection), Nothing, timer, config).subprotocol(subprotocol);
        sink.refuse(&rejection);
        sink.await;
    };
    if shared.runtime.spawn(task).is_err() {
        return Err(refusal);
    }
    let refused = Refused::new(refusal.cause, refusal.text()).of_request(request);
    shared.tell(&refused.close_code_is(CloseCode::POLICY.as_u16()));
    Ok(handshake.response())
}

fn is_never(rejection: &Rejection) -> bool {
    !matches!(rejection.kind(), Rejection::Busy { .. } | Rejection::Internal(_))
}

/// Subscriber of a refused client, which yields nothing.
struct Nothing;

impl Subscriber for Nothing {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        Poll::Pending
    }
}
