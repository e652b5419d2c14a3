use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

#[cfg(any(feature = "short-poll", feature = "long-poll"))]
use super::poll::replies::Payload;
#[cfg(feature = "sse")]
use super::reject::soft_reject::SoftReject;
use super::stream::live_body::LiveBody;

/// The body of an endpoint's answer: nothing, a poll's reply, or a live stream.
///
/// Dropping the body of a live stream ends its session. So does dropping the body of a large reply, if the poll is a
/// session.
#[must_use]
pub struct Body(Kind);

enum Kind {
    Pieces {
        /// Empty where there is none.
        next: Bytes,
        others: std::vec::IntoIter<Bytes>,
        left: u64,
    },
    Live(LiveBody),
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
    /// The application revoked the client's authorization, or it expired.
    #[error("authorization revoked")]
    Revoked,
    /// The client took no frame, of at most 64 KiB, within the endpoint's write timeout.
    #[error("write timed out")]
    Stalled,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        let left = bytes.len() as u64;
        Self(Kind::Pieces { next: bytes, others: Vec::new().into_iter(), left })
    }

    /// Returns a body that holds these bytes until it is polled or dropped. The write timeout does not end it: see
    /// [`Hop::first_frame`](super::server::connection::Hop::first_frame) for the length up to which that is bounded.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    pub(crate) fn reply(payload: Payload) -> Self {
        match payload {
            Payload::Whole(bytes) => Self::whole(bytes),
            Payload::Parts(parts) => {
                let left = parts.iter().map(|part| part.len() as u64).sum();
                let mut others = parts.into_iter();
                Self(Kind::Pieces { next: others.next().unwrap_or_default(), others, left })
            }
        }
    }

    pub(crate) fn live(live: LiveBody) -> Self {
        Self(Kind::Live(live))
    }

    #[cfg(feature = "sse")]
    pub(crate) fn soft_reject(reject: SoftReject) -> Self {
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
            Kind::Pieces { next, others, left } => {
                let piece = std::mem::replace(next, others.next().unwrap_or_default());
                *left -= piece.len() as u64;
                Poll::Ready(Some(piece).filter(|piece| !piece.is_empty()).map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Pieces { left, .. } => *left == 0,
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            // An empty one answers a HEAD or is a 304's: the length to tell would be the GET's (RFC 9110 §8.6).
            Kind::Pieces { left, .. } if *left > 0 => SizeHint::with_exact(*left),
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
            Kind::Pieces { left, .. } => write!(f, "Body({left} bytes)"),
            _ => f.write_str("Body(live)"),
        }
    }
}
