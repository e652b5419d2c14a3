//! Copies of the bytes of kept events, which readers share.

use std::task::Poll;

use tidings::subscriber::EncodedDelivery;
use tidings::{LocalHub, Start, Subscribe};

use crate::support::{LineFormat, poll_encoded};

/// The events that are left out are much longer than those that are kept.
#[test]
fn copy_of_kept_events_has_no_room_for_those_left_out() {
    let (hub, short) = (LocalHub::new(), "x".repeat(1_000));
    let subscribe = || {
        let subscribe = Subscribe::topics(["news"]).start(Start::Oldest);
        hub.subscribe(subscribe.filter(|event| event.event.payload().len() < 2_000)).unwrap()
    };
    let mut subscriptions = [(); 3].map(|()| subscribe());
    for _ in 0..2 {
        hub.publish_now("news", short.clone()).unwrap();
    }
    hub.publish_now("news", "x".repeat(40_000)).unwrap();
    hub.publish_now("news", short).unwrap();
    let copies = subscriptions.each_mut().map(|subscription| {
        let mut pieces = Vec::new();
        while let Poll::Ready(EncodedDelivery::Events(events)) = poll_encoded(subscription, &LineFormat::CACHED, 64_000)
        {
            pieces.push(events);
        }
        pieces.into_iter().max_by_key(|events| events.events).unwrap()
    });
    assert!(copies.iter().all(|events| events.events > 1), "{copies:?}");
    assert_eq!(copies[1].bytes.as_ptr(), copies[2].bytes.as_ptr(), "a reader shares the copy of one before it");
    drop((hub, subscriptions));
    let [first, shared, other] = copies.map(|events| events.bytes);
    drop(other);
    for copy in [first, shared] {
        let len = copy.len();
        assert_eq!(copy.try_into_mut().unwrap().capacity(), len);
    }
}
