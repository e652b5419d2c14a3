use std::sync::Arc;

use http::{Response, Version};

use super::answer;
use super::attach::Visitor;
use super::body::Body;
use super::flow::Flow;
use super::live::Live;
use super::negotiate::Wanted;
use super::refusal::Refusal;
use super::session::Visit;
use super::shared::Mount;

/// Opens a stream of server-sent events.
#[cfg(feature = "sse")]
pub(super) fn sse(
    mount: &Arc<Mount>,
    wanted: &Wanted,
    version: Version,
    visitor: Visitor,
) -> Result<Response<Body>, Refusal> {
    let (config, visit) = (&mount.config, mount.admit(wanted, visitor.guest)?);
    let flow = crate::adapters::SseEncoder::new(visit.feed(visitor.attach, wanted.start), &mount.runtime.wheel)
        .keep_alive(config.keep_alive)
        .retry(config.jittered_retry())
        .objects(wanted.objects)
        .visible_heartbeat(wanted.visible)
        .batch(config.batch);
    Ok(open(visit, version, Flow::Sse(flow)))
}

/// Opens a stream of NDJSON.
#[cfg(feature = "chunked")]
pub(super) fn chunked(
    mount: &Arc<Mount>,
    wanted: &Wanted,
    version: Version,
    visitor: Visitor,
) -> Result<Response<Body>, Refusal> {
    use crate::adapters::{ChunkedStream, Heartbeat};

    let visit = mount.admit(wanted, visitor.guest)?;
    let heartbeat = if wanted.visible { Heartbeat::Visible } else { Heartbeat::Silent };
    let flow = ChunkedStream::new(visit.feed(visitor.attach, wanted.start), &mount.runtime.wheel)
        .keep_alive(mount.config.keep_alive)
        .heartbeat(heartbeat)
        .batch(mount.config.batch);
    Ok(open(visit, version, Flow::Chunked(flow)))
}

fn open(visit: Visit, version: Version, flow: Flow) -> Response<Body> {
    let transport = visit.member().transport();
    answer::dressed_as(transport, version, Body::live(Live::new(visit, Box::new(flow))))
}
