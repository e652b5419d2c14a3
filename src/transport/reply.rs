#[cfg(feature = "http")]
use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::object::{write_cursor, write_event, write_gap, write_topic_end};
use crate::contract::{EncodedDelivery, EventRef, Format, Slot, Subscriber, SubscriptionEnd, place};
use crate::model::{Cursor, TopicEnd};

const CURSOR: &[u8] = b"{\"cursor\":";
const EVENTS: &[u8] = b",\"events\":[";
/// Maximum length of the body up to its first event, in bytes.
const HEAD: usize = CURSOR.len() + Cursor::MAX_LEN + 2 + EVENTS.len();

/// Reply to a short or long poll: the body `{"cursor":"7.a9","events":[…]}` and its properties.
///
/// The page of [`short_poll`](crate::transport::short_poll) describes the body. All replies from one position to the same
/// events are equal bytes. The events are shared, not copied.
///
/// ```
/// use tidings::transport::{Reply, short_poll::PollQueue};
/// use tidings::{LocalHub, Subscribe};
///
/// let hub = LocalHub::new();
/// let reply: Reply = PollQueue::new(hub.subscribe(Subscribe::topics(["news"]))?).reply();
/// assert!(reply.is_empty() && reply.is_complete());
/// let (length, body) = (reply.len(), reply.into_parts().concat());
/// assert_eq!(length, body.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reply {
    /// Cursor with which the next poll begins: the cursor of the last event, gap or end of a topic in the reply. In a reply
    /// without them, the cursor up to which the source was read. `None` (JSON `null`) if the source has no cursors and has not
    /// [ended](Self::has_ended).
    ///
    /// A client cannot continue from `None`: each poll of such a source is a new subscriber, which misses the events
    /// between two polls. Send such a reply only if it [is complete](Self::is_complete).
    pub cursor: Option<Cursor>,
    /// Whether the reply reached its limit of bytes while more was ready.
    pub more: bool,
    /// End of the subscriber, if it ended. The reply contains everything that was ready before the end, and later polls
    /// bring nothing.
    pub end: Option<SubscriptionEnd>,
    /// Time in which the next event is likely, see [`SubscriberInfo`](crate::subscriber::SubscriberInfo). Set for a short
    /// poll if its subscriber has it.
    pub next_in: Option<Duration>,
    has_gap: bool,
    items: Items,
}

/// Reply in one piece.
#[cfg(feature = "http")]
#[derive(Debug)]
pub(crate) struct Whole {
    cursor: Option<Cursor>,
    more: bool,
    has_ended: bool,
    /// Range of the events and gaps in the body.
    items: Range<usize>,
    pub(crate) tag: Option<Bytes>,
    pub(crate) body: Bytes,
}

/// Pieces of events and gaps. No piece is empty, each ends with a comma, and most replies have one.
#[derive(Debug, Clone, Default)]
struct Items {
    /// First piece. Empty if there is none.
    first: Bytes,
    others: Vec<Bytes>,
}

impl Reply {
    /// Returns the reply to a client of a source without cursors that has everything.
    #[cfg(feature = "http")]
    pub(crate) fn of_ended_source() -> Self {
        let (cursor, end) = (Some(TopicEnd::RESERVED_CURSOR), Some(SubscriptionEnd::Finished));
        Self { cursor, more: false, end, next_in: None, has_gap: false, items: Items::default() }
    }

    /// Returns whether all topics have ended, and the client has everything with this reply. The body then has
    /// `"end":true`, and no further poll is needed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.end == Some(SubscriptionEnd::Finished)
    }

    /// Returns whether the reply contains neither events, gaps nor ends of topics.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.first.is_empty()
    }

    /// Returns whether the client can receive every event: it has a cursor to continue from, or the reply contains
    /// everything up to the end of the source. After a reply that is not complete the client loses events, so an
    /// [`Endpoint`](crate::Endpoint) answers such a poll with 400.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.cursor.is_some()
            || (!self.more && matches!(self.end, Some(SubscriptionEnd::Finished | SubscriptionEnd::Closed)))
    }

    /// Returns whether the reply contains a gap. Other clients at its cursor did not receive that gap, so the reply is not
    /// reused for them.
    #[cfg(feature = "http")]
    pub(crate) fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// Returns the length of the body in bytes, which is never 0.
    #[must_use]
    pub fn len(&self) -> usize {
        // The body has no comma after its last item.
        self.head().len() + self.items.len() - usize::from(!self.is_empty()) + self.tail().len()
    }

    /// Returns the length of the body with a cursor of the maximum length, in bytes.
    #[cfg(feature = "http")]
    pub(crate) fn len_at_most(&self) -> usize {
        HEAD + self.items.len() + self.tail().len()
    }

    /// Returns the parts of the body, in order.
    #[must_use]
    pub fn into_parts(self) -> Vec<Bytes> {
        self.into_tagged_parts().1
    }

    /// Returns the cursor as a strong entity tag (RFC 9110 §8.8.3) with the parts of the body. The tag is a slice of the
    /// body, in which the cursor stands in quotes.
    pub(crate) fn into_tagged_parts(self) -> (Option<Bytes>, Vec<Bytes>) {
        let (head, tail) = (self.head().freeze(), self.tail());
        let tag = self.tag_in(&head, head.len());
        let mut parts = Vec::with_capacity(self.items.others.len() + 3);
        parts.push(head);
        if !self.is_empty() {
            parts.push(self.items.first);
            parts.extend(self.items.others);
            parts.last_mut().into_iter().for_each(|last| last.truncate(last.len() - 1));
        }
        parts.push(Bytes::from_static(tail));
        (tag, parts)
    }

    /// Copies the body into one piece, of which the entity tag is a slice.
    #[cfg(feature = "http")]
    pub(crate) fn to_whole(&self) -> Whole {
        let (mut whole, tail) = (self.head(), self.tail());
        let head = whole.len();
        whole.reserve(self.items.len() + tail.len());
        self.items.iter().for_each(|item| whole.extend_from_slice(item));
        whole.truncate(whole.len() - usize::from(!self.is_empty()));
        let items = head..whole.len();
        whole.extend_from_slice(tail);
        let body = whole.freeze();
        let tag = self.tag_in(&body, head);
        Whole { cursor: self.cursor, more: self.more, has_ended: self.has_ended(), items, tag, body }
    }

    fn head(&self) -> BytesMut {
        let mut head = BytesMut::with_capacity(HEAD);
        head.extend_from_slice(CURSOR);
        write_cursor(self.cursor, &mut head);
        head.extend_from_slice(EVENTS);
        head
    }

    fn tag_in(&self, body: &Bytes, head: usize) -> Option<Bytes> {
        self.cursor.map(|_| body.slice(CURSOR.len()..head - EVENTS.len()))
    }

    fn tail(&self) -> &'static [u8] {
        match () {
            () if self.more => b"],\"more\":true}",
            () if self.has_ended() => b"],\"end\":true}",
            () => b"]}",
        }
    }
}

#[cfg(feature = "http")]
impl Whole {
    /// Returns whether the body is that of `reply`.
    pub(crate) fn is_of(&self, reply: &Reply) -> bool {
        (self.cursor, self.more, self.has_ended) == (reply.cursor, reply.more, reply.has_ended())
            && self.body.get(self.items.clone()).is_some_and(|items| reply.items.are(items))
    }
}

impl Items {
    fn push(&mut self, item: Bytes) {
        match self.first.is_empty() {
            true => self.first = item,
            false => self.others.push(item),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Returns whether the pieces, without the last comma, are equal to `bytes`.
    #[cfg(feature = "http")]
    fn are(&self, mut bytes: &[u8]) -> bool {
        let comma = usize::from(!self.first.is_empty());
        self.len() == bytes.len() + comma
            && self.iter().all(|item| {
                let (same, rest) = bytes.split_at(item.len().min(bytes.len()));
                bytes = rest;
                item.starts_with(same)
            })
    }

    /// Returns the total length in bytes.
    fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }
}

/// Unfinished reply.
#[derive(Debug)]
pub(crate) struct Draft {
    max: usize,
    len: usize,
    /// Number of these bytes that are not of events.
    other_len: usize,
    /// Whether the next item is taken whatever its length. A snapshot belongs to the gap before it: a part of it would have no
    /// cursor after the gap, and the client would poll for it forever.
    owes_state: bool,
    reply: Reply,
}

/// Item of a reply that is not events.
struct ControlItem {
    /// Cursor of a client that has the item.
    cursor: Cursor,
    is_gap: bool,
    /// Whether a snapshot belongs to it.
    owes_state: bool,
}

/// State of a [`Draft`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Neither events nor a gap nor the end.
    Nothing,
    /// Events without a cursor. They are useful only together with all others up to the end of the source.
    Partial,
    /// Events, to which more may be added.
    Events,
    /// A gap, the end, or as many bytes as fit. The reply is to be sent at once.
    Urgent,
}

impl Draft {
    /// Creates an empty draft of at most `max` bytes of events. The first event may exceed it.
    pub(crate) fn new(max: usize) -> Self {
        let items = Items::default();
        let reply = Reply { cursor: None, more: false, end: None, next_in: None, has_gap: false, items };
        Self { max, len: 0, other_len: 0, owes_state: false, reply }
    }

    /// Takes everything that is ready and fits. If the subscriber is pending after that, it has the waker.
    ///
    /// An item that is ready and does not fit is taken and dropped, so the subscriber must not be used after that. The
    /// client receives the item by its next poll, which begins at the reply's cursor.
    pub(crate) fn collect<S: Subscriber>(&mut self, subscriber: &mut S, cx: &mut Context<'_>) -> Progress {
        while !self.reply.more && self.reply.end.is_none() {
            let room = self.max.saturating_sub(self.len);
            let (item, control) = match subscriber.poll_encoded(cx, &Item, room) {
                Poll::Ready(EncodedDelivery::Events(events)) => (events.bytes, None),
                Poll::Ready(EncodedDelivery::Gap(gap)) => {
                    let control = ControlItem { cursor: gap.cursor, is_gap: true, owes_state: gap.snapshot };
                    (self.object(|out| write_gap(&gap, out)), Some(control))
                }
                Poll::Ready(EncodedDelivery::TopicEnd(end)) => {
                    // Without it the client of a source without cursors would have no cursor to poll with.
                    self.owes_state |= end.is_last && self.reply.cursor.is_none();
                    let control = ControlItem { cursor: end.cursor, is_gap: false, owes_state: false };
                    (self.object(|out| write_topic_end(&end, out)), Some(control))
                }
                Poll::Ready(EncodedDelivery::End(end)) => {
                    self.reply.end = Some(end);
                    break;
                }
                Poll::Pending => break,
            };
            if item.len() > room && !self.reply.is_empty() && !self.owes_next() {
                self.reply.more = true;
            } else if !item.is_empty() {
                // Read here, because the next poll may move the subscriber's cursor past the items of the reply.
                self.reply.cursor =
                    control.as_ref().map_or_else(|| subscriber.cursor(), |control| Some(control.cursor));
                self.reply.has_gap |= control.as_ref().is_some_and(|control| control.is_gap);
                self.owes_state = control.is_some_and(|control| control.owes_state);
                self.len += item.len();
                self.reply.items.push(item);
            }
        }
        if self.reply.is_empty() {
            self.reply.cursor = subscriber.cursor();
        }
        if self.reply.has_ended() {
            self.reply.cursor.get_or_insert(TopicEnd::RESERVED_CURSOR);
        }
        match &self.reply {
            reply if reply.has_gap || reply.more || reply.end.is_some() => Progress::Urgent,
            reply if reply.is_empty() => Progress::Nothing,
            reply if reply.cursor.is_none() => Progress::Partial,
            _ => Progress::Events,
        }
    }

    /// Returns whether the reply has neither events nor a gap nor the end.
    #[cfg(feature = "short-poll")]
    pub(crate) fn is_empty(&self) -> bool {
        self.reply.is_empty() && self.reply.end.is_none()
    }

    /// Returns whether the next item is taken whatever its length.
    #[cold]
    fn owes_next(&self) -> bool {
        // A snapshot goes on while the client would start over.
        self.owes_state || self.reply.cursor.is_some_and(|cursor| cursor.epoch() == 0)
    }

    /// Returns whether all topics have ended, and the reply has no events.
    #[cfg(feature = "long-poll")]
    pub(crate) fn is_end_alone(&self) -> bool {
        self.reply.has_ended() && self.len == self.other_len
    }

    /// Returns an object that is no event, and a comma.
    #[cold]
    fn object(&mut self, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        let object = object(write);
        self.other_len += object.len();
        object
    }

    /// Returns the reply.
    pub(crate) fn finish(self) -> Reply {
        self.reply
    }
}

/// Returns an object and a comma.
#[cold]
fn object(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::with_capacity(128);
    write(&mut out);
    out.extend_from_slice(b",");
    out.freeze()
}

/// Format of an event in a reply: the event object and a comma.
struct Item;

impl Format for Item {
    fn slot(&self) -> Option<Slot> {
        Some(place::OBJECT_ITEM)
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        write_event(event, out);
        out.extend_from_slice(b",");
    }
}
