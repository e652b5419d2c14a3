use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

#[cfg(any(feature = "short-poll", feature = "long-poll"))]
use super::poll::reply_cache::Payload;
use super::stream::live_body::LiveBody;
#[cfg(feature = "sse")]
use super::stream::soft_reject::SoftReject;

/// Body of an endpoint's response: empty, a poll's reply, or a live stream.
///
/// Dropping the body of a live stream ends its session. If a long poll is a session of its own, dropping the body of a
/// reply of more than 64 KiB (1 KiB over HTTP/2) ends it, too.
///
/// ```
/// use http_body_util::BodyExt;
/// use tidings::Body;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tidings::BodyError> {
/// let body = Body::default(); // empty
/// assert!(body.collect().await?.to_bytes().is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Body(Kind);

enum Kind {
    Pieces {
        /// Empty if there is none.
        next: Bytes,
        others: std::vec::IntoIter<Bytes>,
        /// Number of bytes left.
        left: u64,
    },
    Live(LiveBody),
    #[cfg(feature = "sse")]
    SoftReject(SoftReject),
}

/// Error of a live stream that broke off.
///
/// The client sees the connection (HTTP/1) or the stream (HTTP/2) end without its last frame, and reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The endpoint ended the session: it drains, the client fell behind, or the session was disconnected.
    #[error("session ended: the client may reconnect")]
    Ended,
    /// The application revoked the client's authorization, or it expired.
    #[error("authorization revoked")]
    Revoked,
    /// The client did not take a frame of at most 64 KiB within the endpoint's
    /// [`write_timeout`](crate::EndpointBuilder::write_timeout).
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

    /// Returns a body of these bytes. The write timeout does not apply to it, so its length must be at most
    /// [`Hop::first_frame`](super::connection::Hop::first_frame).
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
            // An empty body answers a HEAD or a 304, whose Content-Length would be that of the GET (RFC 9110 §8.6).
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
