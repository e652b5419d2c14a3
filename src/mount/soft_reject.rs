use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, Version};
use http_body::Frame;

use super::accept::LinesType;
use super::answer;
use super::body::{Body, BodyError};
use super::live::{AIR, Piece};
use super::rejects::Place;
use super::shared::Mount;
use crate::contract::{Sleep, Start, Timer, Transport};

/// The body of a soft reject: one block, and then it breaks off.
pub(super) struct SoftReject {
    block: Option<Bytes>,
    /// The air between the block and the end, once the block is taken.
    air: Option<Pin<Box<dyn Sleep>>>,
    mount: Arc<Mount>,
    /// Given back at the end, though the HTTP stack may keep the body for longer.
    place: Option<Place>,
}

/// Tells an EventSource "later" in the one way that it does not take for final: a 200 whose one block says when to
/// come back, and that breaks off. The block has the cursor that the client came with, so that it keeps it. `None`
/// where as many as may be are being told so already.
pub(super) fn later(mount: &Arc<Mount>, retry: Duration, start: Start, version: Version) -> Option<Response<Body>> {
    let place = Place::take(mount)?;
    let block = crate::adapters::sse_retry_block(retry, start.cursor());
    let body = SoftReject { block: Some(block), air: None, mount: mount.clone(), place: Some(place) };
    Some(answer::dressed_as(Transport::Sse, LinesType::default(), version, Body::soft_reject(body)))
}

impl SoftReject {
    /// The block, then the error.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Piece {
        if let Some(block) = self.block.take() {
            self.mount.counters.sent(block.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(block))));
        }
        if self.place.is_some() {
            let wheel = &self.mount.runtime.wheel;
            let air = self.air.get_or_insert_with(|| wheel.sleep_until(wheel.after(AIR)));
            ready!(air.as_mut().poll(cx));
            self.place = None;
        }
        Poll::Ready(Some(Err(BodyError::Ended)))
    }
}
