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
use super::mend::Feed;
use super::refusal::Refusal;
use super::shared::Mount;
use crate::contract::{End, Transport};

/// Opens a stream of server-sent events.
#[cfg(feature = "sse")]
pub(super) fn sse(mount: &Arc<Mount>, visitor: Visitor) -> Result<Response<Body>, Refusal> {
    let config = &mount.config;
    let flow = crate::adapters::SseEncoder::new(visitor.subscriber, &mount.runtime.wheel)
        .keep_alive(config.keep_alive)
        .retry(config.jittered_retry())
        .objects(visitor.wanted.objects)
        .visible_heartbeat(visitor.wanted.visible)
        .batch(config.batch);
    open(mount, Transport::Sse, visitor.version, Box::new(flow))
}

/// Opens a stream of NDJSON.
#[cfg(feature = "chunked")]
pub(super) fn chunked(mount: &Arc<Mount>, visitor: Visitor) -> Result<Response<Body>, Refusal> {
    use crate::adapters::{ChunkedStream, Heartbeat};

    let heartbeat = if visitor.wanted.visible { Heartbeat::Visible } else { Heartbeat::Silent };
    let flow = ChunkedStream::new(visitor.subscriber, &mount.runtime.wheel)
        .keep_alive(mount.config.keep_alive)
        .heartbeat(heartbeat)
        .batch(mount.config.batch);
    open(mount, Transport::Chunked, visitor.version, Box::new(flow))
}

fn open(
    mount: &Arc<Mount>,
    transport: Transport,
    version: Version,
    flow: Box<dyn Flow>,
) -> Result<Response<Body>, Refusal> {
    let live = Live::new(mount, transport, flow).register().map_err(|_| mount.later())?;
    Ok(answer::dressed_as(transport, version, Body::live(live)))
}

/// A client whose source is at its end has all there is; one that fell behind, or whose source failed, has not.
fn breaks_off(end: Option<End>) -> bool {
    matches!(end, Some(End::TooSlow | End::Failed))
}

#[cfg(feature = "sse")]
impl Flow for crate::adapters::SseEncoder<Feed> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Stream::poll_next(Pin::new(self), cx)
    }

    fn breaks_off(&self) -> bool {
        breaks_off(self.end())
    }
}

#[cfg(feature = "chunked")]
impl Flow for crate::adapters::ChunkedStream<Feed> {
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
