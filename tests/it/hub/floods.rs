//! Floods of topics: the history that other topics keep, the evictions of one publish, and the limit of topics.

use std::task::Poll;

use tidings::subscriber::Delivery;
use tidings::{Event, GapReason, LocalHub, PublishError, Retention, Start, Subscribe, SubscribeError, Topic};

use super::budget::{history, hub, kib, publish};
use crate::support::{next_gap, poll, subtopic};

/// Number of tiny topics in a flood. A publish takes ten times as long without optimisation.
const FLOOD: usize = if cfg!(debug_assertions) { 60_000 } else { 600_000 };
/// Number of honest topics, and of events that each of them keeps.
const HONEST: usize = 100;
/// A budget of which the honest topics hold less than half.
const LIMIT: usize = if cfg!(debug_assertions) { 28 << 20 } else { 48 << 20 };

fn publish_text(hub: &LocalHub, topic: impl std::fmt::Display, text: &str) {
    hub.publish_now(subtopic(topic), text).unwrap();
}

fn honest(n: usize) -> Topic {
    subtopic(format_args!("honest/{}", n % HONEST))
}

/// Publishes events of a flood, and one to an honest topic after each `every` of them. Half of the honest topics have a
/// subscription. Returns the hub.
fn flooded(flood: impl Iterator<Item = (Topic, Event)>, every: usize) -> LocalHub {
    let retention = Retention::count(HONEST).bytes(usize::MAX);
    let hub = LocalHub::builder().retain(retention).max_bytes(LIMIT).build();
    let subscribe = |n| hub.subscribe(Subscribe::topics([honest(n)])).unwrap();
    let _followed: Vec<_> = (0..HONEST / 2).map(subscribe).collect();
    (0..HONEST * HONEST).for_each(|n| publish(&hub, &honest(n), 1));
    for (n, (topic, event)) in flood.enumerate() {
        hub.publish_now(&topic, event).unwrap();
        if n % every == 0 {
            publish(&hub, &honest(n / every), 1);
        }
    }
    let stats = hub.stats();
    assert!(stats.bytes <= LIMIT && stats.evicted_by_budget > 20_000, "the flood is larger than the budget: {stats:?}");
    hub
}

fn assert_honest_topics_are_whole(hub: &LocalHub) {
    let kept: Vec<_> = (0..HONEST).map(|n| history(hub, &honest(n)).len()).collect();
    assert_eq!(kept, [HONEST; HONEST]);
}

#[test]
fn honest_topics_keep_their_history_under_a_flood_of_tiny_topics() {
    let flood = (0..FLOOD).map(|n| (subtopic(format_args!("flood/{n}")), Event::text("x")));
    assert_honest_topics_are_whole(&flooded(flood, 50));
}

#[test]
fn honest_topics_keep_their_history_under_a_flood_of_large_topics() {
    let flood = (0..FLOOD).map(|n| (subtopic(format_args!("flood/{}", n / 100)), kib()));
    assert_honest_topics_are_whole(&flooded(flood, 50));
}

#[test]
fn huge_topic_evicts_its_own_events_and_no_small_topic() {
    let hub = hub(8 << 20);
    (0..3_000).for_each(|n| (0..3).for_each(|_| publish_text(&hub, n, "small")));
    let small = hub.stats();
    assert!((4 << 20..6 << 20).contains(&small.bytes), "{small:?}");
    publish(&hub, &subtopic("huge"), 20_000);
    assert!((0..3_000).all(|n| history(&hub, &subtopic(n)).len() == 3));
    let huge = history(&hub, &subtopic("huge")).len();
    assert!(huge > 500, "{huge}");
}

#[test]
fn new_topic_after_a_flood_keeps_its_history() {
    let hub = hub(8 << 20);
    (0..20_000).for_each(|n| publish_text(&hub, n, "x"));
    publish(&hub, &subtopic("honest"), 300);
    assert_eq!(history(&hub, &subtopic("honest")).len(), 300);
}

/// For topics of any kind, the newest ones that fit are kept and the oldest are evicted.
#[test]
fn topics_of_one_size_are_evicted_oldest_first() {
    const TOPICS: usize = 5_000;
    let hundred = || Event::text("x".repeat(100));
    let long = "n".repeat(230);
    for (kind, name, retention, pattern, follow, events, batch) in [
        ("by default", "job", Retention::default(), None, false, 1, false),
        ("last value", "job", Retention::count(1), None, false, 1, false),
        ("two events each", "job", Retention::default(), None, false, 2, false),
        ("two events each, in the size class of one", &long, Retention::default(), None, false, 2, false),
        ("ten events each", "job", Retention::default(), None, false, 10, false),
        ("of a followed pattern", "job", Retention::default(), Some("job/*"), false, 1, false),
        ("followed", "job", Retention::default(), None, true, 1, false),
        ("in batches", "job", Retention::default(), None, false, 1, true),
    ] {
        let job = |n: usize| Topic::new(format!("{name}/{n:06}")).unwrap();
        let hub = LocalHub::builder().retain(retention).max_bytes(1 << 20).build();
        let _pattern = pattern.map(|pattern| hub.subscribe(Subscribe::patterns([pattern])).unwrap());
        let mut followed = Vec::new();
        for first in (0..TOPICS).step_by(10) {
            let jobs: Vec<_> = (first..first + 10).map(job).collect();
            if follow {
                followed.extend(jobs.iter().map(|job| hub.subscribe(Subscribe::topics([job])).unwrap()));
            }
            let all = (0..events).flat_map(|_| jobs.iter().map(|job| (job.clone(), hundred())));
            if batch {
                hub.publish_batch(all).unwrap();
            } else {
                all.for_each(|(job, event)| _ = hub.publish_now(&job, event).unwrap());
            }
        }
        let kept: Vec<_> = (0..TOPICS).filter(|&n| hub.has_history(&job(n))).collect();
        assert!(kept.len() >= 200, "{kind}: {} fit", kept.len());
        let oldest = TOPICS - kept.len();
        assert!(kept.iter().copied().eq(oldest..TOPICS), "{kind}: of the newest {} {kept:?}", kept.len());
        let stats = hub.stats();
        assert!(stats.bytes > (1 << 20) - 64 * 1024, "{kind}: evicted below the limit: {stats:?}");
    }
}

#[test]
fn publish_evicts_no_more_than_its_own_size() {
    let hub = hub(4 << 20);
    (0..10_000).for_each(|n| publish_text(&hub, n, "x"));
    // From 64 large events on, each large topic replaces another.
    for n in 0..200 {
        for (name, event, most) in [("tiny", Event::text("x"), 2), ("large", Event::text("x".repeat(64 * 1024)), 150)] {
            let before = hub.stats().evicted_by_budget;
            hub.publish_now(subtopic(format_args!("{name}/{n}")), event).unwrap();
            let evicted = hub.stats().evicted_by_budget - before;
            assert!(evicted <= most, "{evicted} for a {name} event");
        }
    }
}

#[test]
fn publish_over_the_topic_limit_evicts_the_oldest_topic_without_a_subscription() {
    let hub = LocalHub::builder().max_topics(100).build();
    let start = hub.cursor();
    let followed = hub.subscribe(Subscribe::topics([subtopic("followed")])).unwrap();
    publish(&hub, &subtopic("followed"), 3);
    publish(&hub, &subtopic("busy"), 3);
    for n in 0..1_000 {
        publish(&hub, &subtopic(n), 1);
        assert!(hub.stats().topics <= 100);
    }
    assert_eq!((history(&hub, &subtopic("followed")).len(), history(&hub, &subtopic("busy")).len()), (3, 3));
    let kept: Vec<_> = (0..1_000).filter(|&n| !history(&hub, &subtopic(n)).is_empty()).collect();
    assert_eq!(kept, (902..1_000).collect::<Vec<_>>(), "the newest topics");
    let mut resumed = hub.subscribe(Subscribe::topics([subtopic(0)]).start(Start::After(start))).unwrap();
    assert_eq!(next_gap(&mut resumed).reason, GapReason::Evicted);
    drop(followed);
}

#[test]
fn subscriptions_over_the_topic_limit_are_refused_and_publishers_are_not() {
    let hub = LocalHub::builder().max_topics(10).build();
    let mut all: Vec<_> = (0..10).map(|n| hub.subscribe(Subscribe::topics([subtopic(n)])).unwrap()).collect();
    let before = hub.stats();
    for names in [vec![subtopic(10)], vec![subtopic(0), subtopic(10)]] {
        let refused = hub.subscribe(Subscribe::topics(names)).unwrap_err();
        assert_eq!(refused, SubscribeError::TooManyTopics { limit: 10 });
        assert_eq!(hub.stats(), before, "nothing is left of it");
    }
    (20..40).for_each(|n| publish(&hub, &subtopic(n), 1));
    all.push(hub.subscribe(Subscribe::topics([subtopic(39), subtopic(0)])).unwrap());
    (0..10).for_each(|n| publish(&hub, &subtopic(n), 1));
    for subscription in &mut all[..10] {
        let polled = poll(subscription);
        assert!(matches!(polled, Poll::Ready(Delivery::Events(_))), "{polled:?}");
    }
    all.clear();
    hub.subscribe(Subscribe::topics([subtopic(10)])).unwrap();
}

#[test]
fn batch_with_more_new_topics_than_the_limit_is_refused() {
    let hub = LocalHub::builder().max_topics(10).build();
    let batch = |topics: usize| hub.publish_batch((0..2 * topics).map(|n| (subtopic(n % topics), kib())));
    assert_eq!(batch(11), Err(PublishError::TooManyTopics { topics: 11, limit: 10 }));
    assert_eq!(hub.stats().topics, 0);
    (20..30).for_each(|n| publish(&hub, &subtopic(n), 1));
    assert_eq!(batch(10).unwrap().len(), 20);
    let none = LocalHub::builder().max_topics(0).build();
    assert_eq!(none.publish_now(subtopic(1), "x"), Err(PublishError::TooManyTopics { topics: 1, limit: 0 }));
}

/// The topics of the flood have eight size classes, each smaller than the class of the followed topics.
#[test]
fn followed_topics_keep_their_history_under_a_flood_of_events_of_many_sizes() {
    const EACH: usize = 64;
    const LIMIT: usize = 48 << 20;
    let hub = LocalHub::builder().retain(Retention::count(EACH).bytes(usize::MAX)).max_bytes(LIMIT).build();
    let topics: Vec<_> = (0..450).map(|n| subtopic(format_args!("followed/{n}"))).collect();
    let _followed: Vec<_> = topics.iter().map(|topic| hub.subscribe(Subscribe::topics([topic])).unwrap()).collect();
    topics.iter().for_each(|topic| (0..EACH).for_each(|_| publish(&hub, topic, 1)));
    let before = hub.stats().bytes;
    assert!((LIMIT / 2..LIMIT * 3 / 4).contains(&before), "{before} of {LIMIT}");
    for n in 0..4_000 {
        let event = Event::text("x".repeat(2_048 << (n % 8)));
        hub.publish_now(subtopic(format_args!("flood/{n}")), event).unwrap();
    }
    assert!(hub.stats().evicted_by_budget > 2_000, "{:?}", hub.stats());
    let kept: Vec<_> = topics.iter().map(|topic| history(&hub, topic).len()).filter(|&kept| kept < EACH).collect();
    assert!(kept.is_empty(), "{} of {} topics lost events: {kept:?}", kept.len(), topics.len());
}
