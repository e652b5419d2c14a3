//! Clients that are cut at every byte, and resume.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use proptest::prelude::*;
use tidings::transport::chunked::ChunkedStream;
use tidings::transport::short_poll::PollQueue;
use tidings::transport::sse::SseEncoder;
use tidings::{Cursor, EndReason, GapReason};

use crate::clients::{ClientEnd, Inbox, NdjsonWire, Seen, SseWire, Wire, read_reply};
use crate::support::{Feed, Reader, VirtualTimer};

#[derive(Debug, Clone)]
enum Item {
    Event(&'static str, String),
    Gap,
    End(&'static str, EndReason),
}

fn any_items() -> impl Strategy<Value = Vec<Item>> {
    let topic = || prop::sample::select(vec!["a", "b", "c/\"d\""]);
    prop::collection::vec(
        prop_oneof![
            4 => (topic(), "[a-z\n]{0,8}").prop_map(|(topic, text)| Item::Event(topic, text)),
            1 => Just(Item::Gap),
            2 => (topic(), prop::sample::select(EndReason::ALL)).prop_map(|(topic, reason)| Item::End(topic, reason)),
        ],
        0..8,
    )
}

/// Returns a feed of these items, which ends with the topic `last`.
fn feed(items: &[Item]) -> Feed {
    let feed = Feed::new(7);
    for item in items {
        match item {
            Item::Event(topic, text) => drop(feed.event(topic, text.as_str())),
            Item::Gap => drop(feed.gap(GapReason::Overflow, Some(1))),
            Item::End(topic, reason) => drop(feed.topic_end(topic, *reason)),
        }
    }
    feed.last_topic_end("last", EndReason::Done);
    feed
}

/// Ways to read a feed: each returns the pieces of one connection.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Chunked,
    Sse,
    SseObjects,
    SseWithoutControls,
}

impl Kind {
    /// The kinds that express every item.
    const ALL: [Self; 3] = [Self::Chunked, Self::Sse, Self::SseObjects];

    fn bytes(self, reader: Reader, max: usize) -> Vec<u8> {
        let timer = VirtualTimer::new();
        match self {
            Self::Chunked => all(ChunkedStream::new(reader, &timer).max_batch_bytes(max)),
            Self::Sse => all(SseEncoder::new(reader, &timer).max_batch_bytes(max)),
            Self::SseObjects => all(SseEncoder::new(reader, &timer).max_batch_bytes(max).objects(true)),
            Self::SseWithoutControls => all(SseEncoder::new(reader, &timer).max_batch_bytes(max).controls(false)),
        }
    }

    fn wire(self) -> Box<dyn Wire> {
        match self {
            Self::Chunked => Box::new(NdjsonWire::default()),
            Self::Sse | Self::SseWithoutControls => Box::new(SseWire::plain()),
            Self::SseObjects => Box::new(SseWire::objects()),
        }
    }
}

fn all(mut stream: impl Stream<Item = Bytes> + Unpin) -> Vec<u8> {
    let (mut bytes, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    while let Poll::Ready(Some(item)) = Pin::new(&mut stream).poll_next(&mut cx) {
        bytes.extend_from_slice(&item);
    }
    bytes
}

/// Reads bytes with the reader of a wire. Returns the items, and the cursor after them.
fn read(kind: Kind, bytes: &[u8]) -> (Vec<Seen>, Option<Cursor>) {
    let (mut wire, mut inbox, mut seen) = (kind.wire(), Inbox::default(), Vec::new());
    wire.read(bytes, &mut inbox).unwrap();
    while let Some(item) = inbox.take() {
        seen.push(item);
    }
    (seen, inbox.cursor().map(|cursor| cursor.parse().unwrap()))
}

proptest! {
    #![proptest_config(crate::support::cases(64))]

    /// A client that is cut at any byte and resumes gets each item once: no event, gap or end is lost or doubled.
    #[test]
    fn stream_cut_at_every_byte_and_resumed_delivers_each_end_once(items in any_items(), batch in 1..4_usize, max in 0..200_usize) {
        let feed = feed(&items);
        for kind in Kind::ALL {
            let whole = kind.bytes(feed.reader().batches_of(batch), max);
            let (expected, last) = read(kind, &whole);
            let shown = expected.len();
            prop_assert_eq!(shown, items.len() + 1, "{:?}: {}", kind, whole.escape_ascii());
            for cut in 0..=whole.len() {
                let (mut seen, cursor) = read(kind, &whole[..cut]);
                let resumed = feed.resume(cursor.unwrap_or(Cursor::new(7, 0))).batches_of(batch);
                let (rest, end) = read(kind, &kind.bytes(resumed, max));
                seen.extend(rest);
                prop_assert_eq!(&seen, &expected, "{:?} cut at {}", kind, cut);
                prop_assert_eq!(end, last);
            }
        }
    }

    /// Without control blocks the events are resumed alike, and the ends are left out.
    #[test]
    fn stream_without_controls_cut_at_every_byte_delivers_each_event_once(items in any_items(), batch in 1..4_usize, max in 0..200_usize) {
        let items: Vec<_> = items.into_iter().filter(|item| !matches!(item, Item::Gap)).collect();
        let (feed, kind) = (feed(&items), Kind::SseWithoutControls);
        let whole = kind.bytes(feed.reader().batches_of(batch), max);
        let (expected, _) = read(kind, &whole);
        prop_assert_eq!(expected.len(), items.iter().filter(|item| matches!(item, Item::Event(..))).count());
        for cut in 0..=whole.len() {
            let (mut seen, cursor) = read(kind, &whole[..cut]);
            let resumed = feed.resume(cursor.unwrap_or(Cursor::new(7, 0))).batches_of(batch);
            seen.extend(read(kind, &kind.bytes(resumed, max)).0);
            prop_assert_eq!(&seen, &expected, "cut at {}", cut);
        }
    }

    /// A client that polls with the cursor of each reply gets each item once, then an end, and an end again whenever it polls.
    #[test]
    fn polls_in_sequence_deliver_each_end_once(items in any_items(), batch in 1..4_usize, max in 0..200_usize) {
        let feed = feed(&items);
        let (mut inbox, mut cursor, mut seen) = (Inbox::default(), Cursor::new(7, 0), Vec::new());
        let mut ends = 0;
        while ends < 3 {
            let reply = PollQueue::new(feed.resume(cursor).batches_of(batch)).max_batch_bytes(max).reply();
            prop_assert!(!(reply.more && reply.has_ended()));
            prop_assert!(ends == 0 || (reply.is_empty() && reply.has_ended()));
            let body = reply.into_parts().concat();
            cursor = read_reply(&body, &mut inbox).unwrap().unwrap().parse().unwrap();
            while let Some(item) = inbox.take() {
                match item {
                    Seen::End(ClientEnd::AllEnded) => ends += 1,
                    item => seen.push(item),
                }
            }
        }
        prop_assert_eq!(seen.len(), items.len() + 1);
        let reported = seen.iter().filter(|item| matches!(item, Seen::TopicEnd(_))).count();
        prop_assert_eq!(reported, 1 + items.iter().filter(|item| matches!(item, Item::End(..))).count());
    }
}
