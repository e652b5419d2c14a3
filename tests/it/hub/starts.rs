//! Topics of a subscription with their own start or overflow.

use std::task::Poll;

use tidings::subscriber::{Delivery, SubscriptionEnd};
use tidings::{
    Cursor, Event, GapReason, LocalHub, Overflow, Retention, Start, Subscribe, SubscribeError, Subscriber, Subscription,
};

use crate::support::{next_gap, poll, publish_text, ready_items, topic};

/// Returns a hub with three events of each of the topics `a`, `b`, `x/1` and `x/2`, published in turn.
fn hub() -> LocalHub {
    let hub = LocalHub::new();
    for number in 1..=3 {
        for name in ["a", "b", "x/1", "x/2"] {
            publish_text(&hub, name, &number);
        }
    }
    hub
}

fn subscribe(hub: &LocalHub, subscribe: Subscribe) -> Subscription {
    hub.subscribe(subscribe).unwrap()
}

fn error(subscribe: Subscribe) -> SubscribeError {
    hub().subscribe(subscribe).unwrap_err()
}

/// Reads one delivery. Returns the cursor after it.
fn step(subscription: &mut Subscription) -> Cursor {
    assert!(matches!(poll(subscription), Poll::Ready(_)));
    subscription.cursor().unwrap()
}

#[test]
fn single_topic_starts_at_its_own_start() {
    let hub = hub();
    for all in [Start::Now, Start::Oldest, Start::Last(1)] {
        let a = Subscribe::topics(["a"]).start(all);
        let own = a.clone().start_of("a", Start::Last(2));
        assert_eq!(ready_items(&mut subscribe(&hub, own)), ["a: 2", "a: 3"]);
        assert!(ready_items(&mut subscribe(&hub, a.start_of("a", Start::Now))).is_empty());
    }
}

#[test]
fn topics_with_their_own_start_use_it_and_others_the_common_start() {
    let all = || Subscribe::topics(["a", "b", "x/1"]);
    let read = |what| {
        let hub = hub();
        let mut subscription = subscribe(&hub, what);
        let read = ready_items(&mut subscription);
        for name in ["a", "b", "x/1"] {
            publish_text(&hub, name, "live");
        }
        assert_eq!(ready_items(&mut subscription), ["a: live", "b: live", "x/1: live"]);
        read
    };
    assert_eq!(read(all().start_of("b", Start::Oldest)), ["b: 1", "b: 2", "b: 3"]);
    let mixed = all().start(Start::Last(1)).start_of("a", Start::Now).start_of("x/1", Start::Last(2));
    assert_eq!(read(mixed), ["x/1: 2", "b: 3", "x/1: 3"]);
    let one = all().start(Start::Oldest).start_of("a", Start::Now).start_of("b", Start::Now);
    assert_eq!(read(one), ["x/1: 1", "x/1: 2", "x/1: 3"]);
    assert!(read(all().start_of("a", Start::Last(0))).is_empty());
}

#[test]
fn pattern_and_topic_start_at_their_own_starts() {
    let hub = hub();
    let all = || Subscribe::patterns(["x/*", "a"]);
    let mut pattern = subscribe(&hub, all().start_of("x/*", Start::Last(1)));
    assert_eq!(ready_items(&mut pattern), ["x/1: 3", "x/2: 3"]);
    let mut topic = subscribe(&hub, all().start_of("a", Start::Last(1)));
    assert_eq!(ready_items(&mut topic), ["a: 3"]);
    let mut both = subscribe(&hub, all().start(Start::Oldest).start_of("x/*", Start::Now));
    assert_eq!(ready_items(&mut both), ["a: 1", "a: 2", "a: 3"]);
    for subscription in [&mut pattern, &mut topic, &mut both] {
        publish_text(&hub, "x/3", "live");
        publish_text(&hub, "a", "live");
        assert!(ready_items(subscription).ends_with(&["x/3: live".to_owned(), "a: live".to_owned()]));
    }
}

#[test]
fn later_start_of_a_topic_replaces_an_earlier_one() {
    let what = Subscribe::topics(["a", "b"]).start_of("a", Start::Oldest).start_of("a", Start::Last(1));
    assert_eq!(ready_items(&mut subscribe(&hub(), what)), ["a: 3"]);
}

#[test]
fn cursor_resumes_every_topic_and_overrides_their_own_starts() {
    let hub = hub();
    let cursor = publish_cursor(&hub, "a");
    for name in ["a", "b", "x/1"] {
        publish_text(&hub, name, "missed");
    }
    let all = || Subscribe::topics(["a", "b"]).start_of("b", Start::Oldest);
    assert_eq!(ready_items(&mut subscribe(&hub, all().start(Start::After(cursor)))), ["a: missed", "b: missed"]);
    let single = Subscribe::topics(["b"]).start_of("b", Start::Oldest).start(Start::After(cursor));
    assert_eq!(ready_items(&mut subscribe(&hub, single)), ["b: missed"]);
    // An unreadable cursor is a gap and replaces the starts.
    let mut unreadable = subscribe(&hub, all().start(Start::Unreadable));
    assert_eq!(next_gap(&mut unreadable).reason, GapReason::Invalid);
    assert!(ready_items(&mut unreadable).is_empty());
}

/// Publishes an event. Returns its cursor.
fn publish_cursor(hub: &LocalHub, name: &str) -> Cursor {
    hub.publish_now(topic(name), "last read").unwrap().cursor().unwrap()
}

#[test]
fn client_cut_among_older_events_resumes_all_topics_without_loss() {
    let hub = hub();
    let all = || Subscribe::topics(["a", "b"]).start_of("a", Start::Oldest);
    let mut cut = subscribe(&hub, all());
    // The cursor of a client before its first event.
    let first = cut.cursor().unwrap();
    let resumed = |cursor| ready_items(&mut subscribe(&hub, all().start(Start::After(cursor))));
    assert_eq!(resumed(first), ["a: 1", "b: 1", "a: 2", "b: 2", "a: 3", "b: 3"]);
    let after_one = step(&mut cut);
    let (rest, got) = (ready_items(&mut cut), resumed(after_one));
    // `b` started at the next event. After the cut, its events since the cursor are delivered too.
    assert!(rest.iter().all(|event| got.contains(event)), "{rest:?} {got:?}");
    assert!(resumed(cut.cursor().unwrap()).is_empty());
}

/// Publishes an event with the key `k`.
fn with_key(hub: &LocalHub, name: &str, text: &str) {
    hub.publish_now(topic(name), Event::text(text).with_key("k").unwrap()).unwrap();
}

#[test]
fn topic_conflates_by_its_own_overflow() {
    let hub = LocalHub::new();
    let ab = || Subscribe::topics(["a", "b"]);
    let mut latest_b = subscribe(&hub, ab().overflow_of("b", Overflow::Latest));
    let mut latest_a = subscribe(&hub, ab().overflow(Overflow::Latest).overflow_of("b", Overflow::Gap));
    let mut single = subscribe(&hub, Subscribe::topics(["a"]).overflow_of("a", Overflow::Latest));
    let both = Subscribe::patterns(["*", "x/*"]).overflow_of("*", Overflow::Latest);
    let mut pattern = subscribe(&hub, both);
    for number in ["1", "2", "3"] {
        for name in ["a", "b", "x/1"] {
            with_key(&hub, name, number);
        }
    }
    assert_eq!(ready_items(&mut latest_b), ["a: 1", "a: 2", "a: 3", "b: 3"]);
    assert_eq!(ready_items(&mut latest_a), ["b: 1", "b: 2", "a: 3", "b: 3"]);
    assert_eq!(ready_items(&mut single), ["a: 3"]);
    assert_eq!(ready_items(&mut pattern), ["x/1: 1", "x/1: 2", "a: 3", "b: 3", "x/1: 3"]);
}

#[test]
fn lag_in_a_topic_with_overflow_disconnect_ends_the_subscription_and_lag_elsewhere_yields_gap() {
    for (behind, ends) in [("a", false), ("b", true)] {
        let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
        let mut slow = subscribe(&hub, Subscribe::topics(["a", "b"]).overflow_of("b", Overflow::Disconnect));
        for number in 0..10_000 {
            publish_text(&hub, behind, &number);
        }
        let first = poll(&mut slow);
        match first {
            Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow)) => assert!(ends),
            Poll::Ready(Delivery::Gap(gap)) => assert!(!ends && gap.reason == GapReason::Overflow),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn start_and_overflow_of_one_topic_are_both_used_and_a_cursor_overrides_the_start_only() {
    let hub = LocalHub::new();
    let first = hub.publish_now(topic("b"), "first").unwrap().cursor().unwrap();
    for number in ["1", "2", "3"] {
        for name in ["a", "b"] {
            with_key(&hub, name, number);
        }
    }
    let what = || Subscribe::topics(["a", "b"]).start_of("a", Start::Oldest).overflow_of("a", Overflow::Latest);
    assert_eq!(ready_items(&mut subscribe(&hub, what())), ["a: 3"]);
    let resumed = ready_items(&mut subscribe(&hub, what().start(Start::After(first))));
    assert_eq!(resumed, ["b: 1", "b: 2", "a: 3", "b: 3"]);
}

#[test]
fn invalid_start_or_overflow_of_a_topic_is_refused_with_the_reason() {
    let ab = || Subscribe::topics(["a", "b"]);
    let unknown = error(ab().start_of("c", Start::Oldest));
    assert!(matches!(&unknown, SubscribeError::NotFollowed(name) if name.as_str() == "c"));
    assert!(unknown.to_string().contains("`c` has its own start or overflow and is not subscribed to"), "{unknown}");
    assert!(matches!(error(ab().start_of("*", Start::Oldest)), SubscribeError::NotFollowed(_)));
    for (names, own) in [(["x/*", "x/1", "a"], "x/1"), (["x/*", "**", "a"], "x/*")] {
        let covered = error(Subscribe::patterns(names).start_of(own, Start::Oldest));
        assert!(matches!(&covered, SubscribeError::Covered(name) if name.as_str() == own));
    }
    let cursor = publish_cursor(&hub(), "a");
    for start in [Start::After(cursor), Start::Unreadable] {
        let refused = error(ab().start_of("a", start));
        assert!(matches!(refused, SubscribeError::OwnCursor(_)) && refused.to_string().contains("`Subscribe::start`"));
    }
    assert!(matches!(error(ab().start_of("a*", Start::Now)), SubscribeError::Pattern(_)));
    assert!(matches!(error(ab().overflow_of("a*", Overflow::Gap)), SubscribeError::Pattern(_)));
    assert!(matches!(error(ab().overflow_of("c", Overflow::Gap)), SubscribeError::NotFollowed(_)));
    // The start is checked although a cursor overrides it, so that an error is the same for new and resumed clients.
    let resumed = ab().start_of("c", Start::Oldest).start(Start::After(cursor));
    assert!(matches!(error(resumed), SubscribeError::NotFollowed(_)));
    assert!(matches!(error(Subscribe::topics([""; 0]).start_of("a", Start::Now)), SubscribeError::NoTopics));
}
