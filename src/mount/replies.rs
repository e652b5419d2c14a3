use bytes::Bytes;
use http::HeaderValue;

use super::body::Body;
use super::locked::Locked;
use crate::adapters::{Reply, Whole};

/// Up to how many bytes a reply is put into one piece: a copy of so little costs less than the HTTP stack's work for
/// each piece.
const WHOLE: usize = 4 * 1024;
/// For how many positions: a herd that an event woke stands at one, and those who come late at the few before it.
const PLACES: usize = 16;

/// The last small replies as they went out, each in its position's place: at most 64 KiB. Who polls at a position of
/// theirs gets the same bytes, put together once.
#[derive(Debug, Default)]
pub(super) struct Replies([Locked<Option<Known>>; PLACES]);

#[derive(Debug)]
struct Known {
    whole: Whole,
    tag: Option<HeaderValue>,
}

impl Replies {
    /// A reply's entity tag and body.
    pub(super) fn of(&self, reply: Reply) -> (Option<HeaderValue>, Body) {
        let place = self.place(&reply);
        if let Some(known) = place.lock().as_ref().filter(|known| known.whole.is_of(&reply)) {
            return (known.tag.clone(), Body::whole(known.whole.body.clone()));
        }
        if reply.len() > WHOLE {
            let (tag, parts) = reply.into_tagged_parts();
            return (tag.and_then(header), Body::parts(parts));
        }
        let whole = reply.to_whole();
        let (tag, body) = (whole.tag.clone().and_then(header), whole.body.clone());
        let replaced = place.lock().replace(Known { whole, tag: tag.clone() });
        drop(replaced);
        (tag, Body::whole(body))
    }

    /// Positions that follow each other have different places.
    fn place(&self, reply: &Reply) -> &Locked<Option<Known>> {
        let sequence = reply.cursor.map_or(0, |cursor| cursor.position().sequence);
        &self.0[sequence as usize % PLACES]
    }
}

fn header(tag: Bytes) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(tag).ok()
}
