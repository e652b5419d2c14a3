use bytes::Bytes;
use http::HeaderValue;

use super::body::Body;
use super::locked::Locked;
use crate::adapters::Reply;

/// Up to how many bytes a reply is put into one piece: a copy of so little costs less than the HTTP stack's work for
/// each piece.
const WHOLE: usize = 4 * 1024;
/// For how many positions: a herd that an event woke stands at one, and those who come late at the few before it.
const PLACES: usize = 16;

/// The last small replies as they went out. Who polls at a position of theirs gets the same bytes, put together once.
#[derive(Debug, Default)]
pub(super) struct Replies(Locked<Places>);

#[derive(Debug, Default)]
struct Places {
    known: Vec<Known>,
    /// Where the oldest is, once all places are taken.
    oldest: usize,
}

#[derive(Debug)]
struct Known {
    /// Keeps what it shares, so that no other bytes can come to lie in the same place.
    reply: Reply,
    tag: Option<HeaderValue>,
    body: Bytes,
}

impl Replies {
    /// A reply's entity tag and body.
    pub(super) fn of(&self, reply: Reply) -> (Option<HeaderValue>, Body) {
        let places = self.0.lock();
        if let Some(known) = places.known.iter().find(|known| known.reply.shares_all_with(&reply)) {
            return (known.tag.clone(), Body::whole(known.body.clone()));
        }
        drop(places);
        if reply.len() > WHOLE {
            let (tag, parts) = reply.into_tagged_parts();
            return (tag.and_then(header), Body::parts(parts));
        }
        let (tag, body) = reply.to_tagged_whole();
        let tag = tag.and_then(header);
        let replaced = self.0.lock().put(Known { reply, tag: tag.clone(), body: body.clone() });
        drop(replaced);
        (tag, Body::whole(body))
    }
}

impl Places {
    fn put(&mut self, fresh: Known) -> Option<Known> {
        if self.known.len() < PLACES {
            self.known.push(fresh);
            return None;
        }
        let place = self.known.get_mut(self.oldest)?;
        self.oldest = (self.oldest + 1) % PLACES;
        Some(std::mem::replace(place, fresh))
    }
}

fn header(tag: Bytes) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(tag).ok()
}
