//! The byte budget of a hub: the order of eviction, the gaps of evicted events, and the limits that always hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{Event, GapReason, LocalHub, PublishError, Retention, Start, Subscribe, Subscriber, Subscription, Topic};

use super::encode_cache::encode;
use crate::support::{LineFormat, VirtualTimer, poll, ready_batches, sequences, subtopic};

/// Returns a hub that evicts for its byte budget only.
pub(super) fn hub(limit: usize) -> LocalHub {
    LocalHub::builder().retain(Retention::count(usize::MAX).bytes(usize::MAX)).max_bytes(limit).build()
}

/// Returns an event of 1 KiB.
pub(super) fn kib() -> Event {
    Event::text("x".repeat(1024))
}

/// Publishes this number of events of 1 KiB.
pub(super) fn publish(hub: &LocalHub, topic: &Topic, events: usize) {
    for _ in 0..events {
        hub.publish_now(topic, kib()).unwrap();
    }
}

/// Returns the sequences of the retained events of a topic.
pub(super) fn history(hub: &LocalHub, topic: &Topic) -> Vec<u64> {
    let mut subscription = hub.subscribe(Subscribe::topics([topic]).start(Start::Oldest)).unwrap();
    let kept = ready_batches(&mut subscription).flat_map(|batch| sequences(&batch)).collect();
    assert!(poll(&mut subscription).is_pending(), "no end");
    kept
}

proptest! {
    #![proptest_config(crate::support::cases(100))]

    /// Each publish is accepted, its event is kept, and the bytes stay within the limit, for any sizes and topics.
    #[test]
    fn p13_bytes_stay_within_the_budget_for_any_publishes(
        limit in 20_000..200_000_usize,
        spread in 1..400_u64,
        events in prop::collection::vec((any::<u64>(), 0..4_000_usize), 1..600),
    ) {
        let hub = hub(limit);
        for (n, len) in events {
            let receipt = hub.publish_now(subtopic(n % spread), Event::text("x".repeat(len))).unwrap();
            let stats = hub.stats();
            prop_assert!(stats.bytes <= limit, "{stats:?}");
            prop_assert_eq!(stats.evicted, stats.evicted_by_budget);
            let newest = history(&hub, &subtopic(n % spread)).last().copied();
            prop_assert_eq!(newest, Some(receipt.cursor().unwrap().sequence()), "the newest is always kept");
        }
    }

    /// The logs of patterns are within the budget. A subscription that lags because of that gets a gap, or reads the events
    /// from the histories of the topics.
    #[test]
    fn p13_bytes_stay_within_the_budget_with_patterns(
        limit in 200_000..600_000_usize,
        spread in 1..200_u64,
        events in prop::collection::vec((any::<u64>(), 0..4_000_usize, 0..10_u8), 1..500),
    ) {
        let hub = hub(limit);
        let mut all: Vec<_> =
            ["**", "topic/*"].iter().map(|pattern| hub.subscribe(Subscribe::patterns([*pattern])).unwrap()).collect();
        let mut seen = vec![0; all.len()];
        for (n, len, reads) in events {
            hub.publish_now(subtopic(n % spread), Event::text("x".repeat(len))).unwrap();
            let stats = hub.stats();
            let pinned = stats.pinned_bytes.min(limit / 4);
            prop_assert!(stats.bytes - pinned <= limit, "more than the limit and the pinned bytes: {stats:?}");
            prop_assert_eq!((stats.published, stats.patterns), (stats.retained + stats.evicted, 2));
            if reads > 0 {
                continue;
            }
            for (subscription, seen) in all.iter_mut().zip(&mut seen) {
                let (before, mut had_gap) = (*seen, false);
                let mut delivered = 0;
                while let Poll::Ready(delivery) = poll(subscription) {
                    match delivery {
                        Delivery::Gap(gap) => had_gap = gap.reason == GapReason::Overflow,
                        Delivery::Events(batch) => delivered += batch.len() as u64,
                        other => panic!("{other:?}"),
                    }
                }
                *seen = subscription.cursor().unwrap().sequence();
                prop_assert_eq!(*seen, stats.published);
                prop_assert!(had_gap || delivered == *seen - before, "lost without a gap");
            }
        }
        drop(all);
        prop_assert_eq!((hub.stats().patterns, hub.stats().subscriptions), (0, 0));
    }

    /// For any retention and pace, history is as many of the newest events as the retention allows.
    #[test]
    fn p14_retention_evicts_only_the_oldest_events(
        (count, bytes, age) in (0..80_usize, 0..3_000_usize, 1..500_u64),
        events in prop::collection::vec((0..100_usize, 0..20_u64), 1..200),
    ) {
        let clock = VirtualTimer::new();
        let retention = Retention::count(count).bytes(bytes).age(Duration::from_millis(age));
        let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
        let mut published: Vec<(u64, usize)> = Vec::new();
        for (len, pause) in events {
            hub.publish_now(subtopic("a"), Event::text("x".repeat(len))).unwrap();
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
            prop_assert_eq!(history(&hub, &subtopic("a")), expected);
            prop_assert_eq!(hub.stats().evicted_by_budget, 0);
        }
    }

    /// Each topic keeps its newest events without a hole, and nothing is evicted before the budget is nearly spent.
    #[test]
    fn p14_budget_evicts_only_the_oldest_events_of_a_topic(topics in prop::collection::vec(0..8_usize, 400..900)) {
        let hub = hub(300_000);
        let mut published: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        let mut evicted = 0;
        for n in topics {
            // Five of eight go to two topics, which are much larger than the others.
            let n = if n < 5 { n / 3 } else { n };
            let receipt = hub.publish_now(subtopic(n), kib()).unwrap();
            published.entry(n).or_default().push(receipt.cursor().unwrap().sequence());
            let stats = hub.stats();
            prop_assert!(stats.evicted == evicted || stats.bytes > 300_000 - 2 * 64 * 1024 - 40_000, "{stats:?}");
            // Without an eviction only the topic of the event has changed.
            let changed = published.iter().filter(|&(&other, _)| other == n || stats.evicted > evicted);
            for (&n, all) in changed {
                let kept = history(&hub, &subtopic(n));
                prop_assert!(all.ends_with(&kept), "{kept:?} of {all:?}");
            }
            evicted = stats.evicted;
        }
    }
}

#[test]
fn events_evicted_unread_are_counted_exactly_in_the_gap() {
    for topics in [vec![subtopic("a")], vec![subtopic("a"), subtopic("b")]] {
        let hub = hub(200_000);
        let start = hub.cursor();
        let mut slow = hub.subscribe(Subscribe::topics(&topics)).unwrap();
        publish(&hub, &subtopic("a"), 1_000);
        let Poll::Ready(Delivery::Gap(gap)) = poll(&mut slow) else { panic!("no gap") };
        let kept = history(&hub, &subtopic("a"));
        assert_eq!(gap.missed, Some(1_000 - kept.len() as u64));
        assert_eq!(gap.cursor.sequence() + 1, kept[0]);
        assert_eq!((gap.reason, gap.topic), (GapReason::Overflow, Some(subtopic("a"))));
        let Poll::Ready(Delivery::Events(batch)) = poll(&mut slow) else { panic!("no events after the gap") };
        assert_eq!(batch.iter().next().unwrap().cursor.unwrap().sequence(), kept[0]);

        let mut back = hub.subscribe(Subscribe::topics(&topics).start(Start::After(start))).unwrap();
        let Poll::Ready(Delivery::Gap(evicted)) = poll(&mut back) else { panic!("no gap") };
        assert_eq!((evicted.reason, evicted.cursor), (GapReason::Evicted, gap.cursor));
        let stats = hub.stats();
        assert_eq!((stats.gaps, stats.missed), (2, gap.missed.unwrap()));
    }
}

#[test]
fn publish_larger_than_the_budget_is_refused_and_evicts_nothing() {
    let hub = hub(50_000);
    publish(&hub, &subtopic("a"), 10);
    let before = (hub.stats(), hub.cursor());
    let large = Event::text("x".repeat(50_000));
    let refused = Err(PublishError::Full { weight: 50_000, limit: 50_000 });
    assert_eq!(hub.publish_now(subtopic("new"), large), refused);
    let all = (0..49).map(|n| (subtopic(n % 3), kib()));
    let refused = Err(PublishError::Full { weight: 49 * 1024, limit: 50_000 });
    assert_eq!(hub.publish_batch(all), refused, "all or none");
    assert_eq!((hub.stats(), hub.cursor()), before, "nothing was evicted, published or created");
    let all = (0..30).map(|n| (subtopic(n % 3), kib()));
    assert_eq!(hub.publish_batch(all).unwrap().len(), 30, "a batch that fits is published, whatever it evicts");
    assert!(hub.stats().bytes <= 50_000);
}

#[test]
fn hub_with_zero_budget_refuses_every_event() {
    let hub = hub(0);
    assert_eq!(hub.publish_now(subtopic("a"), ""), Err(PublishError::Full { weight: 0, limit: 0 }));
    assert_eq!(hub.publish_batch(Vec::<(Topic, Event)>::new()), Ok(Vec::new()));
    assert_eq!(hub.stats().topics, 0);
}

#[test]
fn p13_bytes_pinned_by_slow_readers_are_bounded() {
    let (hub, limit) = (hub(400_000), 400_000);
    let mut slow = Vec::new();
    let refused: PublishError = loop {
        assert!(slow.len() < 1_000, "pinned bytes count");
        let topic = subtopic(slow.len());
        let mut reader = hub.subscribe(Subscribe::topics([&topic])).unwrap();
        // The reader reads the first two of ten events, so it holds their segment.
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
    hub.publish_now(subtopic("a"), kib()).unwrap();
}

/// A waker that adds the index of its reader to a list.
struct Woken(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn waiting_reader_of_an_evicted_segment_is_woken_to_release_it() {
    for width in [1, 2] {
        let (hub, limit) = (hub(400_000), 400_000);
        let woken: Arc<Mutex<Vec<usize>>> = Arc::default();
        let (mut readers, mut counts) = (Vec::new(), Vec::new());
        for n in 0..500 {
            let topics = (0..width).map(|part| subtopic(format!("{n}/{part}")));
            readers.push(hub.subscribe(Subscribe::topics(topics)).unwrap());
            counts.push(0);
            hub.publish_now(subtopic(format!("{n}/0")), kib()).unwrap();
            // The readers that were woken and the new one read everything and wait.
            let mut due = std::mem::take(&mut *woken.lock().unwrap());
            due.push(n);
            for index in due {
                let waker = Waker::from(Arc::new(Woken(index, Arc::clone(&woken))));
                while let Poll::Ready(delivery) = readers[index].poll_next(&mut Context::from_waker(&waker)) {
                    let Delivery::Events(batch) = delivery else { panic!("{delivery:?}") };
                    counts[index] += batch.len();
                }
            }
            let stats = hub.stats();
            assert!(stats.bytes <= limit && stats.pinned_bytes == 0, "{stats:?}");
            assert_eq!(stats.parked, readers.len() * width, "all readers wait again");
        }
        assert!(hub.stats().evicted > 100);
        assert!(counts.iter().all(|&count| count == 1), "each reader got its event, and nothing else");
    }
}

#[test]
fn p18_unsubscribe_frees_all_bytes() {
    for width in [1, 3] {
        let hub = LocalHub::builder().retain(Retention::count(0)).build();
        let mut all: Vec<_> = (0..100)
            .map(|n| hub.subscribe(Subscribe::topics((0..width).map(|part| subtopic(n * width + part)))).unwrap())
            .collect();
        (0..100 * width).for_each(|n| publish(&hub, &subtopic(n), 1));
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
fn p13_idle_topics_hold_no_bytes_after_their_history_expired() {
    let clock = VirtualTimer::new();
    let retention = Retention::default().age(Duration::from_secs(60));
    let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
    for n in 0..70_000 {
        hub.publish_now(subtopic(n), "once").unwrap();
    }
    assert_eq!(hub.stats().topics, 70_000);
    clock.advance(Duration::from_secs(60));
    hub.sweep();
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.bytes, stats.retained, stats.evicted), (0, 0, 0, 70_000));
    assert_eq!(stats.tombstones, 65_536, "the maximum number of tombstones");
}

#[test]
fn spent_budget_under_threads_keeps_counts_and_limit() {
    const EVENTS: usize = 20_000;
    let (hub, limit) = (hub(4_000_000), 4_000_000);
    let read = |seed: usize| {
        let hub = hub.clone();
        move || {
            let topics: Vec<_> = (seed..seed + 2).map(|n| subtopic(n % 3)).collect();
            let mut subscription = hub.subscribe(Subscribe::topics(&topics[..1 + seed % 2])).unwrap();
            let (mut cx, mut delivered, mut missed) = (Context::from_waker(Waker::noop()), 0, 0);
            loop {
                match subscription.poll_encoded(&mut cx, &LineFormat::CACHED, 8 * 1024) {
                    Poll::Ready(EncodedDelivery::Events(encoding)) => delivered += encoding.events as usize,
                    Poll::Ready(EncodedDelivery::Gap(gap)) => missed += gap.missed.unwrap() as usize,
                    Poll::Ready(_) => return (delivered, missed),
                    Poll::Pending => std::thread::yield_now(),
                }
                let stats = hub.stats();
                assert_eq!(stats.published, stats.retained + stats.evicted, "at any time");
                // Between a check and its effect, two publishers add an event each and four readers cache a reply each.
                let in_flight = 2 * 20_000 + 4 * 24 * 1024;
                assert!(stats.bytes <= limit + limit / 4 + in_flight, "{stats:?}");
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
                hub.publish_now(subtopic((n + offset) % 3), Event::text("x".repeat(200))).unwrap();
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
