use bytes::Bytes;
use http::HeaderValue;

use crate::endpoint::mutex::Mutex;
use crate::transport::{Reply, Whole};

/// Most bytes of a reply that is copied into one piece, with the longest possible cursor. The copy costs less than the HTTP
/// stack's work for each piece.
const WHOLE: usize = 4 * 1024;
/// Number of replies that are kept. Most polls that an event wakes are at one position, and late ones at a few before it.
const PLACES: usize = 16;

/// Cache of the last small replies, of at most 64 KiB in all. The replies are copies, which hold no memory of the source.
///
/// Polls at the position of a cached reply share its bytes. A reply with a gap is not cached.
#[derive(Debug, Default)]
pub(crate) struct Replies(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// The entry that was used last is the first, because most polls use it again.
    known: Vec<Known>,
    /// Index of the entry that the next one replaces, once all are taken.
    next: usize,
}

#[derive(Debug)]
struct Known {
    whole: Whole,
    tag: Option<HeaderValue>,
}

/// Bytes of a reply, in their order. No part is empty.
#[derive(Debug)]
pub(crate) enum Payload {
    Whole(Bytes),
    Parts(Vec<Bytes>),
}

impl Payload {
    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Parts(parts) => parts.iter().map(Bytes::len).sum(),
        }
    }

    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        match self {
            Self::Whole(bytes) => vec![bytes],
            Self::Parts(parts) => parts,
        }
    }
}

impl Replies {
    /// Returns the entity tag and the bytes of a reply.
    pub(crate) fn of(&self, reply: Reply) -> (Option<HeaderValue>, Payload) {
        if reply.len_at_most() > WHOLE {
            let (tag, parts) = reply.into_tagged_parts();
            return (tag.and_then(header), Payload::Parts(parts));
        }
        if reply.has_gap() {
            let whole = reply.to_whole();
            return (whole.tag.and_then(header), Payload::Whole(whole.body));
        }
        let mut places = self.0.lock();
        if let Some(known) = places.find(&reply) {
            return (known.tag.clone(), Payload::Whole(known.whole.body.clone()));
        }
        drop(places);
        let whole = reply.to_whole();
        let (tag, body) = (whole.tag.clone().and_then(header), whole.body.clone());
        let replaced = self.0.lock().put(Known { whole, tag: tag.clone() });
        drop(replaced);
        (tag, Payload::Whole(body))
    }
}

impl Places {
    fn find(&mut self, reply: &Reply) -> Option<&Known> {
        let at = self.known.iter().position(|known| known.whole.is_of(reply))?;
        if at != 0 {
            self.known.swap(0, at);
        }
        self.known.first()
    }

    fn put(&mut self, fresh: Known) -> Option<Known> {
        if self.known.len() < PLACES {
            self.known.push(fresh);
            return None;
        }
        // Any but the first, which is in use.
        self.next = self.next % (PLACES - 1) + 1;
        let place = self.known.get_mut(self.next)?;
        Some(std::mem::replace(place, fresh))
    }
}

fn header(tag: Bytes) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(tag).ok()
}

#[cfg(test)]
#[cfg(feature = "short-poll")]
mod tests {
    use super::*;
    use crate::contract::{Start, Subscribe};
    use crate::hub::LocalHub;
    use crate::model::{Cursor, Topic};
    use crate::transport::short_poll::PollQueue;

    fn reply(hub: &LocalHub, after: Cursor) -> Reply {
        PollQueue::new(hub.subscribe(Subscribe::topics(["news"]).start(Start::After(after))).unwrap()).reply()
    }

    #[test]
    fn the_entry_in_use_is_never_replaced() {
        let (hub, news, replies) = (LocalHub::new(), Topic::new("news").unwrap(), Replies::default());
        let cursors: Vec<_> =
            (0..4 * PLACES).map(|_| hub.publish_now(&news, "new").unwrap().cursor().unwrap()).collect();
        let first = || replies.0.lock().known.first().map(|known| known.whole.body.clone());
        drop(replies.of(reply(&hub, cursors[0])));
        let asked_for = first().unwrap();
        for &late in &cursors[1..] {
            drop(replies.of(reply(&hub, late)));
            assert_eq!(first().unwrap().as_ptr(), asked_for.as_ptr());
        }
        assert_eq!(replies.0.lock().known.len(), PLACES);
    }

    #[test]
    fn a_reply_with_a_gap_is_not_cached() {
        let (hub, replies) = (LocalHub::new(), Replies::default());
        hub.publish_now(Topic::new("news").unwrap(), "new").unwrap();
        let gap = reply(&hub, "1.1".parse().unwrap());
        assert!(gap.has_gap());
        drop(replies.of(gap));
        assert!(replies.0.lock().known.is_empty());
    }
}
