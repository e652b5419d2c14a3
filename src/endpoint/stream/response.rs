use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::{Response, Version};

use super::live_body::LiveBody;
use crate::contract::Subscriber;
use crate::endpoint::body::Body;
use crate::endpoint::connection::Hop;
use crate::endpoint::ended_source::{Ended, is_no_content};
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::accept::LinesType;
use crate::endpoint::request::negotiate::SubscribeParams;
use crate::endpoint::response::answer;
use crate::endpoint::response::answer::Answer;
use crate::endpoint::session::SessionGuard;
use crate::endpoint::session::event_stream::EventStream;
use crate::endpoint::shared::Shared;
use crate::endpoint::subscribe::PendingSubscribe;
#[cfg(feature = "sse")]
use crate::transport::sse::SseEncoder;

/// Answers with a stream of server-sent events. If all topics have ended and the client has everything, the answer is the end
/// or 204, and no session.
#[cfg(feature = "sse")]
pub(crate) async fn sse(mut pending: PendingSubscribe, hop: Hop) -> Result<Answer, Refusal> {
    if !pending.params.controls || !pending.shared.config.sse_controls {
        // Boxed because most streams have control blocks.
        return Box::pin(super::without_controls::sse(pending, hop)).await;
    }
    let (authorization, accepted) = pending.authorize().await?;
    let PendingSubscribe { shared, params, request, .. } = pending;
    if authorization.has_everything(&accepted) {
        let ended = Ended::at(&accepted.subscriber);
        return Ok(Answer::Now(ended_sse(&shared, &params, request.has_event_id(), hop.version(), ended)));
    }
    let guard = shared.admit(&params, authorization)?;
    let flow = encoder(&shared, &params, guard.subscriber(accepted, params.start));
    Ok(open(guard, params.lines, hop, EventStream::Sse(Box::new(flow))))
}

/// Returns the answer to a client of server-sent events that has everything: 204, or the greeting and the block of the end in
/// one write.
#[cfg(feature = "sse")]
#[cold]
pub(crate) fn ended_sse(
    shared: &Shared,
    params: &SubscribeParams,
    has_event_id: bool,
    version: Version,
    ended: Ended,
) -> Response<Body> {
    if is_no_content(&shared.config, params, has_event_id) {
        return answer::no_content();
    }
    whole(shared, params, version, encoder(shared, params, ended))
}

/// Returns the encoder of a stream of server-sent events.
#[cfg(feature = "sse")]
pub(super) fn encoder<S: Subscriber>(shared: &Shared, params: &SubscribeParams, subscriber: S) -> SseEncoder<S> {
    let config = &shared.config;
    SseEncoder::new(subscriber, &shared.runtime.wheel)
        .keep_alive(config.keep_alive)
        .hello(config.sse_hello)
        .retry(config.jittered_retry())
        .objects(params.objects)
        .visible_heartbeat(params.visible)
        .max_batch_bytes(config.max_batch_bytes)
}

/// Answers with a stream of NDJSON.
#[cfg(feature = "chunked")]
pub(crate) async fn chunked(mut pending: PendingSubscribe, hop: Hop) -> Result<Answer, Refusal> {
    use crate::transport::chunked::{ChunkedStream, Heartbeat};

    let (authorization, accepted) = pending.authorize().await?;
    let PendingSubscribe { shared, params, .. } = pending;
    let came_late = authorization.came_late();
    let guard = shared.admit(&params, authorization)?;
    let heartbeat = if params.visible { Heartbeat::Visible } else { Heartbeat::Silent };
    let flow = ChunkedStream::new(guard.subscriber(accepted, params.start), &shared.runtime.wheel)
        .keep_alive(shared.config.keep_alive)
        .heartbeat(heartbeat)
        .pause_at_end(came_late)
        .max_batch_bytes(shared.config.max_batch_bytes);
    Ok(open(guard, params.lines, hop, EventStream::Chunked(Box::new(flow))))
}

/// Returns a stream of NDJSON with the end, for a client of an ended source.
#[cfg(feature = "chunked")]
pub(crate) fn ended_chunked(shared: &Shared, params: &SubscribeParams, version: Version) -> Response<Body> {
    let stream = crate::transport::chunked::ChunkedStream::new(Ended::of_source(), &shared.runtime.wheel);
    whole(shared, params, version, stream.keep_alive(shared.config.keep_alive))
}

/// Returns the answer with the whole bytes of a stream whose source has ended.
fn whole(
    shared: &Shared,
    params: &SubscribeParams,
    version: Version,
    stream: impl Stream<Item = Bytes>,
) -> Response<Body> {
    let (mut stream, cx) = (pin!(stream), &mut Context::from_waker(Waker::noop()));
    let mut body = BytesMut::new();
    while let Poll::Ready(Some(item)) = stream.as_mut().poll_next(cx) {
        body.extend_from_slice(&item);
    }
    shared.counters.sent(body.len() as u64);
    answer::ok_response(params.transport, params.lines, version, Body::whole(body.freeze()))
}

pub(super) fn open(guard: SessionGuard, lines: LinesType, hop: Hop, flow: EventStream) -> Answer {
    let transport = guard.entry().transport();
    Answer::Now(answer::ok_response(transport, lines, hop.version(), Body::live(LiveBody::new(guard, flow, hop))))
}
