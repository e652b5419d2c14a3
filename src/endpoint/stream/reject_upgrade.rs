use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use hyper::upgrade::OnUpgrade;

use super::handshake::Handshake;
use super::upgraded::Io;
use crate::contract::{Delivery, Rejection, Subscriber};
use crate::endpoint::body::Body;
use crate::endpoint::refused::Refused;
use crate::endpoint::reject::brief_connections::BriefPermit;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::shared::Shared;
use crate::time::Clock;
use crate::transport::websocket::{CloseCode, WebSocketSink};

/// Rejects a page's handshake for good: opens the WebSocket and closes it with 1008 and the reason.
///
/// A script cannot see the status of a failed handshake, so it would reconnect again and again. A refusal that is not
/// final is returned as it is, and so is every refusal while `max_soft_rejects` is reached; the client then gets its
/// status.
pub(crate) fn reject_upgrade(
    shared: &Arc<Shared>,
    refusal: Refusal,
    request: &SubscribeRequest,
    handshake: Handshake,
    upgrade: OnUpgrade,
) -> Result<Response<Body>, Refusal> {
    let rejection = refusal.rejection.clone().filter(is_final);
    let permit = || BriefPermit::acquire(&shared.soft_rejects, shared.runtime.wheel.now());
    let Some((rejection, permit)) = rejection.and_then(|final_one| Some((final_one, permit()?))) else {
        return Err(refusal);
    };
    let (timer, config) = (shared.runtime.timer.clone(), shared.websocket.clone());
    let subprotocol = handshake.subprotocol;
    let task = async move {
        let _permit = permit;
        let Ok(connection) = upgrade.await else { return };
        let mut sink = WebSocketSink::new(Io::new(connection), NoEvents, timer, config).subprotocol(subprotocol);
        sink.refuse(&rejection);
        sink.await;
    };
    if shared.runtime.spawn(task).is_err() {
        return Err(refusal);
    }
    let refused = Refused::new(refusal.cause, refusal.log_text()).of_request(request);
    shared.report_refusal(&refused.close_code_is(CloseCode::POLICY.as_u16()));
    Ok(handshake.response())
}

fn is_final(rejection: &Rejection) -> bool {
    !matches!(rejection.kind(), Rejection::Busy { .. } | Rejection::Internal(_))
}

/// Subscriber of a refused client, which yields nothing.
struct NoEvents;

impl Subscriber for NoEvents {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        Poll::Pending
    }
}
