use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::vec;

use bytes::Bytes;
use futures_core::Stream;

use crate::contract::SubscriptionEnd;
use crate::endpoint::body::BodyError;
use crate::endpoint::session::SessionEnd;
use crate::endpoint::session::{MeteredSubscriber, Order, SessionGuard};
use crate::time::Clock;
#[cfg(feature = "chunked")]
use crate::transport::chunked::ChunkedStream;
#[cfg(feature = "sse")]
use crate::transport::sse::SseEncoder;

/// Source of a body's frames: an adapter's stream, or a poll's reply.
///
/// It is an enum, so that the compiler inlines the path from here to the subscription. The variant lies beside the pointer, in
/// the same cache line.
pub(crate) enum EventStream {
    #[cfg(feature = "chunked")]
    Chunked(Box<ChunkedStream<MeteredSubscriber>>),
    #[cfg(feature = "sse")]
    Sse(Box<SseEncoder<MeteredSubscriber>>),
    Reply(Box<ReplyStream>),
    /// A stream whose last item did not fit into one frame.
    Cut(Box<Cut>),
}

/// Reply of a poll, in parts.
#[derive(Default)]
pub(crate) struct ReplyStream {
    /// No part is empty.
    parts: vec::IntoIter<Bytes>,
    /// The poll, which is under way until its reply is taken.
    guard: Option<SessionGuard>,
    /// Deadline of a poll whose session ends.
    ends_by: Option<Instant>,
    /// Error with which the reply breaks off, if it does.
    broken: Option<BodyError>,
}

/// Rest of an item, and the stream that follows it. `stream` is only taken together with the rest.
pub(crate) struct Cut {
    rest: Bytes,
    stream: Option<EventStream>,
}

/// Largest frame that is copied when it is cut off a longer item, in bytes. Without the copy the HTTP stack would keep the
/// whole item in memory as long as the frame.
const COPIED: usize = 4 * 1024;

impl ReplyStream {
    pub(crate) fn new(parts: Vec<Bytes>, guard: SessionGuard) -> Self {
        Self { parts: parts.into_iter(), guard: Some(guard), ends_by: None, broken: None }
    }

    fn next_part(&mut self, cx: &Context<'_>, limit: usize) -> Option<Bytes> {
        let part = if self.is_cut_off(cx) { None } else { self.parts.next() };
        part.inspect(|part| self.note_handed_out(part, limit))
    }

    /// Notes that the poll is answered if this is the end of the reply.
    fn note_handed_out(&mut self, part: &Bytes, limit: usize) {
        if part.len() <= limit && self.parts.as_slice().is_empty() {
            self.guard.iter_mut().for_each(|guard| guard.ends(SessionEnd::Silent));
        }
    }

    /// Returns whether the poll was ended from outside, so that nothing more of its reply may go out.
    fn is_cut_off(&mut self, cx: &Context<'_>) -> bool {
        let Some(guard) = &mut self.guard else { return false };
        self.broken = match guard.poll_order(cx) {
            Poll::Ready(Order::Revoke) => Some(BodyError::Revoked),
            Poll::Ready(Order::Cut) => Some(BodyError::Ended),
            // It has its answer already, and a write timeout to take the rest of it.
            Poll::Ready(Order::Leave) => {
                let (wheel, timeout) = (&guard.shared().runtime.wheel, guard.shared().config.write_timeout);
                let is_over = *self.ends_by.get_or_insert_with(|| wheel.after(timeout)) <= wheel.now();
                is_over.then_some(BodyError::Ended)
            }
            Poll::Pending => None,
        };
        self.broken.is_some()
    }
}

impl EventStream {
    /// Returns a stream that begins with an item which was polled before.
    pub(crate) fn after(item: Bytes, stream: Self) -> Self {
        Self::Cut(Box::new(Cut { rest: item, stream: Some(stream) }))
    }

    /// Yields the next frame, of 1 to `limit` bytes. `None`: the stream is over.
    #[inline(always)]
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<Bytes>> {
        match self.poll_item(cx, limit) {
            Poll::Ready(Some(item)) if item.len() > limit => Poll::Ready(Some(self.cut(item, limit))),
            polled => polled,
        }
    }

    /// Yields one of the last frames. It is [`poll_frame`](Self::poll_frame) out of line, for code that runs once a stream.
    #[cold]
    #[inline(never)]
    pub(crate) fn poll_last_frame(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<Bytes>> {
        self.poll_frame(cx, limit)
    }

    #[inline(always)]
    fn poll_item(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<Bytes>> {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => Pin::new(&mut **stream).poll_next(cx),
            #[cfg(feature = "sse")]
            Self::Sse(ref mut encoder) => Pin::new(&mut **encoder).poll_next(cx),
            Self::Reply(ref mut reply) => Poll::Ready(reply.next_part(cx, limit)),
            Self::Cut(ref mut cut) => {
                let (rest, stream) = (std::mem::take(&mut cut.rest), cut.stream.take());
                Poll::Ready(self.resume(stream, rest, cx, limit))
            }
        }
    }

    /// Continues the stream after a cut item. Returns the rest of the item, if it may go out.
    #[cold]
    fn resume(&mut self, stream: Option<Self>, rest: Bytes, cx: &Context<'_>, limit: usize) -> Option<Bytes> {
        *self = stream.unwrap_or_else(|| Self::Reply(Box::default()));
        // The session of a stream is that of its body, which is asked before each frame.
        let Self::Reply(reply) = self else { return Some(rest) };
        if reply.is_cut_off(cx) {
            return None;
        }
        reply.note_handed_out(&rest, limit);
        Some(rest)
    }

    /// Keeps back all but the first `limit` bytes of an item.
    #[cold]
    fn cut(&mut self, mut item: Bytes, limit: usize) -> Bytes {
        let frame = item.split_to(limit);
        let frame = if limit <= COPIED { Bytes::copy_from_slice(&frame) } else { frame };
        let stream = std::mem::replace(self, Self::Reply(Box::default()));
        *self = Self::Cut(Box::new(Cut { rest: item, stream: Some(stream) }));
        frame
    }

    /// Returns whether the last frame was not the end of its item.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Self::Cut(_))
    }

    /// Registers the waker if there is no further frame now. `false`: the caller must poll.
    #[inline]
    pub(crate) fn register(&mut self, cx: &mut Context<'_>) -> bool {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => stream.register(cx),
            #[cfg(feature = "sse")]
            Self::Sse(ref mut encoder) => encoder.register(cx),
            Self::Reply(_) | Self::Cut(_) => false,
        }
    }

    /// Returns the error that the body ends with, after which the client must come again: it fell behind, its source
    /// failed, or its poll was ended.
    pub(crate) fn error(&self) -> Option<BodyError> {
        if let Self::Reply(reply) = self {
            return reply.broken;
        }
        let end = self.end().filter(|end| matches!(end, SubscriptionEnd::TooSlow | SubscriptionEnd::Failed));
        end.map(|_| BodyError::Ended)
    }

    /// Returns whether all topics have ended and the last end was yielded. The body then ends cleanly, also in a drain.
    pub(crate) fn has_finished(&self) -> bool {
        self.end() == Some(SubscriptionEnd::Finished)
    }

    fn end(&self) -> Option<SubscriptionEnd> {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref stream) => stream.end(),
            #[cfg(feature = "sse")]
            Self::Sse(ref encoder) => encoder.end(),
            Self::Reply(_) | Self::Cut(_) => None,
        }
    }

    /// Notes that the write of the body timed out. The session of a reply is not that of its body.
    pub(crate) fn note_stall(&self) {
        let stream = match self {
            Self::Cut(cut) => cut.stream.as_ref(),
            stream => Some(stream),
        };
        if let Some(Self::Reply(reply)) = stream {
            reply.guard.iter().for_each(|guard| guard.entry().subscriber_ended(SessionEnd::Stalled));
        }
    }

    /// Requests a last item with the time at which the client is to reconnect. `false`: this wire has none.
    pub(crate) fn send_bye(&mut self, retry: Duration) -> bool {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => {
                stream.finish(retry);
                true
            }
            #[cfg(feature = "sse")]
            Self::Sse(ref mut encoder) => {
                encoder.finish(retry);
                true
            }
            Self::Reply(_) | Self::Cut(_) => {
                let _ = retry;
                false
            }
        }
    }
}
