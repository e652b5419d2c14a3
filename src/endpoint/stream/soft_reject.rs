use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, Version};
use http_body::Frame;

use super::live_body::Piece;
use crate::contract::{Start, Transport};
use crate::endpoint::body::{Body, BodyError};
use crate::endpoint::reject::brief_connections::BriefPermit;
use crate::endpoint::request::accept::LinesType;
use crate::endpoint::response::answer;
use crate::endpoint::session::FLUSH;
use crate::endpoint::shared::Shared;
use crate::time::Clock;
use crate::time::{Sleep, Timer};

/// Body of a soft reject over server-sent events: one block, a pause, and an error that breaks the stream off.
pub(crate) struct SoftReject {
    block: Option<Bytes>,
    /// Pause between the block and the error. `None` until the block is taken.
    pause: Option<Pin<Box<dyn Sleep>>>,
    shared: Arc<Shared>,
    /// Given back at the end of the pause, because the HTTP stack may keep the body for longer.
    permit: Option<BriefPermit>,
}

/// Returns the response that makes an `EventSource` reconnect after `retry`: a 200 with one block, which then breaks
/// off. An `EventSource` takes a status such as 503 as final. The block repeats the cursor that the client sent, so the
/// client keeps it. Returns `None` if [`max_soft_rejects`](crate::EndpointBuilder::max_soft_rejects) is reached.
pub(crate) fn retry_later(
    shared: &Arc<Shared>,
    retry: Duration,
    start: Start,
    version: Version,
) -> Option<Response<Body>> {
    let permit = BriefPermit::acquire(&shared.soft_rejects, shared.runtime.wheel.now())?;
    let block = crate::transport::sse::sse_retry_block(retry, start.cursor());
    let body = SoftReject { block: Some(block), pause: None, shared: shared.clone(), permit: Some(permit) };
    Some(answer::ok_response(Transport::Sse, LinesType::default(), version, Body::soft_reject(body)))
}

impl SoftReject {
    /// Returns the block, and after the pause the error.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Piece {
        if let Some(block) = self.block.take() {
            self.shared.counters.sent(block.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(block))));
        }
        if self.permit.is_some() {
            let wheel = &self.shared.runtime.wheel;
            let pause = self.pause.get_or_insert_with(|| wheel.sleep_until(wheel.after(FLUSH)));
            ready!(pause.as_mut().poll(cx));
            self.permit = None;
        }
        Poll::Ready(Some(Err(BodyError::Ended)))
    }
}
