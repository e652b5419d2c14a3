use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use futures_core::Stream;

use super::body::BodyError;
use super::session::{Order, Tracked, Visit};
#[cfg(feature = "chunked")]
use crate::adapters::ChunkedStream;
#[cfg(feature = "sse")]
use crate::adapters::SseEncoder;
use crate::contract::{End, Left};

/// The source of a live body's frames: an adapter's stream, or a poll's reply.
///
/// An enum, so that the compiler inlines the path from here to the subscription. The variant lies beside the pointer, in
/// the same cache line.
pub(super) enum Flow {
    #[cfg(feature = "chunked")]
    Chunked(Box<ChunkedStream<Tracked>>),
    #[cfg(feature = "sse")]
    Sse(Box<SseEncoder<Tracked>>),
    Reply(Box<ReplyFlow>),
    /// A flow whose last item did not fit into one frame.
    Cut(Box<Cut>),
}

/// A poll's reply on its way to the client.
#[derive(Default)]
pub(super) struct ReplyFlow {
    /// None of them is empty.
    parts: vec::IntoIter<Bytes>,
    /// The poll, which is under way until its reply is taken.
    visit: Option<Visit>,
    /// Why the reply breaks off, if it does.
    broken: Option<BodyError>,
}

/// The rest of an item, and what follows it. `flow` is only taken together with the rest.
pub(super) struct Cut {
    rest: Bytes,
    flow: Option<Flow>,
}

/// A frame of up to this many bytes is copied when it is cut off a longer item, which the HTTP stack would else keep in
/// memory for as long as the frame.
const COPIED: usize = 4 * 1024;

impl ReplyFlow {
    pub(super) fn new(parts: Vec<Bytes>, visit: Visit) -> Self {
        Self { parts: parts.into_iter(), visit: Some(visit), broken: None }
    }

    fn next_part(&mut self, cx: &Context<'_>) -> Option<Bytes> {
        if self.is_cut_off(cx) { None } else { self.parts.next() }
    }

    /// Returns whether the poll was ended from outside, so that nothing more of its reply may go out.
    fn is_cut_off(&mut self, cx: &Context<'_>) -> bool {
        self.broken = match self.visit.as_mut().map(|visit| visit.poll_order(cx)) {
            Some(Poll::Ready(Order::Revoke)) => Some(BodyError::Revoked),
            Some(Poll::Ready(Order::Cut)) => Some(BodyError::Ended),
            // One that is to leave has its answer already.
            Some(Poll::Ready(Order::Leave) | Poll::Pending) | None => None,
        };
        self.broken.is_some()
    }
}

impl Flow {
    /// Yields the next frame, of 1 to `limit` bytes. `None`: the flow is over.
    #[inline(always)]
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<Bytes>> {
        match self.poll_item(cx) {
            Poll::Ready(Some(item)) if item.len() > limit => Poll::Ready(Some(self.cut(item, limit))),
            polled => polled,
        }
    }

    #[inline(always)]
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => Pin::new(&mut **stream).poll_next(cx),
            #[cfg(feature = "sse")]
            Self::Sse(ref mut encoder) => Pin::new(&mut **encoder).poll_next(cx),
            Self::Reply(ref mut reply) => Poll::Ready(reply.next_part(cx)),
            Self::Cut(ref mut cut) => {
                let (rest, flow) = (std::mem::take(&mut cut.rest), cut.flow.take());
                Poll::Ready(self.go_on(flow, cx).then_some(rest))
            }
        }
    }

    /// Goes on with what follows a cut item. Returns whether the rest of the item may go out.
    #[cold]
    fn go_on(&mut self, flow: Option<Self>, cx: &Context<'_>) -> bool {
        *self = flow.unwrap_or_else(|| Self::Reply(Box::default()));
        match self {
            Self::Reply(reply) => !reply.is_cut_off(cx),
            // The session of a stream is that of its body, which is asked before each frame.
            _ => true,
        }
    }

    /// Keeps back all but the first `limit` bytes of an item.
    #[cold]
    fn cut(&mut self, mut item: Bytes, limit: usize) -> Bytes {
        let frame = item.split_to(limit);
        let frame = if limit <= COPIED { Bytes::copy_from_slice(&frame) } else { frame };
        let flow = std::mem::replace(self, Self::Reply(Box::default()));
        *self = Self::Cut(Box::new(Cut { rest: item, flow: Some(flow) }));
        frame
    }

    /// Returns whether the last frame was not the end of its item.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Cut(_))
    }

    /// Registers the waker if there is no further frame now. `false`: the caller must poll.
    #[inline]
    pub(super) fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => stream.wait(cx),
            #[cfg(feature = "sse")]
            Self::Sse(ref mut encoder) => encoder.wait(cx),
            Self::Reply(_) | Self::Cut(_) => false,
        }
    }

    /// Returns the error that the body ends with, after which the client must come again: it fell behind, its source
    /// failed, or its poll was ended.
    pub(super) fn error(&self) -> Option<BodyError> {
        let end: Option<End> = match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref stream) => stream.end(),
            #[cfg(feature = "sse")]
            Self::Sse(ref encoder) => encoder.end(),
            Self::Reply(ref reply) => return reply.broken,
            Self::Cut(_) => None,
        };
        end.filter(|end| matches!(end, End::TooSlow | End::Failed)).map(|_| BodyError::Ended)
    }

    /// Notes why the body ends before its end. The session of a reply is not that of its body.
    pub(super) fn note(&self, why: Left) {
        let reply = match self {
            Self::Reply(reply) if !reply.parts.as_slice().is_empty() => reply,
            Self::Cut(cut) => match &cut.flow {
                Some(Self::Reply(reply)) => reply,
                _ => return,
            },
            _ => return,
        };
        reply.visit.iter().for_each(|visit| visit.member().ended(why));
    }

    /// Asks for a last item that says when to come back. `false`: this wire has none.
    pub(super) fn say_bye(&mut self, retry: Duration) -> bool {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => {
                stream.finish(retry);
                true
            }
            #[cfg(feature = "sse")]
            Self::Sse(_) => false,
            Self::Reply(_) | Self::Cut(_) => {
                let _ = retry;
                false
            }
        }
    }
}
