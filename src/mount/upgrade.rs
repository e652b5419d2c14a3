use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use http::header::ORIGIN;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

use super::body::Body;
use super::handshake::Handshake;
use super::isolate::{isolate, isolated};
use super::negotiate::Wanted;
use super::refusal::Refusal;
use super::shared::Mount;
use super::stats::Cause;
use super::turn_away::turn_away;
use super::upgraded::Io;
use super::visit::{Order, Visit};
use crate::adapters::{CloseCause, CloseCode, Subprotocol, WebSocketSink};
use crate::contract::{BoxSubscriber, Message, Rejection, SubscribeRequest, Transport};

impl Mount {
    /// Opens a WebSocket: the handshake is checked and the publisher asked before the client is told anything.
    pub(super) async fn upgrade(
        self: &Arc<Self>,
        mut parts: Parts,
        mut wanted: Wanted,
        given: Option<BoxSubscriber>,
    ) -> Result<Response<Body>, Refusal> {
        let handshake = Handshake::check(&parts).inspect_err(|_| self.counters.refused(Cause::Request))?;
        if !self.runtime.can_spawn() {
            return Err(Refusal::internal(super::runtime::Missing::Spawner.as_str()));
        }
        let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() else {
            return Err(Refusal::internal("the server does not hand over its connections"));
        };
        // Browsers send it with every handshake, and nobody else needs to.
        let is_page = parts.headers.contains_key(ORIGIN);
        let request = wanted.request(parts);
        let subscriber = match self.subscriber(&request, given).await {
            Err(refusal) if is_page => return turn_away(self, refusal, handshake, upgrade),
            subscriber => subscriber?,
        };
        let visit = Visit::new(self, Transport::WebSocket).register().map_err(|_| self.later())?;
        let opening = Opening { upgrade, subscriber, request, subprotocol: handshake.subprotocol };
        let carrier = Carrier { mount: self.clone(), visit, stage: Stage::Opening(Some(opening)) };
        self.runtime.spawn(carrier).map_err(|missing| Refusal::internal(missing.as_str()))?;
        Ok(handshake.response())
    }
}

/// The task of one WebSocket. A panic in the subscriber ends it, and the connection with it.
struct Carrier {
    mount: Arc<Mount>,
    stage: Stage,
    visit: Visit,
}

#[allow(clippy::large_enum_variant, reason = "a session is open for all but its first moment")]
enum Stage {
    /// The answer is on its way, after which the HTTP stack hands over the connection. Taken when it has.
    Opening(Option<Opening>),
    Open(WebSocketSink<BoxSubscriber, Io>),
}

struct Opening {
    upgrade: OnUpgrade,
    subscriber: BoxSubscriber,
    request: SubscribeRequest,
    subprotocol: Subprotocol,
}

impl Carrier {
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let order = match self.visit.poll_order(cx) {
            Poll::Ready(Order::Cut) => return Poll::Ready(()),
            Poll::Ready(order) => Some(order),
            Poll::Pending => None,
        };
        loop {
            match &mut self.stage {
                Stage::Opening(opening) => {
                    let Some(waiting) = opening else { return Poll::Ready(()) };
                    let connection = ready!(Pin::new(&mut waiting.upgrade).poll(cx));
                    let (Ok(connection), Some(opening)) = (connection, opening.take()) else {
                        return Poll::Ready(());
                    };
                    self.stage = Stage::Open(opening.open(&self.mount, Io::new(connection)));
                }
                Stage::Open(sink) => {
                    if order == Some(Order::Leave) {
                        // Said once, however often it is called.
                        sink.bye(self.mount.config.jittered_retry(), CloseCode::RESTART, "restart");
                    }
                    let closed = ready!(Pin::new(sink).poll(cx));
                    if closed.cause == CloseCause::Stalled {
                        self.mount.counters.stalled();
                    }
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl Future for Carrier {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        isolate(|| this.step(cx)).unwrap_or(Poll::Ready(()))
    }
}

impl Opening {
    fn open(self, mount: &Arc<Mount>, io: Io) -> WebSocketSink<BoxSubscriber, Io> {
        let (mount, request) = (mount.clone(), self.request);
        let (timer, config) = (mount.runtime.timer.clone(), mount.websocket.clone());
        WebSocketSink::new(io, self.subscriber, timer, config)
            .subprotocol(self.subprotocol)
            .receive(move |message| receive(mount.clone(), request.clone(), message))
    }
}

/// Gives the publisher a message. Its panic closes this one connection, with 1011.
async fn receive(mount: Arc<Mount>, request: SubscribeRequest, message: Message) -> Result<(), Rejection> {
    match isolated(async { mount.publisher.receive(&request, message).await }).await {
        Ok(received) => received,
        Err(_) => Err(Rejection::internal("the publisher panicked")),
    }
}
