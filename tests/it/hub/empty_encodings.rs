//! Counts of events for which a format writes no bytes.

use std::task::Poll;

use bytes::BytesMut;
use proptest::prelude::*;
use tidings::subscriber::{EncodedDelivery, EventRef, Format, Slot};
use tidings::{Event, LocalHub, Overflow, Subscribe, Subscription};

use crate::support::{poll_encoded, topic};

/// A format that writes the payload only.
struct PayloadFormat(Option<Slot>);

impl Format for PayloadFormat {
    fn slot(&self) -> Option<Slot> {
        self.0
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        out.extend_from_slice(event.event.payload());
    }
}

/// Reads everything. Returns the bytes, the number of events and the number of conflated events.
fn read(subscription: &mut Subscription, slot: Option<Slot>, max: usize) -> (Vec<u8>, u32, u32) {
    let (mut bytes, mut events, mut conflated) = (Vec::new(), 0, 0);
    while let Poll::Ready(encoded) = poll_encoded(subscription, &PayloadFormat(slot), max) {
        let EncodedDelivery::Events(encoding) = encoded else { panic!("{encoded:?}") };
        assert!(encoding.events > 0, "at least one event");
        let written = encoding.bytes.iter().filter(|byte| **byte == b'<').count();
        assert!(written <= 1 || encoding.bytes.len() <= max, "{written} events beyond {max} bytes");
        bytes.extend_from_slice(&encoding.bytes);
        (events, conflated) = (events + encoding.events, conflated + encoding.conflated);
    }
    (bytes, events, conflated)
}

proptest! {
    /// For any names and any way to read, each event is counted, whether bytes are written for it or not.
    #[test]
    fn events_with_an_empty_encoding_are_counted(
        payloads in prop::collection::vec((0..3_usize, 0..3_usize, prop_oneof![2 => Just(0), 1 => 1..60_usize]), 1..60),
        is_latest in any::<bool>(),
        slot in prop_oneof![Just(None), Just(Some(Slot::APPLICATION[0]))],
        max in 1..100_usize,
    ) {
        let overflow = if is_latest { Overflow::Latest } else { Overflow::Gap };
        let topics = ["a", "b", "c"];
        let hub = LocalHub::new();
        let follow = |subscribe: Subscribe| hub.subscribe(subscribe.overflow(overflow)).unwrap();
        let mut all: Vec<_> = topics.iter().map(|topic| (vec![*topic], follow(Subscribe::topics([*topic])))).collect();
        all.push((vec!["a", "b"], follow(Subscribe::topics(["a", "b"]))));
        all.push((topics.to_vec(), follow(Subscribe::patterns(["*"]))));
        for (index, key, len) in &payloads {
            let event = Event::text(format!("{:<len$}", if *len > 0 { "<" } else { "" })).with_key(&key.to_string()).unwrap();
            hub.publish_now(topic(topics[*index]), event).unwrap();
        }
        for (followed, subscription) in &mut all {
            let published: Vec<_> = payloads.iter().filter(|(topic, ..)| followed.contains(&topics[*topic])).collect();
            let (bytes, events, conflated) = read(subscription, slot, max);
            prop_assert_eq!((events + conflated) as usize, published.len(), "{:?}", followed);
            if !is_latest {
                prop_assert_eq!(bytes.len(), published.iter().map(|(.., len)| len).sum::<usize>());
            }
        }
    }
}
