use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::ORIGIN;
use http::request::Parts;
use http::{Extensions, Response, Version};
use hyper::upgrade::OnUpgrade;

use super::handshake::Handshake;
use super::reject_upgrade::reject_upgrade;
use super::upgraded::Io;
use crate::contract::{BoxSubscriber, EndState, Message, Rejection};
use crate::endpoint::accepted::Accepted;
use crate::endpoint::body::Body;
use crate::endpoint::catch_panic::{catch_future_panic, catch_panic};
use crate::endpoint::ended_source::Ended;
use crate::endpoint::refused::Refused;
use crate::endpoint::reject::RefusalCause;
use crate::endpoint::reject::refusal::{Refusal, log_of};
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::request::negotiate::SubscribeParams;
use crate::endpoint::session::SessionEnd;
use crate::endpoint::session::{MeteredSubscriber, Order, SessionEntry, SessionGuard};
use crate::endpoint::shared::Shared;
use crate::endpoint::subscribe::PendingSubscribe;
use crate::endpoint::topics_message::{self, TopicsAnswer};
use crate::model::Event;
use crate::transport::websocket::{CloseCause, CloseCode, MessageAnswer, Subprotocol, WebSocketSink, encode_answer};

impl Shared {
    /// Opens a WebSocket. The handshake is checked and the publisher asked before the answer is sent.
    pub(crate) async fn upgrade(
        self: &Arc<Self>,
        mut parts: Parts,
        mut params: SubscribeParams,
        accepted: Option<Box<Accepted<BoxSubscriber>>>,
    ) -> Result<Response<Body>, Refusal> {
        let (handshake, upgrade) = prepare(self, &mut parts)?;
        if parts.extensions.is_empty() {
            // The session keeps the request, and an emptied map keeps its table.
            parts.extensions = Extensions::new();
        }
        // A browser sends Origin with every handshake. Other clients need not.
        let is_page = parts.headers.contains_key(ORIGIN);
        let version = parts.version;
        let request = params.request(parts);
        let mut pending = PendingSubscribe { shared: self.clone(), params, request, accepted };
        let (authorization, accepted) = match pending.authorize().await {
            Err(refusal) if is_page => return reject_upgrade(self, refusal, &pending.request, handshake, upgrade),
            authorized => authorized?,
        };
        let PendingSubscribe { params, request, .. } = pending;
        let repeats = would_repeat(&params, handshake.subprotocol, authorization.end_state);
        let pauses_at_end = authorization.came_late();
        let accepted = match repeats {
            true => Accepted::new(Ended::at(&accepted.subscriber)).boxed(),
            false => accepted,
        };
        let guard = self.admit(&params, authorization)?;
        let subscriber = guard.subscriber(accepted, params.start);
        let request = request.of(Some(guard.entry().session.clone()));
        let subprotocol = handshake.subprotocol;
        let opening = Opening { upgrade, subscriber, request, subprotocol, pauses_at_end, version };
        let task = WebSocketTask { shared: self.clone(), guard, stage: Stage::Opening(Some(opening)), order: None };
        self.runtime.spawn(task).map_err(|missing| Refusal::internal(missing.as_str()))?;
        Ok(handshake.response())
    }
}

/// Checks a handshake, and takes the connection that follows its answer.
pub(super) fn prepare(shared: &Shared, parts: &mut Parts) -> Result<(Handshake, OnUpgrade), Refusal> {
    let handshake = Handshake::check(parts)?;
    if !shared.runtime.can_spawn() {
        return Err(Refusal::internal(crate::endpoint::time::runtime::Missing::Spawner.as_str()));
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
        Refusal::internal(
            "server does not support upgrades: serve the endpoint with upgrades, such as hyper's `with_upgrades`",
        )
    })?;
    Ok((handshake, upgrade))
}

/// Returns whether a client of raw frames would get the same history at each of its connections: all topics have ended, and
/// the request names neither a session, a cursor nor a start.
fn would_repeat(params: &SubscribeParams, subprotocol: Subprotocol, end_state: EndState) -> bool {
    subprotocol == Subprotocol::Raw
        && end_state != EndState::Live
        && params.name.is_none()
        && !params.has_explicit_start()
}

/// Task of one WebSocket. A panic of the subscriber ends the task and its connection.
// In this order because the end of an open stage is seldom touched.
#[repr(C)]
struct WebSocketTask {
    shared: Arc<Shared>,
    /// Order of the session that was passed to the client.
    order: Option<Order>,
    guard: SessionGuard,
    stage: Stage,
}

#[allow(clippy::large_enum_variant, reason = "a session is open for almost all of its time")]
enum Stage {
    /// The HTTP stack has not handed over the connection, which follows the answer. `None` after that.
    Opening(Option<Opening>),
    Open(WebSocketSink<MeteredSubscriber, Io>),
}

struct Opening {
    upgrade: OnUpgrade,
    subscriber: MeteredSubscriber,
    request: SubscribeRequest,
    subprotocol: Subprotocol,
    /// Set if all topics had ended when the client came.
    pauses_at_end: bool,
    version: Version,
}

impl WebSocketTask {
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let order = match self.guard.poll_order(cx) {
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
                    self.stage = Stage::Open(opening.open(self.guard.entry(), Io::new(connection)));
                }
                Stage::Open(sink) => {
                    if let Some(order) = order.filter(|_| self.order != order) {
                        self.order = Some(order);
                        announce_end(sink, order, self.guard.entry(), cx);
                    }
                    if sink.poll_quiet(cx) {
                        return Poll::Pending;
                    }
                    let polled = sink.poll_all(cx);
                    if sink.unsent_removals() != 0 {
                        self.shared.counters.unsent_removals(sink.take_unsent_removals());
                    }
                    let closed = ready!(polled);
                    if closed.cause == CloseCause::Stalled {
                        self.shared.counters.stalled();
                    }
                    if closed.cause == CloseCause::Violation {
                        self.report_violation(closed.code);
                    }
                    self.guard.ends(session_end(closed.cause));
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl WebSocketTask {
    #[cold]
    fn report_violation(&self, code: Option<CloseCode>) {
        let text = "client violated the WebSocket protocol or exceeded a limit";
        let refused = Refused::new(RefusalCause::Request, text).of_session(&self.guard.entry().session);
        self.shared
            .report_refusal(&code.into_iter().fold(refused, |refused, code| refused.close_code_is(code.as_u16())));
    }
}

impl Future for WebSocketTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        catch_panic(|| this.step(cx)).unwrap_or_else(|_| {
            this.guard.ends(SessionEnd::Panicked);
            Poll::Ready(())
        })
    }
}

/// Returns the reason of a session's end for the cause of its WebSocket's end.
fn session_end(cause: CloseCause) -> SessionEnd {
    match cause {
        CloseCause::Client | CloseCause::Lost | CloseCause::Asked | CloseCause::End(_) => SessionEnd::Gone,
        CloseCause::Gap => SessionEnd::TooSlow,
        CloseCause::Rejected | CloseCause::Violation => SessionEnd::Refused,
        CloseCause::NoPong | CloseCause::Stalled => SessionEnd::Stalled,
    }
}

/// Closes a WebSocket by order of its session: after the events that are ready, or at once if the authorization is
/// revoked.
#[cold]
fn announce_end(
    sink: &mut WebSocketSink<MeteredSubscriber, Io>,
    order: Order,
    entry: &SessionEntry,
    cx: &mut Context<'_>,
) {
    if order == Order::Revoke {
        return sink.close_now(CloseCode::POLICY, "revoked");
    }
    // If the poll ends the sink, `bye` has no effect and the next poll returns the end again.
    let _ = Pin::new(&mut *sink).poll(cx);
    let reason = if entry.reason() == Some(SessionEnd::Disconnected) { "disconnected" } else { "restart" };
    sink.bye(entry.shared.config.jittered_retry(), CloseCode::RESTART, reason);
}

impl Opening {
    fn open(self, entry: &Arc<SessionEntry>, io: Io) -> WebSocketSink<MeteredSubscriber, Io> {
        let (entry, shared, request) = (entry.clone(), &entry.shared, self.request);
        let (timer, config) = (shared.runtime.timer.clone(), shared.websocket.clone());
        let subprotocol = self.subprotocol;
        let sink = WebSocketSink::new(io, self.subscriber, timer, config)
            .subprotocol(subprotocol)
            .receive_encoded(move |message| receive(entry.clone(), request.clone(), subprotocol, message));
        let sink = if self.pauses_at_end { sink.pause_at_end() } else { sink };
        // On HTTP/2 hyper accepts a write of any length, so the frames limit it.
        if self.version < Version::HTTP_2 { sink } else { sink.in_frames() }
    }
}

/// Passes a message to the publisher. Waits for a place among the publisher's calls; the connection is not read
/// meanwhile. A panic of the publisher closes this connection with 1011.
///
/// A waiting message is dropped if its session is revoked or cut off. If its connection is closed, it is handled only
/// if it gets a place within [`close_timeout`](crate::EndpointBuilder::close_timeout).
async fn receive(
    entry: Arc<SessionEntry>,
    request: SubscribeRequest,
    subprotocol: Subprotocol,
    message: Message,
) -> Result<Option<MessageAnswer>, Rejection> {
    if subprotocol == Subprotocol::TidingsV1 {
        match topics_message::take(&entry, &request, &message) {
            TopicsAnswer::NoChange => {}
            TopicsAnswer::Later => return Ok(None),
            TopicsAnswer::Refused(frame) => return Ok(Some(MessageAnswer::Frame(frame))),
        }
    }
    let key = entry.session.shared_key();
    let mut enter = pin!(entry.shared.messages.enter(key.as_ref()));
    // The end of a session wakes its task, which polls this.
    let permit = poll_fn(|cx| match entry.is_shut() {
        true => Poll::Ready(None),
        false => enter.as_mut().poll(cx).map(Some),
    });
    let Some(_permit) = permit.await else { return Ok(None) };
    let received = catch_future_panic(async { entry.shared.publisher.receive(&request, message).await }).await;
    let received = received.unwrap_or_else(|_| {
        entry.note(SessionEnd::Panicked);
        Err(Rejection::internal("publisher panicked").closing())
    });
    // The publisher or another thread may have revoked the session meanwhile. Then the answer is not sent.
    let is_shut = entry.is_shut();
    let received = received.map(|answer| answer.filter(|_| !is_shut));
    let encode = |event: Event| {
        let (frame, payload) = encode_answer(&event, subprotocol);
        entry.shared.check_answer(payload).map(|()| MessageAnswer::Frame(frame))
    };
    let answer = received.and_then(|answer| answer.map(encode).transpose());
    let Err(rejection) = answer else { return answer };
    if rejection == Rejection::Unsupported {
        entry.shared.counters.ignored_message();
    } else {
        let (text, log) = (rejection.to_string(), log_of(&rejection));
        let refused = Refused::new(RefusalCause::Publisher, log.as_deref().unwrap_or(&text));
        let refused = refused.of_request(&request).of_session(&entry.session);
        let code = (rejection.is_closing() && !is_shut).then(|| close_code(&rejection).as_u16());
        entry.shared.report_refusal(&code.into_iter().fold(refused, Refused::close_code_is));
    }
    if is_shut { Ok(None) } else { Err(rejection) }
}

/// Returns the code with which [`WebSocketSink`] closes after this rejection.
fn close_code(rejection: &Rejection) -> CloseCode {
    match rejection.kind() {
        Rejection::Busy { .. } => CloseCode::TRY_LATER,
        Rejection::Internal(_) => CloseCode::INTERNAL,
        _ => CloseCode::POLICY,
    }
}
