use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
#[cfg(feature = "chunked")]
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::{Response, Version};

use super::answer;
use super::attach::Visitor;
use super::body::Body;
use super::flow::Flow;
use super::live::Live;
use super::refusal::Refusal;
use super::session::{Tracked, Visit};
use super::shared::Mount;
use crate::contract::End;

/// Opens a stream of server-sent events.
#[cfg(feature = "sse")]
pub(super) fn sse(mount: &Arc<Mount>, visitor: Visitor) -> Result<Response<Body>, Refusal> {
    let Visitor { wanted, version, guest, attach } = visitor;
    let (config, visit) = (&mount.config, mount.admit(&wanted, &guest)?);
    let flow = crate::adapters::SseEncoder::new(visit.feed(attach, wanted.start), &mount.runtime.wheel)
        .keep_alive(config.keep_alive)
        .retry(config.jittered_retry())
        .objects(wanted.objects)
        .visible_heartbeat(wanted.visible)
        .batch(config.batch);
    Ok(open(visit, version, Box::new(flow)))
}

/// Opens a stream of NDJSON.
#[cfg(feature = "chunked")]
pub(super) fn chunked(mount: &Arc<Mount>, visitor: Visitor) -> Result<Response<Body>, Refusal> {
    use crate::adapters::{ChunkedStream, Heartbeat};

    let Visitor { wanted, version, guest, attach } = visitor;
    let visit = mount.admit(&wanted, &guest)?;
    let heartbeat = if wanted.visible { Heartbeat::Visible } else { Heartbeat::Silent };
    let flow = ChunkedStream::new(visit.feed(attach, wanted.start), &mount.runtime.wheel)
        .keep_alive(mount.config.keep_alive)
        .heartbeat(heartbeat)
        .batch(mount.config.batch);
    Ok(open(visit, version, Box::new(flow)))
}

fn open(visit: Visit, version: Version, flow: Box<dyn Flow>) -> Response<Body> {
    let transport = visit.member().transport();
    answer::dressed_as(transport, version, Body::live(Live::new(visit, flow)))
}

/// A client whose source is at its end has all there is; one that fell behind, or whose source failed, has not.
fn breaks_off(end: Option<End>) -> bool {
    matches!(end, Some(End::TooSlow | End::Failed))
}

#[cfg(feature = "sse")]
impl Flow for crate::adapters::SseEncoder<Tracked> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Stream::poll_next(Pin::new(self), cx)
    }

    fn breaks_off(&self) -> bool {
        breaks_off(self.end())
    }
}

#[cfg(feature = "chunked")]
impl Flow for crate::adapters::ChunkedStream<Tracked> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Stream::poll_next(Pin::new(self), cx)
    }

    fn breaks_off(&self) -> bool {
        breaks_off(self.end())
    }

    fn say_bye(&mut self, retry: Duration) -> bool {
        self.finish(retry);
        true
    }
}
