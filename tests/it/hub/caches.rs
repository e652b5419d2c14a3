//! Encoded events under the hub's byte budget.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidings::subscriber::{EncodedDelivery, EventRef, Format, Slot};
use tidings::{Start, Subscribe, Subscriber, Subscription};

use super::budget::{hub, kib, publish, topic};
use super::model::Lines;

#[test]
fn caches_of_sealed_segments_go_before_history_and_that_of_the_newest_stays() {
    // Read when all is there, or along.
    for (events, every) in [(200, 200), (800, 20)] {
        let (hub, limit, a) = (hub(3_000_000), 3_000_000, topic("a"));
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
            publish(&hub, &topic("other"), 1);
            let after = hub.stats();
            assert!(after.bytes <= limit);
            assert!(after.evicted == 0 || before.cached_bytes < 160 * 1024, "history went before caches: {before:?}");
        }
        let left = hub.stats();
        assert!(left.cached_bytes > 0 && left.cached_bytes < full.cached_bytes, "{left:?}");
        let mut back = hub.subscribe(Subscribe::topics([&a]).start(Start::Last(1))).unwrap();
        assert_eq!(encode(&mut back), 0, "the newest segment's cache is still there");
    }
}

#[test]
fn caches_take_a_quarter_of_the_budget_at_most() {
    let (hub, limit) = (hub(1_000_000), 1_000_000);
    (0..10).for_each(|n| publish(&hub, &topic(n), 100));
    for start in [Start::Oldest, Start::Last(3), Start::Oldest] {
        for n in 0..10 {
            let mut reader = hub.subscribe(Subscribe::topics([topic(n)]).start(start)).unwrap();
            encode(&mut reader);
            let stats = hub.stats();
            assert!(stats.cached_bytes > 0 && stats.cached_bytes <= limit / 4 && stats.bytes <= limit, "{stats:?}");
        }
    }
    // Each fan-out of what is newest is still encoded once, though the budget is spent.
    for n in 0..10 {
        let mut readers = [(); 3].map(|()| hub.subscribe(Subscribe::topics([topic(n)])).unwrap());
        hub.publish_now(topic(n), kib()).unwrap();
        assert_eq!(readers.each_mut().map(encode), [1, 0, 0]);
    }
}

#[test]
fn nothing_is_kept_for_who_follows_a_topic_alone() {
    let hub = hub(1_000_000);
    let mut alone = hub.subscribe(Subscribe::topics([topic("a")])).unwrap();
    assert_eq!(encode(&mut alone), 0, "it waits");
    publish(&hub, &topic("a"), 3);
    assert_eq!((encode(&mut alone), hub.stats().cached_bytes), (3, 0));

    // Another one comes: what both read is encoded once.
    let mut other = hub.subscribe(Subscribe::topics([topic("a")])).unwrap();
    publish(&hub, &topic("a"), 2);
    assert_eq!([encode(&mut alone), encode(&mut other)], [2, 0]);

    // Those who only come to read may have others behind them.
    drop((alone, other));
    let mut polls = [(); 2].map(|()| {
        let mut poll = hub.subscribe(Subscribe::topics([topic("a")]).start(Start::Oldest)).unwrap();
        encode(&mut poll)
    });
    polls.sort_unstable();
    assert_eq!(polls[0], 0);
}

/// Counts the events that it encodes.
struct Counting(AtomicUsize);

impl Format for Counting {
    fn slot(&self) -> Option<Slot> {
        Some(Slot::APPLICATION[0])
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut bytes::BytesMut) {
        self.0.fetch_add(1, Ordering::Relaxed);
        Lines(None).encode(event, out);
    }
}

/// Reads everything encoded. Returns how many events had to be encoded for it.
pub(super) fn encode(subscription: &mut Subscription) -> usize {
    let format = Counting(AtomicUsize::new(0));
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(EncodedDelivery::Events(_)) = subscription.poll_encoded(&mut cx, &format, 1 << 20) {}
    format.0.into_inner()
}
