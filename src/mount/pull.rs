use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::body::BodyError;
use super::flow::Flow;
use super::session::{Errand, Session, Stage, drop_isolated};

/// How many pieces that are ready go out before a goodbye: enough for all that was published before the drain, and an
/// end for a topic that is never quiet.
pub(super) const LAST_PIECES: u8 = 8;

/// How long a body waits between its last bytes and its error: an error that comes with them takes them along, on
/// HTTP/1 and on HTTP/2.
const AIR: Duration = Duration::from_millis(100);

type Piece = Poll<Option<Result<Bytes, BodyError>>>;

impl Session {
    /// The next piece of the live body. A panic of the subscriber's goes to the HTTP stack's task, which has nothing but
    /// this body, and takes the session along.
    #[inline]
    pub(super) fn poll_body(self: &Arc<Self>, cx: &mut Context<'_>) -> Piece {
        let (stage, taken) = self.take(cx);
        let Some(mut flow) = taken else {
            return self.poll_end();
        };
        let polled = match stage {
            Stage::Leaving(left) => self.poll_last(&mut *flow, left, cx),
            _ => flow.poll_next(cx),
        };
        match polled {
            Poll::Pending => {
                self.put_back(flow, 0);
                Poll::Pending
            }
            Poll::Ready(Some(bytes)) => {
                self.put_back(flow, bytes.len());
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(None) => self.end(flow),
        }
    }

    #[inline]
    fn take(&self, cx: &Context<'_>) -> (Stage, Option<Box<dyn Flow>>) {
        let mut cell = self.cell.lock();
        cell.watch.polled();
        let other = cell.listen(cx);
        let (stage, flow) = (cell.stage, cell.flow.take());
        drop(cell);
        drop(other);
        (stage, flow)
    }

    /// Puts the flow where the driver can reach it, after it yielded so many bytes.
    #[inline]
    fn put_back(self: &Arc<Self>, flow: Box<dyn Flow>, bytes: usize) {
        let mut cell = self.cell.lock();
        if let Stage::Broken(_) | Stage::Over = cell.stage {
            // It was cut meanwhile.
            drop(cell);
            return drop_isolated(flow);
        }
        cell.flow = Some(flow);
        if bytes > 0 {
            cell.watch.yielded(bytes);
            if let Stage::Leaving(left) = &mut cell.stage {
                *left = left.saturating_sub(1);
            }
            if cell.errand == Errand::None {
                let driver = self.watch(&mut cell);
                drop(cell);
                driver.into_iter().for_each(Waker::wake);
            }
        }
    }

    /// What is ready, then the goodbye, then the end.
    #[cold]
    fn poll_last(&self, flow: &mut dyn Flow, left: u8, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if left > 0 {
            if let ready @ Poll::Ready(_) = flow.poll_next(cx) {
                return ready;
            }
        }
        match flow.say_bye(self.mount.config.jittered_retry()) {
            true => flow.poll_next(cx),
            false => Poll::Ready(None),
        }
    }

    /// The flow is over: so is the body, or it breaks off when the last bytes are on their way.
    #[cold]
    fn end(self: &Arc<Self>, flow: Box<dyn Flow>) -> Piece {
        let breaks_off = flow.breaks_off();
        let mut cell = self.cell.lock();
        let comes_back = breaks_off || matches!(cell.stage, Stage::Leaving(_));
        let driver = match cell.stage {
            Stage::Broken(_) => None,
            _ if comes_back => {
                cell.stage = Stage::Air(BodyError::Ended);
                self.set(&mut cell, Errand::Break, self.mount.runtime.wheel.after(AIR))
            }
            _ => {
                cell.stage = Stage::Over;
                None
            }
        };
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
        drop_isolated(flow);
        self.poll_end()
    }

    /// What a body without a flow says.
    #[cold]
    fn poll_end(&self) -> Piece {
        let mut cell = self.cell.lock();
        match cell.stage {
            Stage::Air(_) => Poll::Pending,
            Stage::Broken(error) => {
                cell.stage = Stage::Over;
                Poll::Ready(Some(Err(error)))
            }
            Stage::Over => Poll::Ready(None),
            // The flow panicked, and somebody asks again.
            Stage::Open | Stage::Leaving(_) => {
                cell.stage = Stage::Over;
                Poll::Ready(Some(Err(BodyError::Ended)))
            }
        }
    }
}
