use bytes::Bytes;
use http::HeaderValue;

use crate::endpoint::mutex::Mutex;
use crate::transport::{Reply, Whole};

/// Most bytes of a reply that is copied into one piece, with the longest possible cursor. The copy costs less than the
/// HTTP stack's work for each piece.
const MAX_CACHED_LEN: usize = 4 * 1024;
/// Number of replies that are kept. Most polls that an event wakes are at one position, and late ones at a few before
/// it.
const MAX_CACHED: usize = 16;

/// Cache of the last small replies, of at most 64 KiB in all. The replies are copies, which hold no memory of the
/// source.
///
/// Polls at the position of a cached reply share its bytes. A reply with a gap is not cached.
#[derive(Debug, Default)]
pub(crate) struct ReplyCache(Mutex<CachedReplies>);

#[derive(Debug, Default)]
struct CachedReplies {
    /// The entry that was used last is the first, because most polls use it again.
    cached: Vec<CachedReply>,
    /// Index of the entry that the next one replaces, once all are taken.
    next: usize,
}

#[derive(Debug)]
struct CachedReply {
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

impl ReplyCache {
    /// Returns the entity tag and the bytes of a reply.
    // Inlined because the reply is large.
    #[inline(always)]
    pub(crate) fn of(&self, reply: Reply) -> (Option<HeaderValue>, Payload) {
        if reply.len_at_most() > MAX_CACHED_LEN {
            let (tag, parts) = reply.into_tagged_parts();
            return (tag.and_then(header), Payload::Parts(parts));
        }
        if reply.has_gap() {
            let whole = reply.to_whole();
            return (whole.tag.and_then(header), Payload::Whole(whole.body));
        }
        let mut entries = self.0.lock();
        if let Some(cached) = entries.find(&reply) {
            return (cached.tag.clone(), Payload::Whole(cached.whole.body.clone()));
        }
        drop(entries);
        let whole = reply.to_whole();
        let (tag, body) = (whole.tag.clone().and_then(header), whole.body.clone());
        let replaced = self.0.lock().put(CachedReply { whole, tag: tag.clone() });
        drop(replaced);
        (tag, Payload::Whole(body))
    }
}

impl CachedReplies {
    #[inline]
    fn find(&mut self, reply: &Reply) -> Option<&CachedReply> {
        if !self.cached.first()?.whole.is_of(reply) {
            self.move_to_front(reply)?;
        }
        self.cached.first()
    }

    /// Makes the entry of a reply the first. Returns `None` if it has none.
    #[inline(never)]
    fn move_to_front(&mut self, reply: &Reply) -> Option<()> {
        let at = self.cached.iter().position(|cached| cached.whole.is_of(reply))?;
        self.cached.swap(0, at);
        Some(())
    }

    fn put(&mut self, fresh: CachedReply) -> Option<CachedReply> {
        if self.cached.len() < MAX_CACHED {
            self.cached.push(fresh);
            return None;
        }
        // Any but the first, which is in use.
        self.next = self.next % (MAX_CACHED - 1) + 1;
        let entry = self.cached.get_mut(self.next)?;
        Some(std::mem::replace(entry, fresh))
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
    use crate::model::{Cursor, EndReason, Topic};
    use crate::transport::short_poll::PollQueue;

    fn reply(hub: &LocalHub, after: Cursor) -> Reply {
        PollQueue::new(hub.subscribe(Subscribe::topics(["news"]).start(Start::After(after))).unwrap()).reply()
    }

    #[test]
    fn cached_reply_in_use_is_not_replaced() {
        let (hub, news, cache) = (LocalHub::new(), Topic::new("news").unwrap(), ReplyCache::default());
        let cursors: Vec<_> =
            (0..4 * MAX_CACHED).map(|_| hub.publish_now(&news, "new").unwrap().cursor().unwrap()).collect();
        let first = || cache.0.lock().cached.first().map(|cached| cached.whole.body.clone());
        drop(cache.of(reply(&hub, cursors[0])));
        let asked_for = first().unwrap();
        for &late in &cursors[1..] {
            drop(cache.of(reply(&hub, late)));
            assert_eq!(first().unwrap().as_ptr(), asked_for.as_ptr());
        }
        assert_eq!(cache.0.lock().cached.len(), MAX_CACHED);
    }

    #[test]
    fn cached_reply_is_not_that_of_an_ended_source_at_its_cursor() {
        let (hub, cache) = (LocalHub::new(), ReplyCache::default());
        let news = Topic::new("news").unwrap();
        let first = hub.publish_now(&news, "new").unwrap().cursor().unwrap();
        let end = hub.finish(&news, EndReason::Done).unwrap();
        let bodies = |after, topic: &str| {
            let start = Subscribe::topics([topic]).start(Start::After(after));
            let (_, payload) = cache.of(PollQueue::new(hub.subscribe(start).unwrap()).reply());
            payload.into_parts().concat()
        };
        for _ in 0..2 {
            let live = format!("{{\"cursor\":\"{}\",\"events\":[]}}", end.cursor);
            assert_eq!(bodies(first, "other"), live.as_bytes());
            let ended = format!("{{\"cursor\":\"{}\",\"events\":[],\"end\":true}}", end.cursor);
            assert_eq!(bodies(end.cursor, "news"), ended.as_bytes());
        }
        assert_eq!(cache.0.lock().cached.len(), 2);
    }

    #[test]
    fn reply_with_a_gap_is_not_cached() {
        let (hub, cache) = (LocalHub::new(), ReplyCache::default());
        hub.publish_now(Topic::new("news").unwrap(), "new").unwrap();
        let gap = reply(&hub, "1.a1".parse().unwrap());
        assert!(gap.has_gap());
        drop(cache.of(gap));
        assert!(cache.0.lock().cached.is_empty());
    }
}
