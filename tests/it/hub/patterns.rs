//! Subscriptions of patterns.

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;

use tidings::subscriber::EncodedDelivery;
use tidings::{Event, GapReason, LocalHub, Overflow, Pattern, Retention, Start, Subscribe, Subscriber};

use crate::support::{CountingFormat, VirtualTimer, next_gap, poll, poll_encoded, publish_text, ready_items, topic};

#[test]
fn pattern_follows_a_topic_from_its_first_event_and_after_each_removal() {
    for retention in [Retention::default().age(Duration::from_secs(1)), Retention::count(0)] {
        let clock = VirtualTimer::new();
        let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
        let mut all = hub.subscribe(Subscribe::patterns(["orders/*", "news"])).unwrap();
        assert_eq!(publish_text(&hub, "orders", "not below itself"), 0);
        for text in ["first", "second", "third"] {
            assert_eq!(publish_text(&hub, "orders/eu", text), 1);
            assert_eq!(publish_text(&hub, "orders/eu/7", "too deep"), 0);
            assert_eq!(publish_text(&hub, "news", text), 1);
            assert_eq!(ready_items(&mut all), [format!("orders/eu: {text}"), format!("news: {text}")]);
            clock.advance(Duration::from_secs(2));
            hub.sweep();
            assert_eq!(hub.stats().topics, 1, "only the topic that is followed by its name");
        }
    }
}

#[test]
fn event_matched_by_several_names_is_delivered_once() {
    let hub = LocalHub::new();
    let mut all = hub.subscribe(Subscribe::patterns(["a/b", "a/*", "a/**", "c/*", "a/b/*", "c", "c/d"])).unwrap();
    let names: BTreeSet<_> = all.info().topics().iter().map(Pattern::to_string).collect();
    assert_eq!(names, ["a/**", "c", "c/*"].map(String::from).into());
    let mut boxed: Box<dyn Subscriber> = Box::new(hub.subscribe(Subscribe::topics(["c", "c"])).unwrap());
    assert_eq!(boxed.info().topics(), [Pattern::new("c").unwrap()]);
    boxed.release();
    assert_eq!(
        [
            publish_text(&hub, "a/b", "1"),
            publish_text(&hub, "c/d", "2"),
            publish_text(&hub, "a/b/c", "3"),
            publish_text(&hub, "c", "4")
        ],
        [1, 1, 1, 2]
    );
    assert_eq!(ready_items(&mut all), ["a/b: 1", "c/d: 2", "a/b/c: 3", "c: 4"]);
}

#[test]
fn subscriber_count_includes_patterns_and_creates_no_topic() {
    let hub = LocalHub::new();
    let (one, two) = (
        hub.subscribe(Subscribe::patterns(["a/**"])).unwrap(),
        hub.subscribe(Subscribe::patterns(["a/b", "**"])).unwrap(),
    );
    let three = hub.subscribe(Subscribe::topics(["a/b"])).unwrap();
    let present = || ["a/b", "a/c", "a"].map(|name| hub.subscribers(&topic(name)));
    assert_eq!(present(), [3, 2, 1]);
    drop((three, one));
    assert_eq!(present(), [1, 1, 1]);
    drop(two);
    assert_eq!(present(), [0, 0, 0]);
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.patterns, stats.subscriptions), (0, 0, 0));
}

#[test]
fn pattern_resume_yields_retained_events_in_order_and_gaps_for_the_rest() {
    let clock = VirtualTimer::new();
    let hub = LocalHub::builder()
        .retain(Retention::default().age(Duration::from_secs(1)))
        .retain_for("a/kept/**", Retention::default())
        .clock(clock.clone())
        .build();
    let start = hub.cursor();
    for (n, name) in ["a/kept/x", "a/gone/x", "b", "a/kept/y", "a/gone/y", "a/kept/x"].iter().enumerate() {
        publish_text(&hub, name, &n);
    }
    clock.advance(Duration::from_secs(2));
    hub.sweep();
    assert_eq!((hub.stats().topics, hub.stats().tombstones), (2, 3), "the tombstone of b has no effect");

    let resume = |cursor| hub.subscribe(Subscribe::patterns(["a/**"]).start(Start::After(cursor))).unwrap();
    let expected = ["a/kept/x: 0", "-a/gone/x", "a/kept/y: 3", "-a/gone/y", "a/kept/x: 5"];
    assert_eq!(ready_items(&mut resume(start)), expected);
    let mut back = resume(start);
    for n in 1..=expected.len() {
        let _ = poll(&mut back);
        back = resume(back.cursor().unwrap());
        assert_eq!(ready_items(&mut resume(back.cursor().unwrap())), expected[n..], "no gap is repeated");
    }
    let mut back = resume(start);
    let _ = poll(&mut back);
    let gap = next_gap(&mut back);
    assert_eq!((gap.reason, gap.missed, gap.cursor.sequence()), (GapReason::Evicted, None, 2));
    let mut other = hub.subscribe(Subscribe::patterns(["a/kept/*"]).start(Start::After(start))).unwrap();
    assert_eq!(ready_items(&mut other), ["a/kept/x: 0", "a/kept/y: 3", "a/kept/x: 5"]);
    assert_eq!(other.cursor(), Some(hub.cursor()));
}

#[test]
fn pattern_start_applies_to_each_topic() {
    let hub = LocalHub::new();
    for n in 0..3 {
        ["p/a", "p/b"].iter().for_each(|name| _ = publish_text(&hub, name, &n));
    }
    let from = |start| ready_items(&mut hub.subscribe(Subscribe::patterns(["p/*"]).start(start)).unwrap());
    assert_eq!(from(Start::Oldest), ["p/a: 0", "p/b: 0", "p/a: 1", "p/b: 1", "p/a: 2", "p/b: 2"]);
    assert_eq!(from(Start::Last(1)), ["p/a: 2", "p/b: 2"]);
    assert_eq!(from(Start::Now), [""; 0]);
    let mut lost = hub.subscribe(Subscribe::patterns(["p/*"]).start(Start::Unreadable)).unwrap();
    assert_eq!((next_gap(&mut lost).reason, ready_items(&mut lost).len()), (GapReason::Invalid, 0));
}

#[test]
fn forgotten_tombstone_yields_gap_to_every_pattern() {
    let hub = LocalHub::builder().retain(Retention::count(0)).build();
    let start = hub.cursor();
    for n in 0..=65_536 {
        publish_text(&hub, &format!("once/{n}"), "");
    }
    let mut one = hub.subscribe(Subscribe::patterns(["other/*"]).start(Start::After(start))).unwrap();
    let gap = next_gap(&mut one);
    assert_eq!((gap.reason, gap.missed, gap.topic), (GapReason::Evicted, None, None));
    assert_eq!(gap.cursor.sequence(), 1, "the forgotten tombstone");
    assert!(poll(&mut one).is_pending());
    // Consecutive gaps are joined.
    let mut all = hub.subscribe(Subscribe::patterns(["once/*"]).start(Start::After(start))).unwrap();
    let gap = next_gap(&mut all);
    assert_eq!((gap.topic, gap.cursor), (None, hub.cursor()));
    assert!(poll(&mut all).is_pending());
}

#[test]
fn burst_over_many_topics_is_encoded_once_and_shared_as_one_piece() {
    let (hub, format) = (LocalHub::new(), CountingFormat::default());
    let mut all: Vec<_> = (0..100).map(|_| hub.subscribe(Subscribe::patterns(["**"])).unwrap()).collect();
    // Fills the small segments that a log starts with.
    (0..200).for_each(|n| _ = publish_text(&hub, "warm", &n));
    all.iter_mut().for_each(|subscription| drop(ready_items(subscription)));
    hub.publish_batch((0..40).map(|n| (topic(format!("t/{n}")), Event::text("burst")))).unwrap();
    let mut pieces = BTreeSet::new();
    for subscription in &mut all {
        let Poll::Ready(EncodedDelivery::Events(piece)) = poll_encoded(subscription, &format, 64 * 1024) else {
            panic!("no events");
        };
        assert_eq!(piece.events, 40);
        pieces.insert((piece.bytes.as_ptr() as usize, piece.bytes.len()));
        assert!(poll_encoded(subscription, &format, 64 * 1024).is_pending());
    }
    assert_eq!((pieces.len(), format.encoded()), (1, 40));
}

#[test]
fn latest_over_a_pattern_compares_keys_within_each_topic() {
    let hub = LocalHub::new();
    let mut ticker = hub.subscribe(Subscribe::patterns(["prices/*"]).overflow(Overflow::Latest)).unwrap();
    let tick = |name: &str, key: &str, price: usize| {
        hub.publish_now(topic(name), Event::text(format!("{key} {price}")).with_key(key).unwrap()).unwrap();
    };
    for price in 0..50 {
        tick("prices/eu", "corn", price);
        tick("prices/us", "corn", price);
        tick("prices/eu", "oats", price);
    }
    assert_eq!(ready_items(&mut ticker), ["prices/eu: corn 49", "prices/us: corn 49", "prices/eu: oats 49"]);
    for price in 0..2_000 {
        tick("prices/eu", "corn", price);
        tick("prices/us", "corn", price);
    }
    let end: Vec<_> = std::iter::from_fn(|| match poll(&mut ticker) {
        Poll::Ready(delivery) => Some(delivery),
        Poll::Pending => None,
    })
    .collect();
    assert!(end.len() < 20, "conflated also after the subscription lagged: {}", end.len());
}

#[test]
fn pattern_without_subscriptions_holds_no_events() {
    let hub = LocalHub::new();
    publish_text(&hub, "a/b", "before");
    let payload = bytes::Bytes::from(vec![0_u8; 1 << 10]);
    for _ in 0..10 {
        let subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        assert_eq!(hub.stats().patterns, 1);
        hub.publish_now(topic("a/c"), Event::binary(payload.clone())).unwrap();
        drop(subscription);
        assert_eq!(hub.stats().patterns, 0);
    }
    assert_eq!(publish_text(&hub, "a/b", "after"), 0);
    hub.close();
    drop(hub);
    assert!(payload.is_unique());
}

#[test]
fn narrowest_pattern_decides_the_retention() {
    let hub = LocalHub::builder()
        .retain_for("**", Retention::count(5))
        .retain_for("a/**", Retention::count(9))
        .retain_for("a/**", Retention::count(4))
        .retain_for("a/b/*", Retention::count(3))
        .retain_for("a/b/**", Retention::count(2))
        .retain_for("a/b/c", Retention::count(1))
        .retain(Retention::count(6))
        .build();
    let kept = |name| {
        (0..20).for_each(|n| _ = publish_text(&hub, name, &n));
        ready_items(&mut hub.subscribe(Subscribe::topics([name]).start(Start::Oldest)).unwrap()).len()
    };
    assert_eq!(["a/b/c", "a/b/d", "a/b/d/e", "a/c", "b"].map(kept), [1, 3, 2, 4, 5]);
}

#[test]
#[should_panic(expected = "retain_for takes a topic or a pattern: pattern has a misplaced '*'")]
fn invalid_retention_pattern_panics_with_the_reason() {
    let _ = LocalHub::builder().retain_for("prices/*/eu", Retention::count(1));
}
