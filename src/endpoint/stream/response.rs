use super::live_body::LiveBody;
use crate::endpoint::body::Body;
use crate::endpoint::connection::Hop;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::accept::LinesType;
use crate::endpoint::response::answer;
use crate::endpoint::response::answer::Answer;
use crate::endpoint::session::SessionGuard;
use crate::endpoint::session::event_stream::EventStream;
use crate::endpoint::subscribe::PendingSubscribe;

/// Answers with a stream of server-sent events.
#[cfg(feature = "sse")]
pub(crate) async fn sse(mut pending: PendingSubscribe, hop: Hop) -> Result<Answer, Refusal> {
    let (authorization, accepted) = pending.authorize().await?;
    let PendingSubscribe { shared, params, .. } = pending;
    let (config, guard) = (&shared.config, shared.admit(&params, authorization)?);
    let flow = crate::transport::sse::SseEncoder::new(guard.subscriber(accepted, params.start), &shared.runtime.wheel)
        .keep_alive(config.keep_alive)
        .hello(config.sse_hello)
        .retry(config.jittered_retry())
        .objects(params.objects)
        .visible_heartbeat(params.visible)
        .max_batch_bytes(config.max_batch_bytes);
    Ok(open(guard, params.lines, hop, EventStream::Sse(Box::new(flow))))
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

fn open(guard: SessionGuard, lines: LinesType, hop: Hop, flow: EventStream) -> Answer {
    let transport = guard.entry().transport();
    Answer::Now(answer::ok_response(transport, lines, hop.version(), Body::live(LiveBody::new(guard, flow, hop))))
}
