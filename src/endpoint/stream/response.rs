#[cfg(feature = "chunked")]
use bytes::BytesMut;
use http::{Response, Version};

use super::live_body::LiveBody;
use crate::contract::{BoxSubscriber, EndState};
use crate::endpoint::accepted::Accepted;
use crate::endpoint::admit::Authorization;
use crate::endpoint::body::Body;
use crate::endpoint::connection::Hop;
use crate::endpoint::ended_source::Ended;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::accept::LinesType;
use crate::endpoint::request::negotiate::SubscribeParams;
use crate::endpoint::response::answer;
use crate::endpoint::response::answer::Answer;
use crate::endpoint::session::event_stream::EventStream;
use crate::endpoint::session::{MeteredSubscriber, SessionGuard};
use crate::endpoint::shared::Shared;
use crate::endpoint::subscribe::PendingSubscribe;
#[cfg(feature = "sse")]
use crate::transport::sse::SseEncoder;

/// Answers with a stream of server-sent events, or with 204 if all topics have ended and the client has everything.
#[cfg(feature = "sse")]
pub(crate) async fn sse(mut pending: PendingSubscribe, hop: Hop) -> Result<Answer, Refusal> {
    if !pending.params.controls || !pending.shared.config.sse_controls {
        // Boxed because most streams have control blocks.
        return Box::pin(super::without_controls::sse(pending, hop)).await;
    }
    let (authorization, accepted) = pending.authorize().await?;
    if has_everything(&authorization, &accepted) {
        return Ok(Answer::Now(answer::no_content()));
    }
    let PendingSubscribe { shared, params, .. } = pending;
    let guard = shared.admit(&params, authorization)?;
    let flow = encoder(&shared, &params, guard.subscriber(accepted, params.start));
    Ok(open(guard, params.lines, hop, EventStream::Sse(Box::new(flow))))
}

/// Returns whether all topics have ended and nothing is left for the client.
#[cfg(feature = "sse")]
pub(super) fn has_everything(authorization: &Authorization, accepted: &Accepted<BoxSubscriber>) -> bool {
    authorization.end_state == EndState::Finished && accepted.snapshot.is_none()
}

/// Returns the encoder of a stream of server-sent events.
#[cfg(feature = "sse")]
pub(super) fn encoder(
    shared: &Shared,
    params: &SubscribeParams,
    subscriber: MeteredSubscriber,
) -> SseEncoder<MeteredSubscriber> {
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
    let guard = shared.admit(&params, authorization)?;
    let heartbeat = if params.visible { Heartbeat::Visible } else { Heartbeat::Silent };
    let flow = ChunkedStream::new(guard.subscriber(accepted, params.start), &shared.runtime.wheel)
        .keep_alive(shared.config.keep_alive)
        .heartbeat(heartbeat)
        .max_batch_bytes(shared.config.max_batch_bytes);
    Ok(open(guard, params.lines, hop, EventStream::Chunked(Box::new(flow))))
}

/// Returns a stream of NDJSON that tells the end to a client of an ended source.
#[cfg(feature = "chunked")]
pub(crate) fn ended_chunked(shared: &Shared, params: &SubscribeParams, version: Version) -> Response<Body> {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use futures_core::Stream;

    let stream = crate::transport::chunked::ChunkedStream::new(Ended, &shared.runtime.wheel);
    let (mut stream, cx) = (pin!(stream.keep_alive(shared.config.keep_alive)), &mut Context::from_waker(Waker::noop()));
    let mut body = BytesMut::new();
    while let Poll::Ready(Some(line)) = stream.as_mut().poll_next(cx) {
        body.extend_from_slice(&line);
    }
    shared.counters.sent(body.len() as u64);
    answer::ok_response(params.transport, params.lines, version, Body::whole(body.freeze()))
}

pub(super) fn open(guard: SessionGuard, lines: LinesType, hop: Hop, flow: EventStream) -> Answer {
    let transport = guard.entry().transport();
    Answer::Now(answer::ok_response(transport, lines, hop.version(), Body::live(LiveBody::new(guard, flow, hop))))
}
