use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use futures_core::Stream;

use super::session::Tracked;
#[cfg(feature = "chunked")]
use crate::adapters::ChunkedStream;
#[cfg(feature = "sse")]
use crate::adapters::SseEncoder;
use crate::contract::End;

/// The source of a live body's frames: an adapter's stream, or a poll's reply.
///
/// An enum, so that the compiler inlines the path from here to the subscription. The variant lies beside the pointer, in
/// the same cache line.
pub(super) enum Flow {
    #[cfg(feature = "chunked")]
    Chunked(Box<ChunkedStream<Tracked>>),
    #[cfg(feature = "sse")]
    Sse(Box<SseEncoder<Tracked>>),
    /// The parts of a reply, none of them empty.
    Reply(Box<vec::IntoIter<Bytes>>),
    /// A flow whose last item did not fit into one frame.
    Cut(Box<Cut>),
}

/// The rest of an item, and what follows it. `flow` is only taken together with the rest.
pub(super) struct Cut {
    rest: Bytes,
    flow: Option<Flow>,
}

/// A frame of up to this many bytes is copied when it is cut off a longer item, which the HTTP stack would else keep in
/// memory for as long as the frame.
const COPIED: usize = 4 * 1024;

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
            Self::Reply(ref mut parts) => Poll::Ready(parts.next()),
            Self::Cut(ref mut cut) => {
                let (rest, flow) = (std::mem::take(&mut cut.rest), cut.flow.take());
                self.go_on(flow);
                Poll::Ready(Some(rest))
            }
        }
    }

    #[cold]
    fn go_on(&mut self, flow: Option<Self>) {
        *self = flow.unwrap_or_else(|| Self::Reply(Box::default()));
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

    /// Returns whether the client must reconnect after the end: `true` if it fell behind or its source failed.
    pub(super) fn breaks_off(&self) -> bool {
        let end: Option<End> = match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref stream) => stream.end(),
            #[cfg(feature = "sse")]
            Self::Sse(ref encoder) => encoder.end(),
            Self::Reply(_) | Self::Cut(_) => None,
        };
        matches!(end, Some(End::TooSlow | End::Failed))
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
