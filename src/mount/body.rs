use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::bell::Awaited;
use super::live::Live;
#[cfg(feature = "sse")]
use super::soft_reject::SoftReject;

/// The body of an endpoint's answer: nothing, a poll's reply, or a live stream.
///
/// Dropping the body of a live stream ends its session.
#[must_use]
pub struct Body(Kind);

enum Kind {
    Parts {
        parts: std::vec::IntoIter<Bytes>,
        left: u64,
    },
    Live(Awaited),
    #[cfg(feature = "sse")]
    SoftReject(SoftReject),
}

/// Why a live stream broke off. The client sees the connection (HTTP/1) or the stream (HTTP/2) end without its last
/// frame, and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The server ends the session, for now: it drains, or the client fell behind.
    #[error("the session was ended; the client may come back")]
    Ended,
    /// The client's right is gone.
    #[error("the client's right is gone")]
    Revoked,
    /// The client took nothing for longer than the endpoint's write stall.
    #[error("the client took nothing for too long")]
    Stalled,
}

impl Body {
    pub(super) fn empty() -> Self {
        Self::parts(Vec::new())
    }

    pub(super) fn parts(parts: Vec<Bytes>) -> Self {
        let left = parts.iter().map(|part| part.len() as u64).sum();
        Self(Kind::Parts { parts: parts.into_iter(), left })
    }

    pub(super) fn live(live: Live) -> Self {
        Self(Kind::Live(Awaited::new(live)))
    }

    #[cfg(feature = "sse")]
    pub(super) fn soft_reject(reject: SoftReject) -> Self {
        Self(Kind::SoftReject(reject))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    #[inline]
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Live(live) => live.poll(cx),
            #[cfg(feature = "sse")]
            Kind::SoftReject(reject) => reject.poll(cx),
            Kind::Parts { parts, left } => Poll::Ready(parts.next().map(|part| {
                *left -= part.len() as u64;
                Ok(Frame::data(part))
            })),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Parts { left, .. } => *left == 0,
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            // An empty one answers a HEAD or is a 304's: the length to tell would be the GET's (RFC 9110 §8.6).
            Kind::Parts { left, .. } if *left > 0 => SizeHint::with_exact(*left),
            _ => SizeHint::default(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Parts { left, .. } => write!(f, "Body({left} bytes)"),
            _ => f.write_str("Body(live)"),
        }
    }
}
