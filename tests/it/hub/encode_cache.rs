//! Encode caches of segments and the byte budget.

use std::task::Poll;

use tidings::subscriber::EncodedDelivery;
use tidings::{LocalHub, Start, Subscribe, Subscription};

use super::budget::{hub, kib, publish};
use crate::support::{CountingFormat, LineFormat, poll_encoded, subtopic};

#[test]
fn encode_caches_of_sealed_segments_are_evicted_before_history_and_newest_one_stays() {
    // Read at the end, or every 20 events.
    for (events, every) in [(200, 200), (800, 20)] {
        let (hub, limit, a) = (hub(3_000_000), 3_000_000, subtopic("a"));
        let mut readers = [(); 2].map(|()| hub.subscribe(Subscribe::topics([&a])).unwrap());
        let mut encoded = [0, 0];
        for _ in 0..events / every {
            publish(&hub, &a, every);
            let more = readers.each_mut().map(encode);
            encoded = [encoded[0] + more[0], encoded[1] + more[1]];
        }
        assert_eq!(encoded, [events, 0], "encoded once for both");
        drop(readers);

        let full = hub.stats();
        assert!(full.cached_bytes > 200 * 1024, "{full:?}");
        while hub.stats().evicted == 0 {
            let before = hub.stats();
            publish(&hub, &subtopic("other"), 1);
            let after = hub.stats();
            assert!(after.bytes <= limit);
            assert!(
                after.evicted == 0 || before.cached_bytes < 160 * 1024,
                "history was evicted before caches: {before:?}"
            );
        }
        let left = hub.stats();
        assert!(left.cached_bytes > 0 && left.cached_bytes < full.cached_bytes, "{left:?}");
        let mut back = hub.subscribe(Subscribe::topics([&a]).start(Start::Last(1))).unwrap();
        assert_eq!(encode(&mut back), 0, "the cache of the newest segment is kept");
    }
}

#[test]
fn encode_caches_hold_at_most_a_quarter_of_the_budget() {
    let (hub, limit) = (hub(1_000_000), 1_000_000);
    (0..10).for_each(|n| publish(&hub, &subtopic(n), 100));
    for start in [Start::Oldest, Start::Last(3), Start::Oldest] {
        for n in 0..10 {
            let mut reader = hub.subscribe(Subscribe::topics([subtopic(n)]).start(start)).unwrap();
            encode(&mut reader);
            let stats = hub.stats();
            assert!(stats.cached_bytes > 0 && stats.cached_bytes <= limit / 4 && stats.bytes <= limit, "{stats:?}");
        }
    }
    // A new event is encoded once for all subscriptions, although the budget is spent.
    for n in 0..10 {
        let mut readers = [(); 3].map(|()| hub.subscribe(Subscribe::topics([subtopic(n)])).unwrap());
        hub.publish_now(subtopic(n), kib()).unwrap();
        assert_eq!(readers.each_mut().map(encode), [1, 0, 0]);
    }
}

#[test]
fn encode_cache_keeps_nothing_for_the_only_subscription_of_a_topic() {
    let hub = hub(1_000_000);
    let mut alone = hub.subscribe(Subscribe::topics([subtopic("a")])).unwrap();
    assert_eq!(encode(&mut alone), 0, "it waits");
    publish(&hub, &subtopic("a"), 3);
    assert_eq!((encode(&mut alone), hub.stats().cached_bytes), (3, 0));

    // A second subscription shares the encoded events.
    let mut other = hub.subscribe(Subscribe::topics([subtopic("a")])).unwrap();
    publish(&hub, &subtopic("a"), 2);
    assert_eq!([encode(&mut alone), encode(&mut other)], [2, 0]);

    // A subscription that starts at the oldest event may be followed by others, so its events are kept.
    drop((alone, other));
    let mut polls = [(); 2].map(|()| {
        let mut poll = hub.subscribe(Subscribe::topics([subtopic("a")]).start(Start::Oldest)).unwrap();
        encode(&mut poll)
    });
    polls.sort_unstable();
    assert_eq!(polls[0], 0);
}

/// Reads everything encoded. Returns the number of events that were encoded for it.
pub(super) fn encode(subscription: &mut Subscription) -> usize {
    let format = CountingFormat::default();
    while let Poll::Ready(EncodedDelivery::Events(_)) = poll_encoded(subscription, &format, 1 << 20) {}
    format.encoded()
}

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
