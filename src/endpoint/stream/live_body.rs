use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Frame;

use crate::endpoint::body::BodyError;
use crate::endpoint::connection::Hop;
use crate::endpoint::session::event_stream::EventStream;
use crate::endpoint::session::{Input, Phase, SessionEnd, SessionGuard, drop_catching};
use crate::transport::limit;
use crate::transport::wake_flag::FlaggedWaker;

/// The largest frame of a body, in bytes. A client that takes one within each write timeout is not stalled.
pub(crate) const MAX_FRAME: usize = limit::FRAME;

/// Largest first frame on HTTP/2, in bytes. hyper keeps this frame while the stream is stalled.
pub(crate) const FIRST_FRAME: usize = 1024;

/// The body of a session: a stream's, or that of a poll's large reply.
///
/// An HTTP connection polls its body at each of its own steps, mostly for nothing. So the stream has the waker of
/// a [`FlaggedWaker`]: while the stream has nothing to yield and the flag is not raised, a poll asks nothing else.
///
/// A panic of the subscriber goes to the HTTP stack's task, which owns nothing but this body. The session ends with it.
// In this order, the fields that a delivery touches are together.
#[repr(C)]
pub(crate) struct LiveBody {
    guard: SessionGuard,
    /// The source of frames, unless the client owes a poll. Never locked: the mutex lets a body be shared, and no more.
    stream: Mutex<Option<EventStream>>,
    /// Length that the next frame may have. On HTTP/2 it is the number of bytes that were taken so far, so that the frame
    /// which the HTTP stack keeps of a stalled stream is no larger than what the client took.
    limit: u32,
    /// The last piece was followed by nothing, and no poll has come since.
    waits: bool,
    /// Nothing was there at the last poll, or nothing more.
    is_asleep: bool,
    /// `None` before the first poll.
    wake: Option<FlaggedWaker>,
}

/// Result of a poll of a body.
pub(crate) type Piece = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl LiveBody {
    /// Returns the body of a session. The client is watched from now on, since the body is to be polled soon.
    pub(crate) fn new(guard: SessionGuard, stream: EventStream, hop: Hop) -> Self {
        let limit = hop.first_frame() as u32;
        guard.entry().set_hop(hop);
        guard.entry().put_stream(stream, 0);
        Self { guard, stream: Mutex::new(None), limit, waits: false, is_asleep: false, wake: None }
    }

    /// Returns the next piece.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Piece {
        match &self.wake {
            Some(wake) if wake.is_for(cx) => {
                if self.is_asleep && !wake.take() {
                    self.note_read();
                    return Poll::Pending;
                }
                self.poll_awake()
            }
            _ => self.poll_by(cx.waker()),
        }
    }

    /// Replaces the flag because another task polls the body.
    #[cold]
    fn poll_by(&mut self, task: &Waker) -> Piece {
        let wake = FlaggedWaker::new(task.clone());
        self.guard.register(wake.waker());
        self.wake = Some(wake);
        self.poll_awake()
    }

    /// Returns the next piece, or the end. Out of line, since most polls do not come so far.
    #[inline(never)]
    fn poll_awake(&mut self) -> Piece {
        let piece = self.poll_open().unwrap_or_else(|| self.poll_ending());
        self.is_asleep = piece.is_pending() || self.waits;
        piece
    }

    /// Polls the stream. `None`: the session is not open, or there is no stream.
    #[inline(always)]
    fn poll_open(&mut self) -> Option<Piece> {
        let Self { guard, stream, limit, waits, wake, .. } = self;
        let Some(wake) = wake else { return Some(Poll::Pending) };
        *waits = false;
        if guard.entry().has_signal() && guard.heed_signal(wake.waker()) {
            return None;
        }
        let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        if stream.is_none() {
            *stream = guard.entry().take_stream();
        }
        let (source, cx) = (stream.as_mut()?, &mut wake.context());
        match source.poll_frame(cx, *limit as usize) {
            Poll::Pending => Some(Poll::Pending),
            Poll::Ready(Some(bytes)) => {
                // In its place: it may panic.
                *waits = source.register(cx);
                if *limit < MAX_FRAME as u32 {
                    raise(limit, bytes.len());
                }
                let is_out = guard.entry().put_stream(stream.take()?, bytes.len());
                is_out.then_some(Poll::Ready(Some(Ok(Frame::data(bytes)))))
            }
            Poll::Ready(None) => {
                self.end();
                None
            }
        }
    }

    /// Notes that the client took the last piece, if the stream waits.
    #[inline]
    fn note_read(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.guard.entry().note_read();
        }
    }

    /// Notes that the stream has ended. If that is an error, the body breaks off when the last bytes have left.
    #[cold]
    fn end(&mut self) {
        let stream = self.take_stream();
        let error = stream.as_ref().and_then(EventStream::error);
        if error.is_some() {
            // Unless the subscriber has noted another reason: a stream without control blocks cannot express a gap.
            self.guard.ends(SessionEnd::TooSlow);
        }
        drop_catching(stream);
        self.guard.entry().give(error.map_or(Input::Finish, Input::BreakOff));
    }

    /// Returns the next piece of a session that is not open, or that has no stream.
    #[cold]
    fn poll_ending(&mut self) -> Piece {
        let Some(waker) = self.wake.as_ref().map(|wake| wake.waker().clone()) else { return Poll::Pending };
        // The wake that came with the change of phase has taken the waker.
        self.guard.register(&waker);
        loop {
            match self.guard.entry().phase() {
                Phase::Leaving(pieces) => {
                    let stream = self.take_stream().or_else(|| self.guard.entry().take_stream());
                    let Some(stream) = stream else { return self.fail(BodyError::Ended) };
                    if let Some(piece) = self.last_piece(stream, pieces, &mut Context::from_waker(&waker)) {
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
                Phase::Flushing(_) => {
                    drop_catching(self.take_stream());
                    return Poll::Pending;
                }
                Phase::Over => return Poll::Ready(None),
                Phase::Broken(error) | Phase::Cut(error) => return self.fail(error),
                // The stream panicked, and the body is polled again.
                Phase::Open | Phase::Revoked => return self.fail(BodyError::Ended),
            }
        }
    }

    /// Returns a piece that is ready, then the stream's last item. `None`: the phase has changed.
    fn last_piece(&mut self, mut stream: EventStream, pieces: u8, cx: &mut Context<'_>) -> Option<Bytes> {
        // An item that was begun is brought to its end.
        let (is_cut, limit) = (stream.is_cut(), self.limit as usize);
        let mut polled = if pieces > 0 || is_cut { stream.poll_last_frame(cx, limit) } else { Poll::Pending };
        if polled.is_pending() && stream.send_bye(self.guard.shared().config.jittered_retry()) {
            polled = stream.poll_last_frame(cx, limit);
        }
        let Poll::Ready(Some(bytes)) = polled else {
            let has_finished = stream.has_finished();
            drop_catching(stream);
            self.guard.entry().give(if has_finished { Input::Finish } else { Input::BreakOff(BodyError::Ended) });
            return None;
        };
        raise(&mut self.limit, bytes.len());
        if !is_cut {
            self.guard.entry().give(Input::Piece);
        }
        self.guard.entry().put_stream(stream, bytes.len()).then_some(bytes)
    }

    fn fail(&mut self, error: BodyError) -> Piece {
        drop_catching(self.take_stream());
        self.guard.entry().give(Input::Finish);
        Poll::Ready(Some(Err(error)))
    }

    fn take_stream(&mut self) -> Option<EventStream> {
        self.stream.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Raises the length that a frame may have by the bytes of a frame that was taken.
fn raise(limit: &mut u32, taken: usize) {
    *limit = (*limit as usize + taken).min(MAX_FRAME) as u32;
}

impl Drop for LiveBody {
    fn drop(&mut self) {
        self.guard.entry().drop_body();
    }
}
