use super::event_stream::EventStream;
use super::live_body::LiveBody;
use crate::endpoint::attach::{Arrival, Visitor};
use crate::endpoint::body::Body;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::accept::LinesType;
use crate::endpoint::response::answer;
use crate::endpoint::response::future::Answer;
use crate::endpoint::server::connection::Hop;
use crate::endpoint::session::SessionGuard;

/// Opens a stream of server-sent events.
#[cfg(feature = "sse")]
pub(crate) async fn sse(mut arrival: Arrival, hop: Hop) -> Result<Answer, Refusal> {
    let Visitor { guest, attach } = arrival.authorize().await?;
    let Arrival { shared, wanted, .. } = arrival;
    let (config, guard) = (&shared.config, shared.admit(&wanted, guest)?);
    let flow = crate::transport::sse::SseEncoder::new(guard.subscriber(attach, wanted.start), &shared.runtime.wheel)
        .keep_alive(config.keep_alive)
        .hello(config.sse_hello)
        .retry(config.jittered_retry())
        .objects(wanted.objects)
        .visible_heartbeat(wanted.visible)
        .max_batch_bytes(config.max_batch_bytes);
    Ok(open(guard, wanted.lines, hop, EventStream::Sse(Box::new(flow))))
}

/// Opens a stream of NDJSON.
#[cfg(feature = "chunked")]
pub(crate) async fn chunked(mut arrival: Arrival, hop: Hop) -> Result<Answer, Refusal> {
    use crate::transport::chunked::{ChunkedStream, Heartbeat};

    let Visitor { guest, attach } = arrival.authorize().await?;
    let Arrival { shared, wanted, .. } = arrival;
    let guard = shared.admit(&wanted, guest)?;
    let heartbeat = if wanted.visible { Heartbeat::Visible } else { Heartbeat::Silent };
    let flow = ChunkedStream::new(guard.subscriber(attach, wanted.start), &shared.runtime.wheel)
        .keep_alive(shared.config.keep_alive)
        .heartbeat(heartbeat)
        .max_batch_bytes(shared.config.max_batch_bytes);
    Ok(open(guard, wanted.lines, hop, EventStream::Chunked(Box::new(flow))))
}

fn open(guard: SessionGuard, lines: LinesType, hop: Hop, flow: EventStream) -> Answer {
    let transport = guard.entry().transport();
    Answer::Now(answer::ok_response(transport, lines, hop.version(), Body::live(LiveBody::new(guard, flow, hop))))
}
