use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, Version};
use http_body::Frame;

use super::rejects::Place;
use crate::contract::{Start, Transport};
use crate::endpoint::body::{Body, BodyError};
use crate::endpoint::request::accept::LinesType;
use crate::endpoint::response::answer;
use crate::endpoint::session::FLUSH;
use crate::endpoint::shared::Shared;
use crate::endpoint::stream::live_body::Piece;
use crate::time::{Sleep, Timer};

/// The body of a soft reject: one block, and then it breaks off.
pub(crate) struct SoftReject {
    block: Option<Bytes>,
    /// The air between the block and the end, once the block is taken.
    air: Option<Pin<Box<dyn Sleep>>>,
    shared: Arc<Shared>,
    /// Given back at the end, though the HTTP stack may keep the body for longer.
    place: Option<Place>,
}

/// Tells an EventSource "later" in the one way that it does not take for final: a 200 whose one block says when to
/// come back, and that breaks off. The block has the cursor that the client came with, so that it keeps it. `None`
/// where as many as may be are being told so already.
pub(crate) fn later(shared: &Arc<Shared>, retry: Duration, start: Start, version: Version) -> Option<Response<Body>> {
    let place = Place::take(shared)?;
    let block = crate::transport::sse::sse_retry_block(retry, start.cursor());
    let body = SoftReject { block: Some(block), air: None, shared: shared.clone(), place: Some(place) };
    Some(answer::ok_response(Transport::Sse, LinesType::default(), version, Body::soft_reject(body)))
}

impl SoftReject {
    /// The block, then the error.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Piece {
        if let Some(block) = self.block.take() {
            self.shared.counters.sent(block.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(block))));
        }
        if self.place.is_some() {
            let wheel = &self.shared.runtime.wheel;
            let air = self.air.get_or_insert_with(|| wheel.sleep_until(wheel.after(FLUSH)));
            ready!(air.as_mut().poll(cx));
            self.place = None;
        }
        Poll::Ready(Some(Err(BodyError::Ended)))
    }
}
