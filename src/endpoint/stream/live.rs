use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;

use super::flow::Flow;
use crate::endpoint::body::BodyError;
use crate::endpoint::server::connection::Hop;
use crate::endpoint::session::{Stage, Visit, drop_isolated};
use crate::transport::limit;

/// How many pieces that are ready go out before a goodbye: enough for all that was published before the drain, and an
/// end for a topic that is never quiet.
pub(crate) const LAST_PIECES: u8 = 8;

/// The largest frame of a body, in bytes. A client that takes one within each write timeout is not stalled.
pub(crate) const MAX_FRAME: usize = limit::FRAME;

/// Largest first frame on HTTP/2, in bytes. hyper keeps this frame while the stream is stalled.
pub(crate) const FIRST_FRAME: usize = 1024;

/// How long a body waits between its last bytes and its error: an error that comes with them takes them along, on
/// HTTP/1 and on HTTP/2.
pub(crate) const AIR: Duration = Duration::from_millis(100);

/// A session's stream of bytes, as a body has it.
///
/// A panic of the subscriber's goes to the HTTP stack's task, which has nothing but this body; its session goes along.
#[repr(C)]
pub(crate) struct Live {
    visit: Visit,
    /// What it is made of, unless the client owes a poll. Never locked: the mutex lets a body be shared, and no more.
    flow: Mutex<Option<Flow>>,
    /// The length that the next frame may have: on HTTP/2 as many bytes as were taken so far, so that the frame which the
    /// HTTP stack keeps of a stalled stream is no larger than what the client took.
    limit: u32,
    /// After the last piece there was nothing more, though nobody has asked.
    waits: bool,
}

/// What a body's poll comes to.
pub(crate) type Piece = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Live {
    /// A session's, which is watched from now on: it is to be polled soon.
    pub(crate) fn new(visit: Visit, flow: Flow, hop: Hop) -> Self {
        let limit = hop.first_frame() as u32;
        visit.member().set_hop(hop);
        visit.member().leave_unread(flow, 0);
        Self { flow: Mutex::new(None), visit, limit, waits: false }
    }

    /// Has this task woken when its session is no longer merely open.
    pub(crate) fn listen(&mut self, waker: &Waker) {
        self.visit.listen(waker);
    }

    /// The next piece. The task that [listens](Self::listen) is to be the one of `cx`.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Piece {
        let flow = self.flow.get_mut().unwrap_or_else(PoisonError::into_inner);
        if flow.is_none() {
            *flow = self.visit.member().take_unread();
        }
        self.waits = false;
        let polled = match flow {
            Some(flow) if !self.visit.member().has_news() => flow.poll_frame(cx, self.limit as usize),
            _ => return self.poll_late(cx),
        };
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(bytes)) => {
                // In its place: it may panic.
                self.waits = flow.as_mut().is_some_and(|flow| flow.register(cx));
                let flow = flow.take();
                if self.limit < MAX_FRAME as u32 {
                    self.raise_limit(bytes.len());
                }
                match flow.is_some_and(|flow| self.visit.member().leave_unread(flow, bytes.len())) {
                    true => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    false => self.poll_late(cx),
                }
            }
            Poll::Ready(None) => self.end(cx),
        }
    }

    fn raise_limit(&mut self, taken: usize) {
        self.limit = (self.limit as usize + taken).min(MAX_FRAME) as u32;
    }

    /// Whether it need not be polled before its task is woken, though the last poll was not pending.
    #[inline]
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// It is polled while it waits: what it yielded last is taken.
    #[inline]
    pub(crate) fn poll_waiting(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.visit.member().is_read();
        }
    }

    /// The flow is over: so is the body, or it breaks off when the last bytes are on their way.
    #[cold]
    fn end(&mut self, cx: &mut Context<'_>) -> Piece {
        let flow = self.flow().take();
        let error = flow.as_ref().and_then(Flow::error);
        drop_isolated(flow);
        match error {
            Some(error) => self.break_off(error),
            None => self.visit.member().go_on(Stage::Over),
        }
        self.poll_late(cx)
    }

    fn break_off(&self, error: BodyError) {
        let member = self.visit.member();
        member.break_at(member.shared.runtime.wheel.after(AIR), error);
    }

    /// The next piece, where the stage or the lack of a flow says what it is.
    #[cold]
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Piece {
        // Whoever had it woken has taken the waker.
        self.visit.listen(cx.waker());
        match self.visit.member().stage() {
            Stage::Leaving(left) => self.poll_leaving(left, cx),
            Stage::Air(_) => {
                drop_isolated(self.flow().take());
                Poll::Pending
            }
            Stage::Over => Poll::Ready(None),
            Stage::Broken(error) => self.fail(error),
            // The flow panicked, and somebody asks again.
            Stage::Open | Stage::Revoked => self.fail(BodyError::Ended),
        }
    }

    /// What is ready, then the goodbye, then the end.
    fn poll_leaving(&mut self, left: u8, cx: &mut Context<'_>) -> Piece {
        let Some(mut flow) = self.flow().take() else {
            return self.fail(BodyError::Ended);
        };
        // An item that was begun is brought to its end.
        let is_cut = flow.is_cut();
        let limit = self.limit as usize;
        let mut polled = if left > 0 || is_cut { flow.poll_frame(cx, limit) } else { Poll::Pending };
        if polled.is_pending() && flow.say_bye(self.visit.member().shared.config.jittered_retry()) {
            polled = flow.poll_frame(cx, limit);
        }
        if let Poll::Ready(Some(bytes)) = &polled {
            self.raise_limit(bytes.len());
        }
        let member = self.visit.member();
        if let Poll::Ready(Some(bytes)) = polled {
            member.go_on(Stage::Leaving(if is_cut { left } else { left.saturating_sub(1) }));
            if member.leave_unread(flow, bytes.len()) {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            return self.poll_late(cx);
        }
        drop_isolated(flow);
        self.break_off(BodyError::Ended);
        self.poll_late(cx)
    }

    fn fail(&mut self, error: BodyError) -> Piece {
        drop_isolated(self.flow().take());
        self.visit.member().go_on(Stage::Over);
        Poll::Ready(Some(Err(error)))
    }

    fn flow(&mut self) -> &mut Option<Flow> {
        self.flow.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.visit.member().drop_body();
    }
}
