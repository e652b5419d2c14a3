//! Topics of a subscription with a start or an overflow of their own.

use std::task::{Context, Poll, Waker};

use tidings::subscriber::{Delivery, SubscriptionEnd};
use tidings::{
    Cursor, Event, GapReason, LocalHub, Overflow, Retention, Start, Subscribe, SubscribeError, Subscriber, Subscription,
};

use super::patterns::{events, say, topic};

/// A hub with three events of each of the topics `a`, `b`, `x/1` and `x/2`, published in turn.
fn hub() -> LocalHub {
    let hub = LocalHub::new();
    for number in 1..=3 {
        for name in ["a", "b", "x/1", "x/2"] {
            say(&hub, name, &number);
        }
    }
    hub
}

fn subscribe(hub: &LocalHub, what: Subscribe) -> Subscription {
    hub.subscribe(what).unwrap()
}

fn error(what: Subscribe) -> SubscribeError {
    hub().subscribe(what).unwrap_err()
}

/// Reads one delivery, and returns the cursor after it.
fn step(subscription: &mut Subscription) -> Cursor {
    assert!(matches!(subscription.poll_next(&mut Context::from_waker(Waker::noop())), Poll::Ready(_)));
    subscription.cursor().unwrap()
}

#[test]
fn single_topic_begins_at_its_own_start() {
    let hub = hub();
    for all in [Start::Now, Start::Oldest, Start::Last(1)] {
        let a = Subscribe::topics(["a"]).start(all);
        let own = a.clone().start_of("a", Start::Last(2));
        assert_eq!(events(&mut subscribe(&hub, own)), ["a: 2", "a: 3"]);
        assert!(events(&mut subscribe(&hub, a.start_of("a", Start::Now))).is_empty());
    }
}

#[test]
fn each_topic_of_several_begins_at_its_own_start_and_the_others_at_that_of_all() {
    let all = || Subscribe::topics(["a", "b", "x/1"]);
    let read = |what| {
        let hub = hub();
        let mut subscription = subscribe(&hub, what);
        let read = events(&mut subscription);
        for name in ["a", "b", "x/1"] {
            say(&hub, name, "live");
        }
        assert_eq!(events(&mut subscription), ["a: live", "b: live", "x/1: live"]);
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
fn patterns_and_topics_have_starts_of_their_own() {
    let hub = hub();
    let all = || Subscribe::patterns(["x/*", "a"]);
    let mut pattern = subscribe(&hub, all().start_of("x/*", Start::Last(1)));
    assert_eq!(events(&mut pattern), ["x/1: 3", "x/2: 3"]);
    let mut topic = subscribe(&hub, all().start_of("a", Start::Last(1)));
    assert_eq!(events(&mut topic), ["a: 3"]);
    let mut both = subscribe(&hub, all().start(Start::Oldest).start_of("x/*", Start::Now));
    assert_eq!(events(&mut both), ["a: 1", "a: 2", "a: 3"]);
    for subscription in [&mut pattern, &mut topic, &mut both] {
        say(&hub, "x/3", "live");
        say(&hub, "a", "live");
        assert!(events(subscription).ends_with(&["x/3: live".to_owned(), "a: live".to_owned()]));
    }
}

#[test]
fn last_start_that_is_set_for_a_topic_is_used() {
    let what = Subscribe::topics(["a", "b"]).start_of("a", Start::Oldest).start_of("a", Start::Last(1));
    assert_eq!(events(&mut subscribe(&hub(), what)), ["a: 3"]);
}

#[test]
fn cursor_resumes_every_topic_and_no_start_of_its_own_is_used() {
    let hub = hub();
    let cursor = say_cursor(&hub, "a");
    for name in ["a", "b", "x/1"] {
        say(&hub, name, "missed");
    }
    let all = || Subscribe::topics(["a", "b"]).start_of("b", Start::Oldest);
    assert_eq!(events(&mut subscribe(&hub, all().start(Start::After(cursor)))), ["a: missed", "b: missed"]);
    let single = Subscribe::topics(["b"]).start_of("b", Start::Oldest).start(Start::After(cursor));
    assert_eq!(events(&mut subscribe(&hub, single)), ["b: missed"]);
    // One that cannot be read is a gap, and no start.
    let mut unreadable = subscribe(&hub, all().start(Start::Unreadable));
    let Poll::Ready(Delivery::Gap(gap)) = unreadable.poll_next(&mut Context::from_waker(Waker::noop())) else {
        panic!("it begins with a gap");
    };
    assert_eq!(gap.reason, GapReason::Invalid);
    assert!(events(&mut unreadable).is_empty());
}

fn say_cursor(hub: &LocalHub, name: &str) -> Cursor {
    hub.publish_now(topic(name), "last read").unwrap().cursor().unwrap()
}

#[test]
fn client_that_is_cut_among_older_events_resumes_all_topics_and_loses_none() {
    let hub = hub();
    let all = || Subscribe::topics(["a", "b"]).start_of("a", Start::Oldest);
    let mut cut = subscribe(&hub, all());
    // The cursor that a client is given before its first event.
    let first = cut.cursor().unwrap();
    let resumed = |cursor| events(&mut subscribe(&hub, all().start(Start::After(cursor))));
    assert_eq!(resumed(first), ["a: 1", "b: 1", "a: 2", "b: 2", "a: 3", "b: 3"]);
    let after_one = step(&mut cut);
    let (rest, got) = (events(&mut cut), resumed(after_one));
    // `b` began with the next event; after the cut, its events since the cursor come too.
    assert!(rest.iter().all(|event| got.contains(event)), "{rest:?} {got:?}");
    assert!(resumed(cut.cursor().unwrap()).is_empty());
}

/// Publishes an event with the key `k`.
fn with_key(hub: &LocalHub, name: &str, text: &str) {
    hub.publish_now(topic(name), Event::text(text).with_key("k").unwrap()).unwrap();
}

#[test]
fn each_topic_conflates_or_not_by_its_own_overflow() {
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
    assert_eq!(events(&mut latest_b), ["a: 1", "a: 2", "a: 3", "b: 3"]);
    assert_eq!(events(&mut latest_a), ["b: 1", "b: 2", "a: 3", "b: 3"]);
    assert_eq!(events(&mut single), ["a: 3"]);
    assert_eq!(events(&mut pattern), ["x/1: 1", "x/1: 2", "a: 3", "b: 3", "x/1: 3"]);
}

#[test]
fn subscription_ends_where_it_falls_behind_in_a_topic_that_disconnects_and_gets_a_gap_elsewhere() {
    for (behind, ends) in [("a", false), ("b", true)] {
        let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
        let mut slow = subscribe(&hub, Subscribe::topics(["a", "b"]).overflow_of("b", Overflow::Disconnect));
        for number in 0..10_000 {
            say(&hub, behind, &number);
        }
        let first = slow.poll_next(&mut Context::from_waker(Waker::noop()));
        match first {
            Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow)) => assert!(ends),
            Poll::Ready(Delivery::Gap(gap)) => assert!(!ends && gap.reason == GapReason::Overflow),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn start_and_overflow_of_one_topic_are_both_used_and_a_cursor_replaces_the_start_only() {
    let hub = LocalHub::new();
    let first = hub.publish_now(topic("b"), "first").unwrap().cursor().unwrap();
    for number in ["1", "2", "3"] {
        for name in ["a", "b"] {
            with_key(&hub, name, number);
        }
    }
    let what = || Subscribe::topics(["a", "b"]).start_of("a", Start::Oldest).overflow_of("a", Overflow::Latest);
    assert_eq!(events(&mut subscribe(&hub, what())), ["a: 3"]);
    let resumed = events(&mut subscribe(&hub, what().start(Start::After(first))));
    assert_eq!(resumed, ["b: 1", "b: 2", "a: 3", "b: 3"]);
}

#[test]
fn start_of_a_topic_that_cannot_have_one_is_refused_with_the_reason() {
    let ab = || Subscribe::topics(["a", "b"]);
    let unknown = error(ab().start_of("c", Start::Oldest));
    assert!(matches!(&unknown, SubscribeError::NotFollowed(name) if name.as_str() == "c"));
    assert!(unknown.to_string().contains("`Subscribe::topics`"), "{unknown}");
    assert!(matches!(error(ab().start_of("*", Start::Oldest)), SubscribeError::NotFollowed(_)));
    for (names, own) in [(["x/*", "x/1", "a"], "x/1"), (["x/*", "**", "a"], "x/*")] {
        let covered = error(Subscribe::patterns(names).start_of(own, Start::Oldest));
        assert!(matches!(&covered, SubscribeError::Covered(name) if name.as_str() == own));
    }
    let cursor = say_cursor(&hub(), "a");
    for start in [Start::After(cursor), Start::Unreadable] {
        let refused = error(ab().start_of("a", start));
        assert!(matches!(refused, SubscribeError::OwnCursor(_)) && refused.to_string().contains("`Subscribe::start`"));
    }
    assert!(matches!(error(ab().start_of("a*", Start::Now)), SubscribeError::Pattern(_)));
    assert!(matches!(error(ab().overflow_of("a*", Overflow::Gap)), SubscribeError::Pattern(_)));
    assert!(matches!(error(ab().overflow_of("c", Overflow::Gap)), SubscribeError::NotFollowed(_)));
    // Checked before a cursor replaces it, so that a mistake does not show with the first client only.
    let resumed = ab().start_of("c", Start::Oldest).start(Start::After(cursor));
    assert!(matches!(error(resumed), SubscribeError::NotFollowed(_)));
    assert!(matches!(error(Subscribe::topics([""; 0]).start_of("a", Start::Now)), SubscribeError::NoTopics));
}
