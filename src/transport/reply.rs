#[cfg(feature = "http")]
use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::object::{write_cursor, write_event, write_gap};
use crate::contract::{EncodedDelivery, EventRef, Format, Slot, Subscriber, SubscriptionEnd, place};
use crate::model::Cursor;

const CURSOR: &[u8] = b"{\"cursor\":";
const EVENTS: &[u8] = b",\"events\":[";
/// The length of what stands before the events, at most.
const HEAD: usize = CURSOR.len() + Cursor::MAX_LEN + 2 + EVENTS.len();

/// Answer to a poll: the body `{"cursor":"7.9","events":[…],"more":true}`, and the facts about it that a mount needs.
///
/// The body is the same bytes for everyone at the same position, and the events in it are shared, not copied.
/// `events` holds event objects, and gap objects in their place among them; the state that follows a gap is in the same
/// reply, whatever its size. `"more"` is left out where it is not true.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reply {
    /// Cursor with which the next poll begins: the cursor of the last event or gap in the reply. In a reply without
    /// either, the cursor up to which the source was read. `None` (JSON `null`) if the source has no cursors.
    ///
    /// A client can't go on from `None`: each poll of such a source is a new subscriber, which has none of the events
    /// between two polls. Send such a reply only if it [is complete](Self::is_complete).
    pub cursor: Option<Cursor>,
    /// Whether the limit of bytes kept back something that is there already.
    pub more: bool,
    /// Why no later poll will bring anything, if so. What was there before the end is in the reply.
    pub end: Option<SubscriptionEnd>,
    /// In how long the next event is likely, where the subscriber of a short poll could tell:
    /// [`Subscriber::next_in`].
    pub next_in: Option<Duration>,
    has_gap: bool,
    items: Items,
}

/// A reply in one piece.
#[cfg(feature = "http")]
#[derive(Debug)]
pub(crate) struct Whole {
    cursor: Option<Cursor>,
    more: bool,
    /// Range of the events and gaps in the body.
    items: Range<usize>,
    pub(crate) tag: Option<Bytes>,
    pub(crate) body: Bytes,
}

/// Pieces of events and gaps, none empty. Each ends with a comma, and mostly there is one.
#[derive(Debug, Clone, Default)]
struct Items {
    /// Empty where there is none.
    first: Bytes,
    others: Vec<Bytes>,
}

impl Reply {
    /// Whether there is neither an event nor a gap in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.first.is_empty()
    }

    /// Returns whether the client gets everything: it has a cursor to go on from, or the reply holds all there was up to the
    /// end of the source. A reply that is not complete loses what follows it; an
    /// [`Endpoint`](crate::Endpoint) answers such a poll with 400.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.cursor.is_some()
            || (!self.more && matches!(self.end, Some(SubscriptionEnd::Finished | SubscriptionEnd::Closed)))
    }

    /// Returns whether there is a gap in it, which most other clients at its cursor were not told of.
    #[cfg(feature = "http")]
    pub(crate) fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// The length of the body in bytes, which is never 0.
    #[must_use]
    pub fn len(&self) -> usize {
        // The last comma is not written.
        self.head().len() + self.items.len() - usize::from(!self.is_empty()) + self.tail().len()
    }

    /// Returns the length of the body if its cursor had the greatest length.
    #[cfg(feature = "http")]
    pub(crate) fn len_at_most(&self) -> usize {
        HEAD + self.items.len() + self.tail().len()
    }

    /// The body's parts, in order.
    #[must_use]
    pub fn into_parts(self) -> Vec<Bytes> {
        self.into_tagged_parts().1
    }

    /// The cursor as a strong entity tag, which is how it stands in the body: in its quotes (RFC 9110 §8.8.3). And the
    /// body's parts.
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

    /// Copies the entity tag and the parts of the body into one piece.
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
        Whole { cursor: self.cursor, more: self.more, items, tag: self.tag_in(&body, head), body }
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
        if self.more { b"],\"more\":true}" } else { b"]}" }
    }
}

#[cfg(feature = "http")]
impl Whole {
    /// Whether it is this reply's.
    pub(crate) fn is_of(&self, reply: &Reply) -> bool {
        (self.cursor, self.more) == (reply.cursor, reply.more)
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

    /// Whether they are these bytes, to which the last comma was not written.
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

    /// In bytes.
    fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }
}

/// A reply in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    max: usize,
    len: usize,
    /// The next events are state that belongs to the gap before it: whole, or the client would ask for ever.
    owes_state: bool,
    reply: Reply,
}

/// How far a draft is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing to tell yet.
    Nothing,
    /// Events without a cursor, which are of use only together with all up to the end of the source.
    Partial,
    /// Events, to which more may be added.
    Events,
    /// A gap, the end, or as much as fits: not to be kept from the client.
    Urgent,
}

impl Draft {
    /// Takes at most `max` bytes of events, which one event alone may exceed.
    pub(crate) fn new(max: usize) -> Self {
        let items = Items::default();
        let reply = Reply { cursor: None, more: false, end: None, next_in: None, has_gap: false, items };
        Self { max, len: 0, owes_state: false, reply }
    }

    /// Takes all that is ready and fits. Where the subscriber is pending then, it has the waker.
    ///
    /// An item that is ready and does not fit is taken and dropped, so the subscriber must not be used after that. The
    /// client gets the item by its next poll, which begins at the reply's cursor.
    pub(crate) fn collect<S: Subscriber>(&mut self, subscriber: &mut S, cx: &mut Context<'_>) -> Progress {
        while !self.reply.more && self.reply.end.is_none() {
            let room = self.max.saturating_sub(self.len);
            let mut owes_state = false;
            let (item, gap) = match subscriber.poll_encoded(cx, &Item, room) {
                Poll::Ready(EncodedDelivery::Events(events)) => (events.bytes, None),
                Poll::Ready(EncodedDelivery::Gap(gap)) => {
                    owes_state = gap.snapshot;
                    let mut out = BytesMut::with_capacity(128);
                    write_gap(&gap, &mut out);
                    out.extend_from_slice(b",");
                    (out.freeze(), Some(gap.cursor))
                }
                Poll::Ready(EncodedDelivery::End(end)) => {
                    self.reply.end = Some(end);
                    break;
                }
                Poll::Pending => break,
            };
            if item.len() > room && !self.reply.is_empty() && !self.owes_state {
                self.reply.more = true;
            } else if !item.is_empty() {
                // Taken now: the next look may move the subscriber's cursor past what the reply holds.
                self.reply.cursor = gap.or_else(|| subscriber.cursor());
                self.reply.has_gap |= gap.is_some();
                self.owes_state = owes_state;
                self.len += item.len();
                self.reply.items.push(item);
            }
        }
        if self.reply.is_empty() {
            self.reply.cursor = subscriber.cursor();
        }
        match &self.reply {
            reply if reply.has_gap || reply.more || reply.end.is_some() => Progress::Urgent,
            reply if reply.is_empty() => Progress::Nothing,
            reply if reply.cursor.is_none() => Progress::Partial,
            _ => Progress::Events,
        }
    }

    pub(crate) fn finish(self) -> Reply {
        self.reply
    }
}

/// The event object and a comma.
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
