use super::accept::LinesType;
use super::answer;
use super::attach::{Arrival, Visitor};
use super::body::Body;
use super::connection::Hop;
use super::flow::Flow;
use super::live::Live;
use super::refusal::Refusal;
use super::response::Answer;
use super::session::Visit;

/// Opens a stream of server-sent events.
#[cfg(feature = "sse")]
pub(super) async fn sse(mut arrival: Arrival, hop: Hop) -> Result<Answer, Refusal> {
    let Visitor { guest, attach } = arrival.let_in().await?;
    let Arrival { mount, wanted, .. } = arrival;
    let (config, visit) = (&mount.config, mount.admit(&wanted, guest)?);
    let flow = crate::adapters::SseEncoder::new(visit.feed(attach, wanted.start), &mount.runtime.wheel)
        .keep_alive(config.keep_alive)
        .hello(config.sse_hello)
        .retry(config.jittered_retry())
        .objects(wanted.objects)
        .visible_heartbeat(wanted.visible)
        .batch(config.batch);
    Ok(open(visit, wanted.lines, hop, Flow::Sse(Box::new(flow))))
}

/// Opens a stream of NDJSON.
#[cfg(feature = "chunked")]
pub(super) async fn chunked(mut arrival: Arrival, hop: Hop) -> Result<Answer, Refusal> {
    use crate::adapters::{ChunkedStream, Heartbeat};

    let Visitor { guest, attach } = arrival.let_in().await?;
    let Arrival { mount, wanted, .. } = arrival;
    let visit = mount.admit(&wanted, guest)?;
    let heartbeat = if wanted.visible { Heartbeat::Visible } else { Heartbeat::Silent };
    let flow = ChunkedStream::new(visit.feed(attach, wanted.start), &mount.runtime.wheel)
        .keep_alive(mount.config.keep_alive)
        .heartbeat(heartbeat)
        .batch(mount.config.batch);
    Ok(open(visit, wanted.lines, hop, Flow::Chunked(Box::new(flow))))
}

fn open(visit: Visit, lines: LinesType, hop: Hop, flow: Flow) -> Answer {
    let transport = visit.member().transport();
    Answer::Now(answer::dressed_as(transport, lines, hop.version(), Body::live(Live::new(visit, flow, hop))))
}
