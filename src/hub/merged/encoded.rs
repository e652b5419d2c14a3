use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::{Merged, Next};
use crate::contract::{EncodedBatch, EncodedDelivery, Format};
use crate::hub::shared::Shared;

/// Encoded events of several topics.
#[derive(Default)]
struct Piece {
    bytes: BytesMut,
    events: u32,
    conflated: u32,
}

/// Result of joining events to a piece.
enum Fit {
    /// They are in the piece, if there were any, and more may be added.
    More,
    /// They do not fit.
    Full,
    /// They are a piece of their own.
    Alone(EncodedBatch),
}
/// Delivery of encoded events.
impl Merged {
    #[inline(never)]
    pub(in crate::hub) fn poll_encoded(
        &mut self,
        shared: &Shared,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
    ) -> Poll<EncodedDelivery> {
        let mut piece = Piece::default();
        // A format may write nothing of an event: it is delivered all the same.
        while piece.events == 0 {
            match std::task::ready!(self.poll_order(shared, cx)) {
                Next::Events { key, up_to } => {
                    if let Fit::Alone(encoding) = self.join(key, up_to, shared, format, max, &mut piece) {
                        return Poll::Ready(EncodedDelivery::Events(encoding));
                    }
                }
                Next::Gap { key, up_to } => {
                    if let Some(gap) = self.tell(shared, key, up_to) {
                        return Poll::Ready(EncodedDelivery::Gap(gap));
                    }
                }
                Next::End(end) => return Poll::Ready(EncodedDelivery::End(end)),
            }
        }
        // If the format panics here, what was joined before goes out, since its readers are past it; the next poll panics.
        let _ = catch_unwind(AssertUnwindSafe(|| self.join_others(shared, format, max, &mut piece)));
        Poll::Ready(EncodedDelivery::Events(piece.encoding()))
    }

    /// Joins what follows without a gap, as far as it fits.
    fn join_others(&mut self, shared: &Shared, format: &dyn Format, max: usize, piece: &mut Piece) {
        while let Ok(next) = self.order(shared) {
            match next {
                Next::Events { key, up_to } => {
                    if let Fit::Full = self.join(key, up_to, shared, format, max, piece) {
                        break;
                    }
                }
                Next::Gap { key, .. } => {
                    self.marked.push(key);
                    break;
                }
                Next::End(_) => break,
            }
        }
    }

    /// Joins the next events of a topic to a piece.
    #[inline(always)]
    fn join(
        &mut self,
        key: u32,
        up_to: u64,
        shared: &Shared,
        format: &dyn Format,
        max: usize,
        piece: &mut Piece,
    ) -> Fit {
        self.marked.push(key);
        let followed = &mut self.topics[key as usize];
        let overflow = followed.overflow;
        let (reader, up_to, end) = followed.reader(up_to);
        let ahead = reader.ahead_before(end, shared, overflow);
        let Some(ahead) = ahead.and_then(|ahead| ahead.up_to(up_to)) else {
            return Fit::More;
        };
        let is_first = piece.events == 0;
        let room = max.saturating_sub(piece.bytes.len());
        if !ahead.is_whole {
            let Some((encoding, taken)) = ahead.sieved_encode(shared, overflow, format, room) else {
                return Fit::More;
            };
            if encoding.bytes.len() > room && !is_first {
                return Fit::Full;
            }
            self.sequence = taken.sequence;
            let conflated = reader.take(&taken, encoding.events, shared);
            piece.add(&encoding.bytes, encoding.events);
            piece.conflated = piece.conflated.saturating_add(conflated);
            return Fit::More;
        }
        let (bytes, events, sequence) = ahead.encode(format, room, shared, false);
        if bytes.len() > room && !is_first {
            return Fit::Full;
        }
        reader.advance(events);
        self.sequence = sequence;
        if is_first && end == u64::MAX && self.heads.is_empty() {
            // One topic alone has something to say: its shared bytes go out as they are.
            return Fit::Alone(EncodedBatch::new(bytes, events));
        }
        if is_first {
            piece.bytes.reserve(bytes.len().saturating_mul(1 + self.heads.len()).min(max));
        }
        piece.add(&bytes, events);
        Fit::More
    }
}

impl Piece {
    #[inline]
    fn add(&mut self, bytes: &[u8], events: u32) {
        self.bytes.extend_from_slice(bytes);
        self.events += events;
    }

    fn encoding(self) -> EncodedBatch {
        EncodedBatch::new(self.bytes.freeze(), self.events).conflated(self.conflated)
    }
}
