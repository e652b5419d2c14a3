//! Promises of a subscription of a pattern beyond those of one of topics.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidings::subscriber::{Delivery, EncodedDelivery, EventRef, Format, Slot};
use tidings::{
    Event, Gap, GapReason, LocalHub, Overflow, Pattern, Retention, Start, Subscribe, Subscriber, Subscription, Topic,
};

use super::model::{Lines, ManualClock};

pub(super) fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// Publishes, and says how many follow.
pub(super) fn say(hub: &LocalHub, name: &str, text: &(impl ToString + ?Sized)) -> usize {
    hub.publish_now(topic(name), text.to_string()).unwrap().subscribers()
}

pub(super) fn poll(subscription: &mut Subscription) -> Poll<Delivery> {
    subscription.poll_next(&mut Context::from_waker(Waker::noop()))
}

fn gap(subscription: &mut Subscription) -> Gap {
    match poll(subscription) {
        Poll::Ready(Delivery::Gap(gap)) => gap,
        other => panic!("{other:?}"),
    }
}

/// Everything that is ready: `topic: text`, and `-topic` of a gap.
pub(super) fn events(subscription: &mut Subscription) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        match poll(subscription) {
            Poll::Ready(Delivery::Events(batch)) => {
                assert!(batch.iter().all(|event| event.topic == batch.topic()), "one topic a batch");
                let told = batch.iter().map(|event| format!("{}: {}", event.topic, event.event.as_str().unwrap()));
                events.extend(told);
            }
            Poll::Ready(Delivery::Gap(gap)) => events.push(format!("-{}", gap.topic.unwrap())),
            _ => return events,
        }
    }
}

#[test]
fn a_topic_is_followed_from_its_first_event_and_each_time_that_it_comes_back() {
    for retention in [Retention::default().age(Duration::from_secs(1)), Retention::count(0)] {
        let clock = ManualClock::new();
        let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
        let mut all = hub.subscribe(Subscribe::patterns(["orders/*", "news"])).unwrap();
        assert_eq!(say(&hub, "orders", "not below itself"), 0);
        for life in ["first", "second", "third"] {
            assert_eq!(say(&hub, "orders/eu", life), 1);
            assert_eq!(say(&hub, "orders/eu/7", "too deep"), 0);
            assert_eq!(say(&hub, "news", life), 1);
            assert_eq!(events(&mut all), [format!("orders/eu: {life}"), format!("news: {life}")]);
            clock.advance(Duration::from_secs(2));
            hub.sweep();
            assert_eq!(hub.stats().topics, 1, "only the one that is followed by its name");
        }
    }
}

#[test]
fn what_several_names_match_comes_once() {
    let hub = LocalHub::new();
    let mut all = hub.subscribe(Subscribe::patterns(["a/b", "a/*", "a/**", "c/*", "a/b/*", "c", "c/d"])).unwrap();
    let names: BTreeSet<_> = all.info().topics().iter().map(Pattern::to_string).collect();
    assert_eq!(names, ["a/**", "c", "c/*"].map(String::from).into());
    let mut boxed: Box<dyn Subscriber> = Box::new(hub.subscribe(Subscribe::topics(["c", "c"])).unwrap());
    assert_eq!(boxed.info().topics(), [Pattern::new("c").unwrap()]);
    boxed.release();
    assert_eq!(
        [say(&hub, "a/b", "1"), say(&hub, "c/d", "2"), say(&hub, "a/b/c", "3"), say(&hub, "c", "4")],
        [1, 1, 1, 2]
    );
    assert_eq!(events(&mut all), ["a/b: 1", "c/d: 2", "a/b/c: 3", "c: 4"]);
}

#[test]
fn presence_counts_who_follows_by_a_pattern_and_makes_no_topic() {
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
fn a_cursor_on_a_pattern_gets_what_is_retained_in_order_and_is_told_of_the_rest() {
    let clock = ManualClock::new();
    let hub = LocalHub::builder()
        .retain(Retention::default().age(Duration::from_secs(1)))
        .retain_for("a/kept/**", Retention::default())
        .clock(clock.clone())
        .build();
    let start = hub.cursor();
    for (n, name) in ["a/kept/x", "a/gone/x", "b", "a/kept/y", "a/gone/y", "a/kept/x"].iter().enumerate() {
        say(&hub, name, &n);
    }
    clock.advance(Duration::from_secs(2));
    hub.sweep();
    assert_eq!((hub.stats().topics, hub.stats().tombstones), (2, 3), "b's is none of ours");

    let resume = |cursor| hub.subscribe(Subscribe::patterns(["a/**"]).start(Start::After(cursor))).unwrap();
    let told = ["a/kept/x: 0", "-a/gone/x", "a/kept/y: 3", "-a/gone/y", "a/kept/x: 5"];
    assert_eq!(events(&mut resume(start)), told);
    let mut back = resume(start);
    for n in 1..=told.len() {
        let _ = poll(&mut back);
        back = resume(back.cursor().unwrap());
        assert_eq!(events(&mut resume(back.cursor().unwrap())), told[n..], "who was told is not told twice");
    }
    let mut back = resume(start);
    let _ = poll(&mut back);
    let told = gap(&mut back);
    assert_eq!((told.reason, told.missed, told.cursor.sequence()), (GapReason::Evicted, None, 2));
    let mut other = hub.subscribe(Subscribe::patterns(["a/kept/*"]).start(Start::After(start))).unwrap();
    assert_eq!(events(&mut other), ["a/kept/x: 0", "a/kept/y: 3", "a/kept/x: 5"]);
    assert_eq!(other.cursor(), Some(hub.cursor()));
}

#[test]
fn each_start_is_that_of_each_topic() {
    let hub = LocalHub::new();
    for n in 0..3 {
        ["p/a", "p/b"].iter().for_each(|name| _ = say(&hub, name, &n));
    }
    let from = |start| events(&mut hub.subscribe(Subscribe::patterns(["p/*"]).start(start)).unwrap());
    assert_eq!(from(Start::Oldest), ["p/a: 0", "p/b: 0", "p/a: 1", "p/b: 1", "p/a: 2", "p/b: 2"]);
    assert_eq!(from(Start::Last(1)), ["p/a: 2", "p/b: 2"]);
    assert_eq!(from(Start::Now), [""; 0]);
    let mut lost = hub.subscribe(Subscribe::patterns(["p/*"]).start(Start::Unreadable)).unwrap();
    assert_eq!((gap(&mut lost).reason, events(&mut lost).len()), (GapReason::Invalid, 0));
}

#[test]
fn a_topic_that_is_forgotten_may_have_been_missed_by_any_pattern() {
    let hub = LocalHub::builder().retain(Retention::count(0)).build();
    let start = hub.cursor();
    for n in 0..=65_536 {
        say(&hub, &format!("once/{n}"), "");
    }
    let mut one = hub.subscribe(Subscribe::patterns(["other/*"]).start(Start::After(start))).unwrap();
    let told = gap(&mut one);
    assert_eq!((told.reason, told.missed, told.topic), (GapReason::Evicted, None, None));
    assert_eq!(told.cursor.sequence(), 1, "the one that is forgotten");
    assert!(poll(&mut one).is_pending());
    // Gaps with nothing between them are one.
    let mut all = hub.subscribe(Subscribe::patterns(["once/*"]).start(Start::After(start))).unwrap();
    let told = gap(&mut all);
    assert_eq!((told.topic, told.cursor), (None, hub.cursor()));
    assert!(poll(&mut all).is_pending());
}

#[test]
fn a_burst_over_many_topics_is_encoded_once_and_is_one_piece_for_each() {
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

    let (hub, format) = (LocalHub::new(), Counting(AtomicUsize::new(0)));
    let mut all: Vec<_> = (0..100).map(|_| hub.subscribe(Subscribe::patterns(["**"])).unwrap()).collect();
    // Fills the small segments that a log begins with.
    (0..200).for_each(|n| _ = say(&hub, "warm", &n));
    all.iter_mut().for_each(|subscription| drop(events(subscription)));
    hub.publish_batch((0..40).map(|n| (topic(&format!("t/{n}")), Event::text("burst")))).unwrap();
    let mut pieces = BTreeSet::new();
    for subscription in &mut all {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(EncodedDelivery::Events(piece)) = subscription.poll_encoded(&mut cx, &format, 64 * 1024) else {
            panic!("there is something");
        };
        assert_eq!(piece.events, 40);
        pieces.insert((piece.bytes.as_ptr() as usize, piece.bytes.len()));
        assert!(subscription.poll_encoded(&mut cx, &format, 64 * 1024).is_pending());
    }
    assert_eq!((pieces.len(), format.0.load(Ordering::Relaxed)), (1, 40));
}

#[test]
fn the_latest_is_that_of_each_key_of_each_topic() {
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
    assert_eq!(events(&mut ticker), ["prices/eu: corn 49", "prices/us: corn 49", "prices/eu: oats 49"]);
    for price in 0..2_000 {
        tick("prices/eu", "corn", price);
        tick("prices/us", "corn", price);
    }
    let end: Vec<_> = std::iter::from_fn(|| match poll(&mut ticker) {
        Poll::Ready(delivery) => Some(delivery),
        Poll::Pending => None,
    })
    .collect();
    assert!(end.len() < 20, "conflated also where it was outrun: {}", end.len());
}

#[test]
fn a_pattern_that_nobody_follows_any_more_costs_its_topics_nothing() {
    let hub = LocalHub::new();
    say(&hub, "a/b", "before");
    let payload = bytes::Bytes::from(vec![0_u8; 1 << 10]);
    for _ in 0..10 {
        let subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        assert_eq!(hub.stats().patterns, 1);
        hub.publish_now(topic("a/c"), Event::binary(payload.clone())).unwrap();
        drop(subscription);
        assert_eq!(hub.stats().patterns, 0);
    }
    assert_eq!(say(&hub, "a/b", "after"), 0);
    hub.close();
    drop(hub);
    assert!(payload.is_unique());
}

#[test]
fn retention_is_that_of_the_narrowest_pattern() {
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
        (0..20).for_each(|n| _ = say(&hub, name, &n));
        events(&mut hub.subscribe(Subscribe::topics([name]).start(Start::Oldest)).unwrap()).len()
    };
    assert_eq!(["a/b/c", "a/b/d", "a/b/d/e", "a/c", "b"].map(kept), [1, 3, 2, 4, 5]);
}

#[test]
#[should_panic(expected = "retain_for takes a topic or a pattern: pattern has a misplaced '*'")]
fn a_bad_pattern_is_told_when_the_hub_is_built() {
    let _ = LocalHub::builder().retain_for("prices/*/eu", Retention::count(1));
}
