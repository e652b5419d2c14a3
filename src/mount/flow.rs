use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use super::session::Tracked;
#[cfg(feature = "chunked")]
use crate::adapters::ChunkedStream;
#[cfg(feature = "sse")]
use crate::adapters::SseEncoder;
use crate::contract::End;

/// What a live body is made of: an adapter's stream, in the session's keeping.
///
/// An enum and no trait object: the way of a delivery, from here down to the subscription, is one function. Which it is
/// lies beside the pointer, where a delivery comes by anyway.
pub(super) enum Flow {
    #[cfg(feature = "chunked")]
    Chunked(Box<ChunkedStream<Tracked>>),
    #[cfg(feature = "sse")]
    Sse(Box<SseEncoder<Tracked>>),
}

impl Flow {
    /// The next whole piece; never an empty one. `None`: the stream is over.
    #[inline(always)]
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => Pin::new(&mut **stream).poll_next(cx),
            #[cfg(feature = "sse")]
            Self::Sse(ref mut encoder) => Pin::new(&mut **encoder).poll_next(cx),
        }
    }

    /// Has the task of `cx` woken when there is a further piece, if there is none now. `false`: a poll must tell.
    #[inline]
    pub(super) fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => stream.wait(cx),
            #[cfg(feature = "sse")]
            Self::Sse(ref mut encoder) => encoder.wait(cx),
        }
    }

    /// Once it is over: whether the client is to come back. One whose source is at its end has all there is; one that
    /// fell behind, or whose source failed, has not.
    pub(super) fn breaks_off(&self) -> bool {
        let end: Option<End> = match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref stream) => stream.end(),
            #[cfg(feature = "sse")]
            Self::Sse(ref encoder) => encoder.end(),
        };
        matches!(end, Some(End::TooSlow | End::Failed))
    }

    /// Asks for a last piece that says when to come back. `false`: this wire has none.
    pub(super) fn say_bye(&mut self, retry: Duration) -> bool {
        match *self {
            #[cfg(feature = "chunked")]
            Self::Chunked(ref mut stream) => {
                stream.finish(retry);
                true
            }
            #[cfg(feature = "sse")]
            Self::Sse(_) => {
                let _ = retry;
                false
            }
        }
    }
}
