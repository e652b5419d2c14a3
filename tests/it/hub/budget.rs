//! The hub's byte budget: what goes when it is spent, who is told, and what it never exceeds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{Event, GapReason, LocalHub, PublishError, Retention, Start, Subscribe, Subscriber, Subscription, Topic};

use super::caches::encode;
use super::model::{Lines, ManualClock};

/// A hub that evicts for its budget's sake alone.
pub(super) fn hub(limit: usize) -> LocalHub {
    LocalHub::builder().retain(Retention::count(usize::MAX).bytes(usize::MAX)).max_bytes(limit).build()
}

pub(super) fn topic(n: impl std::fmt::Display) -> Topic {
    Topic::new(format!("topic/{n}")).unwrap()
}

pub(super) fn kib() -> Event {
    Event::text("x".repeat(1024))
}

fn poll(subscription: &mut Subscription) -> Poll<Delivery> {
    subscription.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// Publishes so many events of a KiB.
pub(super) fn publish(hub: &LocalHub, topic: &Topic, events: usize) {
    for _ in 0..events {
        hub.publish_now(topic, kib()).unwrap();
    }
}

/// The sequences that are retained of a topic.
pub(super) fn history(hub: &LocalHub, topic: &Topic) -> Vec<u64> {
    let mut subscription = hub.subscribe(Subscribe::topics([topic]).start(Start::Oldest)).unwrap();
    let mut sequences = Vec::new();
    while let Poll::Ready(delivery) = poll(&mut subscription) {
        let Delivery::Events(batch) = delivery else { panic!("{delivery:?}") };
        sequences.extend(batch.iter().map(|event| event.cursor.unwrap().sequence()));
    }
    sequences
}

proptest! {
    #![proptest_config(crate::support::cases(100))]

    /// Each publish is accepted, its event is kept, and the limit holds, whatever the sizes and topics.
    #[test]
    fn p13_the_budget_holds_whatever_is_published(
        limit in 20_000..200_000_usize,
        spread in 1..400_u64,
        events in prop::collection::vec((any::<u64>(), 0..4_000_usize), 1..600),
    ) {
        let hub = hub(limit);
        for (n, len) in events {
            let receipt = hub.publish_now(topic(n % spread), Event::text("x".repeat(len))).unwrap();
            let stats = hub.stats();
            prop_assert!(stats.bytes <= limit, "{stats:?}");
            prop_assert_eq!(stats.evicted, stats.evicted_by_budget);
            let newest = history(&hub, &topic(n % spread)).last().copied();
            prop_assert_eq!(newest, Some(receipt.cursor().unwrap().sequence()), "the newest is always kept");
        }
    }

    /// The events kept for patterns are within the budget. A subscription that falls behind because of that gets a gap,
    /// or finds the events that it has not read in the topics' own histories.
    #[test]
    fn p13_the_budget_holds_with_patterns(
        limit in 200_000..600_000_usize,
        spread in 1..200_u64,
        events in prop::collection::vec((any::<u64>(), 0..4_000_usize, 0..10_u8), 1..500),
    ) {
        let hub = hub(limit);
        let mut all: Vec<_> =
            ["**", "topic/*"].iter().map(|pattern| hub.subscribe(Subscribe::patterns([*pattern])).unwrap()).collect();
        let mut seen = vec![0; all.len()];
        for (n, len, reads) in events {
            hub.publish_now(topic(n % spread), Event::text("x".repeat(len))).unwrap();
            let stats = hub.stats();
            let pinned = stats.pinned_bytes.min(limit / 4);
            prop_assert!(stats.bytes - pinned <= limit, "beside what slow readers hold: {stats:?}");
            prop_assert_eq!((stats.published, stats.patterns), (stats.retained + stats.evicted, 2));
            if reads > 0 {
                continue;
            }
            for (subscription, seen) in all.iter_mut().zip(&mut seen) {
                let (before, mut is_told) = (*seen, false);
                let mut delivered = 0;
                while let Poll::Ready(delivery) = poll(subscription) {
                    match delivery {
                        Delivery::Gap(gap) => is_told = gap.reason == GapReason::Overflow,
                        Delivery::Events(batch) => delivered += batch.len() as u64,
                        other => panic!("{other:?}"),
                    }
                }
                *seen = subscription.cursor().unwrap().sequence();
                prop_assert_eq!(*seen, stats.published);
                prop_assert!(is_told || delivered == *seen - before, "lost in silence");
            }
        }
        drop(all);
        prop_assert_eq!((hub.stats().patterns, hub.stats().subscriptions), (0, 0));
    }

    /// Whatever the retention and the pace: what stays is as many of the newest as it allows.
    #[test]
    fn p14_retention_evicts_the_oldest_only(
        (count, bytes, age) in (0..80_usize, 0..3_000_usize, 1..500_u64),
        events in prop::collection::vec((0..100_usize, 0..20_u64), 1..200),
    ) {
        let clock = ManualClock::new();
        let retention = Retention::count(count).bytes(bytes).age(Duration::from_millis(age));
        let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
        let mut published: Vec<(u64, usize)> = Vec::new();
        for (len, pause) in events {
            hub.publish_now(topic("a"), Event::text("x".repeat(len))).unwrap();
            published.push((clock.millis(), len));
            clock.advance(Duration::from_millis(pause));
            let (mut kept, mut weight) = (0, 0);
            for &(at, len) in published.iter().rev().take(count) {
                weight += len;
                if weight > bytes || clock.millis() - at >= age {
                    break;
                }
                kept += 1;
            }
            let expected: Vec<_> = (published.len() as u64 + 1 - kept..=published.len() as u64).collect();
            prop_assert_eq!(history(&hub, &topic("a")), expected);
            prop_assert_eq!(hub.stats().evicted_by_budget, 0);
        }
    }

    /// Each topic keeps its newest events, without a hole, and nothing is evicted before the budget is nearly spent.
    #[test]
    fn p14_the_budget_evicts_the_oldest_events_of_a_topic_only(topics in prop::collection::vec(0..8_usize, 400..900)) {
        let hub = hub(300_000);
        let mut published: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        let mut evicted = 0;
        for n in topics {
            // Seven of eight go to few topics: some are much larger than others.
            let n = if n < 5 { n / 3 } else { n };
            let receipt = hub.publish_now(topic(n), kib()).unwrap();
            published.entry(n).or_default().push(receipt.cursor().unwrap().sequence());
            let stats = hub.stats();
            prop_assert!(stats.evicted == evicted || stats.bytes > 300_000 - 2 * 64 * 1024 - 40_000, "{stats:?}");
            // Without an eviction only the topic of the event has changed.
            let changed = published.iter().filter(|&(&other, _)| other == n || stats.evicted > evicted);
            for (&n, all) in changed {
                let kept = history(&hub, &topic(n));
                prop_assert!(all.ends_with(&kept), "{kept:?} of {all:?}");
            }
            evicted = stats.evicted;
        }
    }
}

#[test]
fn whoever_has_not_read_what_went_is_told_exactly() {
    for topics in [vec![topic("a")], vec![topic("a"), topic("b")]] {
        let hub = hub(200_000);
        let start = hub.cursor();
        let mut slow = hub.subscribe(Subscribe::topics(&topics)).unwrap();
        publish(&hub, &topic("a"), 1_000);
        let Poll::Ready(Delivery::Gap(gap)) = poll(&mut slow) else { panic!("it missed events") };
        let kept = history(&hub, &topic("a"));
        assert_eq!(gap.missed, Some(1_000 - kept.len() as u64));
        assert_eq!(gap.cursor.sequence() + 1, kept[0]);
        assert_eq!((gap.reason, gap.topic), (GapReason::Overflow, Some(topic("a"))));
        let Poll::Ready(Delivery::Events(batch)) = poll(&mut slow) else { panic!("the rest is there") };
        assert_eq!(batch.iter().next().unwrap().cursor.unwrap().sequence(), kept[0]);

        let mut back = hub.subscribe(Subscribe::topics(&topics).start(Start::After(start))).unwrap();
        let Poll::Ready(Delivery::Gap(told)) = poll(&mut back) else { panic!("it missed events") };
        assert_eq!((told.reason, told.cursor), (GapReason::Evicted, gap.cursor));
        let stats = hub.stats();
        assert_eq!((stats.gaps, stats.missed), (2, gap.missed.unwrap()));
    }
}

#[test]
fn what_can_never_fit_is_refused_and_evicts_nothing() {
    let hub = hub(50_000);
    publish(&hub, &topic("a"), 10);
    let before = (hub.stats(), hub.cursor());
    let large = Event::text("x".repeat(50_000));
    let refused = Err(PublishError::Full { weight: 50_000, limit: 50_000 });
    assert_eq!(hub.publish_now(topic("new"), large), refused);
    let all = (0..49).map(|n| (topic(n % 3), kib()));
    let refused = Err(PublishError::Full { weight: 49 * 1024, limit: 50_000 });
    assert_eq!(hub.publish_batch(all), refused, "all or none");
    assert_eq!((hub.stats(), hub.cursor()), before, "nothing was evicted, published or made");
    let all = (0..30).map(|n| (topic(n % 3), kib()));
    assert_eq!(hub.publish_batch(all).unwrap().len(), 30, "what fits is published, whatever must go for it");
    assert!(hub.stats().bytes <= 50_000);
}

#[test]
fn a_hub_of_no_budget_takes_nothing() {
    let hub = hub(0);
    assert_eq!(hub.publish_now(topic("a"), ""), Err(PublishError::Full { weight: 0, limit: 0 }));
    assert_eq!(hub.publish_batch(Vec::<(Topic, Event)>::new()), Ok(Vec::new()));
    assert_eq!(hub.stats().topics, 0);
}

#[test]
fn p13_what_slow_readers_hold_is_bounded_too() {
    let (hub, limit) = (hub(400_000), 400_000);
    let mut slow = Vec::new();
    let refused: PublishError = loop {
        assert!(slow.len() < 1_000, "what is pinned counts");
        let topic = topic(slow.len());
        let mut reader = hub.subscribe(Subscribe::topics([&topic])).unwrap();
        // It reads the first two of ten, and so holds the segment that they are in.
        let published = (0..10).try_for_each(|n| {
            hub.publish_now(&topic, kib())?;
            let _ = if n < 2 { poll(&mut reader) } else { Poll::Pending };
            Ok(())
        });
        if let Err(error) = published {
            break error;
        }
        slow.push(reader);
        let stats = hub.stats();
        assert!(stats.bytes <= limit + limit / 4, "{stats:?}");
    };
    assert_eq!(refused, PublishError::Full { weight: 1024, limit });
    let held = hub.stats();
    assert!(held.pinned_bytes > limit && held.retained == 0, "{held:?}");
    slow.iter_mut().for_each(Subscription::release);
    assert_eq!(hub.stats().pinned_bytes, 0);
    hub.publish_now(topic("a"), kib()).unwrap();
}

/// Says who was woken.
struct Woken(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn who_waits_with_an_evicted_segment_in_hand_is_woken_to_let_go_of_it() {
    for width in [1, 2] {
        let (hub, limit) = (hub(400_000), 400_000);
        let woken: Arc<Mutex<Vec<usize>>> = Arc::default();
        let (mut readers, mut counts) = (Vec::new(), Vec::new());
        for n in 0..500 {
            let topics = (0..width).map(|part| topic(format!("{n}/{part}")));
            readers.push(hub.subscribe(Subscribe::topics(topics)).unwrap());
            counts.push(0);
            hub.publish_now(topic(format!("{n}/0")), kib()).unwrap();
            // Whoever was woken, and whoever is new, reads all and waits.
            let mut due = std::mem::take(&mut *woken.lock().unwrap());
            due.push(n);
            for who in due {
                let waker = Waker::from(Arc::new(Woken(who, Arc::clone(&woken))));
                while let Poll::Ready(delivery) = readers[who].poll_next(&mut Context::from_waker(&waker)) {
                    let Delivery::Events(batch) = delivery else { panic!("{delivery:?}") };
                    counts[who] += batch.len();
                }
            }
            let stats = hub.stats();
            assert!(stats.bytes <= limit && stats.pinned_bytes == 0, "{stats:?}");
            assert_eq!(stats.parked, readers.len() * width, "everyone waits again");
        }
        assert!(hub.stats().evicted > 100);
        assert!(counts.iter().all(|&count| count == 1), "each got its event, and nothing else");
    }
}

#[test]
fn p18_unsubscribing_frees_everything() {
    for width in [1, 3] {
        let hub = LocalHub::builder().retain(Retention::count(0)).build();
        let mut all: Vec<_> = (0..100)
            .map(|n| hub.subscribe(Subscribe::topics((0..width).map(|part| topic(n * width + part)))).unwrap())
            .collect();
        (0..100 * width).for_each(|n| publish(&hub, &topic(n), 1));
        for subscription in &mut all {
            encode(subscription);
        }
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.parked, stats.topics), (100 * width, 100 * width, 100 * width));
        assert!(stats.bytes > 0);
        drop(all);
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.parked, stats.topics, stats.bytes), (0, 0, 0, 0));
    }
}

#[test]
fn p13_idle_topics_cost_nothing_once_their_history_has_expired() {
    let clock = ManualClock::new();
    let retention = Retention::default().age(Duration::from_secs(60));
    let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
    for n in 0..70_000 {
        hub.publish_now(topic(n), "once").unwrap();
    }
    assert_eq!(hub.stats().topics, 70_000);
    clock.advance(Duration::from_secs(60));
    hub.sweep();
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.bytes, stats.retained, stats.evicted), (0, 0, 0, 70_000));
    assert_eq!(stats.tombstones, 65_536, "as many as are ever remembered");
}

#[test]
fn a_spent_budget_under_threads() {
    const EVENTS: usize = 20_000;
    let (hub, limit) = (hub(4_000_000), 4_000_000);
    let read = |seed: usize| {
        let hub = hub.clone();
        move || {
            let topics: Vec<_> = (seed..seed + 2).map(|n| topic(n % 3)).collect();
            let mut subscription = hub.subscribe(Subscribe::topics(&topics[..1 + seed % 2])).unwrap();
            let (mut cx, mut delivered, mut missed) = (Context::from_waker(Waker::noop()), 0, 0);
            loop {
                match subscription.poll_encoded(&mut cx, &Lines::CACHED, 8 * 1024) {
                    Poll::Ready(EncodedDelivery::Events(encoding)) => delivered += encoding.events as usize,
                    Poll::Ready(EncodedDelivery::Gap(gap)) => missed += gap.missed.unwrap() as usize,
                    Poll::Ready(_) => return (delivered, missed),
                    Poll::Pending => std::thread::yield_now(),
                }
                let stats = hub.stats();
                assert_eq!(stats.published, stats.retained + stats.evicted, "at every moment");
                // Two publish an event each, and four cache a reply each, between a look and what is done upon it.
                let flying = 2 * 20_000 + 4 * 24 * 1024;
                assert!(stats.bytes <= limit + limit / 4 + flying, "{stats:?}");
            }
        }
    };
    let readers: Vec<_> = (0..4).map(|n| std::thread::spawn(read(n))).collect();
    while hub.stats().subscriptions < 6 {
        std::thread::yield_now();
    }
    let publishers = [0, 1].map(|offset| {
        let hub = hub.clone();
        std::thread::spawn(move || {
            for n in 0..EVENTS {
                hub.publish_now(topic((n + offset) % 3), Event::text("x".repeat(200))).unwrap();
            }
        })
    });
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    hub.close();
    let (delivered, missed) = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let stats = hub.stats();
    assert_eq!(stats.published, 2 * EVENTS as u64);
    assert_eq!((stats.delivered, stats.missed), (delivered as u64, missed as u64));
    assert!(stats.evicted_by_budget > 0 && stats.pinned_bytes == 0, "{stats:?}");
}
