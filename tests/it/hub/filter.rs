//! Subscriptions with a predicate.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, EventRef, Slot};
use tidings::{
    Cursor, EndReason, Event, Gap, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription, TopicEnd,
};

use super::sequence_names::{NAMES, TOPICS};
use crate::support::{
    CountingFormat, LineFormat, VirtualTimer, WakeCounter, cases, poll, poll_encoded, ready_texts, texts,
};

fn is_visible(event: &EventRef<'_>) -> bool {
    event.event.tag() == Some("visible")
}

#[derive(Debug, Clone)]
enum Step {
    Publish {
        topic: usize,
        key: Option<u8>,
        ttl: Option<u64>,
        visible: bool,
    },
    Burst {
        topic: usize,
        events: usize,
        visible: u8,
    },
    Finish {
        topic: usize,
    },
    Advance {
        millis: u64,
    },
    Read {
        max: Option<usize>,
    },
    /// The client is cut after some deliveries, and resumes.
    Cut {
        deliveries: usize,
        max: Option<usize>,
    },
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = prop_oneof![4 => Just(None), 1 => (1..40_u64).prop_map(Some)];
    let max = || prop_oneof![Just(None), (0..200_usize).prop_map(Some), Just(Some(64 * 1024))];
    prop_oneof![
        12 => (0..TOPICS.len(), prop::option::of(0..3_u8), ttl, any::<bool>())
            .prop_map(|(topic, key, ttl, visible)| Step::Publish { topic, key, ttl, visible }),
        3 => (0..TOPICS.len(), 0..90_usize, 0..4_u8)
            .prop_map(|(topic, events, visible)| Step::Burst { topic, events, visible }),
        1 => (0..TOPICS.len()).prop_map(|topic| Step::Finish { topic }),
        2 => prop_oneof![0..30_u64, Just(11_000)].prop_map(|millis| Step::Advance { millis }),
        4 => max().prop_map(|max| Step::Read { max }),
        2 => (0..6_usize, max()).prop_map(|(deliveries, max)| Step::Cut { deliveries, max }),
        1 => Just(Step::Release),
    ]
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    /// Sequence and line of an event.
    Event(u64, String),
    Gap(Gap),
    TopicEnd(TopicEnd),
    End(String),
}

impl Item {
    fn sequence(&self) -> u64 {
        match self {
            Self::Event(sequence, _) => *sequence,
            Self::Gap(gap) => gap.cursor.sequence(),
            Self::TopicEnd(end) => end.cursor.sequence(),
            Self::End(_) => u64::MAX,
        }
    }
}

/// Reads at most this number of deliveries, as batches or as bytes of at most `max`.
fn read(subscription: &mut Subscription, max: Option<usize>, deliveries: usize) -> Vec<Item> {
    let mut items = Vec::new();
    for _ in 0..deliveries {
        let delivery = match max {
            None => match poll(subscription) {
                Poll::Ready(Delivery::Events(batch)) => {
                    assert!(!batch.is_empty());
                    for event in batch.iter() {
                        let sequence = event.cursor.unwrap().sequence();
                        let text = event.event.as_str().unwrap();
                        items.push(Item::Event(sequence, format!("{sequence} {} {text}", event.topic)));
                    }
                    continue;
                }
                Poll::Ready(other) => other,
                Poll::Pending => return items,
            },
            Some(max) => match poll_encoded(subscription, &LineFormat(Some(Slot::APPLICATION[max % 2])), max) {
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    let text = std::str::from_utf8(&events.bytes).unwrap();
                    assert_eq!(text.lines().count(), events.events as usize);
                    assert!(text.len() <= max || events.events == 1, "more than the maximum");
                    for line in text.lines() {
                        let sequence = line.split(' ').next().unwrap().parse().unwrap();
                        items.push(Item::Event(sequence, line.to_owned()));
                    }
                    continue;
                }
                Poll::Ready(EncodedDelivery::Gap(gap)) => Delivery::Gap(gap),
                Poll::Ready(EncodedDelivery::TopicEnd(end)) => Delivery::TopicEnd(end),
                Poll::Ready(EncodedDelivery::End(end)) => Delivery::End(end),
                other => {
                    assert!(other.is_pending(), "{other:?}");
                    return items;
                }
            },
        };
        match delivery {
            // The position of a filtered subscription before a gap is later. The epochs of two hubs differ.
            Delivery::Gap(mut gap) => {
                (gap.missed, gap.after) = (None, None);
                gap.cursor = Cursor::new(0, gap.cursor.sequence());
                gap.gone = gap.gone.map(|gone| Cursor::new(0, gone.sequence()));
                items.push(Item::Gap(gap));
            }
            Delivery::TopicEnd(mut end) => {
                end.cursor = Cursor::new(0, end.cursor.sequence());
                items.push(Item::TopicEnd(end));
            }
            Delivery::End(end) => {
                items.push(Item::End(format!("{end:?}")));
                return items;
            }
            other => panic!("{other:?}"),
        }
    }
    items
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        prop::sample::select(NAMES.to_vec()).prop_map(|name| vec![name]),
        prop::sample::subsequence(TOPICS.to_vec(), 1..=4).prop_shuffle(),
        prop::sample::subsequence(NAMES.to_vec(), 1..=4).prop_shuffle(),
    ]
}

proptest! {
    #![proptest_config(cases(384))]

    /// Compared with a subscription without the predicate, which reads and resumes at the same moments, in a hub of its own: a
    /// reader affects the events that are in memory for others.
    #[test]
    fn filtered_subscription_yields_the_events_of_an_unfiltered_one_for_which_the_predicate_holds(
        steps in prop::collection::vec(step(), 1..80),
        names in names(),
        overflow in prop_oneof![Just(Overflow::Gap), Just(Overflow::Latest), Just(Overflow::Disconnect)],
        retained in prop_oneof![2 => Just(1_000_usize), 1 => 0..40_usize],
        live_buffer in prop_oneof![Just(0_usize), Just(2_000), Just(1 << 20)],
    ) {
        let clock = VirtualTimer::new();
        let hubs: [LocalHub; 2] = std::array::from_fn(|_| {
            let hub = LocalHub::builder().retain(Retention::count(retained)).live_buffer(live_buffer);
            hub.clock(clock.clone()).build()
        });
        let mut visible = std::collections::BTreeSet::new();
        let subscribe = |start| Subscribe::patterns(names.iter().copied()).start(start).overflow(overflow);
        let both = |after: Option<u64>| {
            let start = |hub: &LocalHub| match after {
                Some(after) => Start::After(Cursor::new(hub.cursor().epoch(), after)),
                None => Start::Now,
            };
            let plain = hubs[0].subscribe(subscribe(start(&hubs[0]))).unwrap();
            (plain, hubs[1].subscribe(subscribe(start(&hubs[1])).filter(is_visible)).unwrap())
        };
        let (mut plain, mut filtered) = both(None);
        let mut publish = |topic: usize, event: Event, is_visible: bool| {
            let event = event.with_tag(if is_visible { "visible" } else { "hidden" }).unwrap();
            for hub in &hubs {
                if let (Ok(receipt), true) = (hub.publish_now(TOPICS[topic], event.clone()), is_visible) {
                    visible.insert(receipt.cursor().unwrap().sequence());
                }
            }
        };
        let mut check: Vec<(Vec<Item>, Vec<Item>, u64)> = Vec::new();
        for step in steps.iter().chain([&Step::Read { max: None }]) {
            match *step {
                Step::Publish { topic, key, ttl, visible } => {
                    let mut event = Event::text("x");
                    if let Some(key) = key {
                        event = event.with_key(&key.to_string()).unwrap();
                    }
                    if let Some(ttl) = ttl {
                        event = event.with_ttl(Duration::from_millis(ttl));
                    }
                    publish(topic, event, visible);
                }
                Step::Burst { topic, events, visible } => {
                    for event in 0..events {
                        publish(topic, Event::text("burst"), event as u8 % 4 < visible);
                    }
                }
                Step::Finish { topic } => {
                    hubs.iter().for_each(|hub| _ = hub.finish(TOPICS[topic], EndReason::Done).unwrap());
                }
                Step::Advance { millis } => clock.advance(Duration::from_millis(millis)),
                Step::Release => {
                    plain.release();
                    filtered.release();
                }
                Step::Read { max } => {
                    let expected = read(&mut plain, max, usize::MAX);
                    let got = read(&mut filtered, max, usize::MAX);
                    let sequence = |subscription: &Subscription| subscription.cursor().unwrap().sequence();
                    prop_assert_eq!(sequence(&plain), sequence(&filtered));
                    check.push((got, expected, u64::MAX));
                }
                Step::Cut { deliveries, max } => {
                    let got = read(&mut filtered, max, deliveries);
                    let cursor = filtered.cursor().unwrap().sequence();
                    let expected = read(&mut plain, None, usize::MAX);
                    check.push((got, expected, cursor));
                    drop((plain, filtered));
                    (plain, filtered) = both(Some(cursor));
                }
            }
        }
        for (got, expected, up_to) in check {
            let is_expected = |item: &Item| match item {
                Item::Event(sequence, _) => visible.contains(sequence) && *sequence <= up_to,
                Item::End(_) => up_to == u64::MAX || got.contains(item),
                other => other.sequence() <= up_to,
            };
            let expected: Vec<_> = expected.into_iter().filter(is_expected).collect();
            prop_assert_eq!(got, expected, "up to {}", up_to);
        }
    }
}

#[test]
fn thousand_filtered_subscribers_cost_one_encoding_of_each_event() {
    const GROUPS: usize = 10;
    let hub = LocalHub::new();
    let format = CountingFormat::default();
    for names in [vec!["a"], vec!["a", "b"], vec!["*"]] {
        let mut subscribers: Vec<_> = (0..1_000)
            .map(|subscriber| {
                let group = (subscriber % GROUPS).to_string();
                let subscribe = Subscribe::patterns(names.iter().copied());
                hub.subscribe(subscribe.filter(move |event| event.event.tag() == Some(&group))).unwrap()
            })
            .collect();
        for burst in [1_usize, 100, 7] {
            let before = format.encoded();
            for event in 0..burst {
                let group = (event % GROUPS).to_string();
                hub.publish_now("a", Event::text(event.to_string()).with_tag(&group).unwrap()).unwrap();
            }
            for (subscriber, subscription) in subscribers.iter_mut().enumerate() {
                let mut got = Vec::new();
                while let Poll::Ready(EncodedDelivery::Events(events)) = poll_encoded(subscription, &format, 64 * 1024)
                {
                    let lines = std::str::from_utf8(&events.bytes).unwrap().lines();
                    got.extend(lines.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()));
                }
                let expected: Vec<_> = (0..burst).filter(|event| event % GROUPS == subscriber % GROUPS).collect();
                assert_eq!(got, expected);
                assert_eq!(subscription.cursor(), Some(hub.cursor()));
            }
            assert_eq!(format.encoded() - before, burst, "{names:?}");
        }
    }
}

#[test]
fn panic_of_the_predicate_moves_no_cursor_and_loses_no_event() {
    for names in [vec!["a"], vec!["a", "b"], vec!["*"]] {
        let hub = LocalHub::new();
        let is_broken = Arc::new(AtomicBool::new(true));
        let predicate = {
            let is_broken = Arc::clone(&is_broken);
            move |event: &EventRef<'_>| {
                assert!(!(is_broken.load(Ordering::Relaxed) && event.event.as_str() == Some("3")), "in the predicate");
                true
            }
        };
        let mut subscription = hub.subscribe(Subscribe::patterns(names).filter(predicate)).unwrap();
        for text in ["1", "2", "3", "4"] {
            hub.publish_now("a", text).unwrap();
        }
        let mut got = Vec::new();
        while let Ok(polled) = catch_unwind(AssertUnwindSafe(|| poll(&mut subscription))) {
            let Poll::Ready(Delivery::Events(batch)) = polled else { panic!("{polled:?}") };
            got.extend(texts(&batch));
        }
        let before = subscription.cursor();
        assert!(
            catch_unwind(AssertUnwindSafe(|| poll_encoded(&mut subscription, &LineFormat::CACHED, 1_000))).is_err()
        );
        assert_eq!(subscription.cursor(), before);
        is_broken.store(false, Ordering::Relaxed);
        got.extend(ready_texts(&mut subscription));
        assert_eq!(got, ["1", "2", "3", "4"]);
    }
}

#[test]
fn poll_looks_at_a_bounded_number_of_events_and_wakes_its_task() {
    const EVENTS: usize = 20_000;
    let hub = LocalHub::builder().retain(Retention::count(EVENTS + 1)).build();
    (0..EVENTS).for_each(|_| _ = hub.publish_now("a", "hidden").unwrap());
    hub.publish_now("a", "visible").unwrap();
    for names in [vec!["a"], vec!["a", "b"], vec!["*"]] {
        let looks = Arc::new(AtomicUsize::new(0));
        let predicate = {
            let looks = Arc::clone(&looks);
            move |event: &EventRef<'_>| {
                looks.fetch_add(1, Ordering::Relaxed);
                event.event.as_str() == Some("visible")
            }
        };
        let subscribe = Subscribe::patterns(names).start(Start::Oldest).filter(predicate);
        let mut subscription = hub.subscribe(subscribe).unwrap();
        let wakes = Arc::new(WakeCounter::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut polls = 0;
        loop {
            let (woken, cursor) = (wakes.count(), subscription.cursor().unwrap());
            looks.store(0, Ordering::Relaxed);
            polls += 1;
            match subscription.poll_next(&mut Context::from_waker(&waker)) {
                Poll::Pending => {
                    assert_eq!(wakes.count(), woken + 1);
                    assert!(subscription.cursor().unwrap().sequence() > cursor.sequence());
                }
                Poll::Ready(Delivery::Events(batch)) => {
                    assert_eq!(batch.len(), 1);
                    break;
                }
                other => panic!("{other:?}"),
            }
            let looks = looks.load(Ordering::Relaxed);
            assert!((4_096..4_096 + 256).contains(&looks), "{looks}");
        }
        assert_eq!(polls, EVENTS / 4_096 + 1);
    }
}

#[test]
fn statistics_add_up_with_the_events_that_a_predicate_leaves_out() {
    let hub = LocalHub::new();
    let mut subscription = hub.subscribe(Subscribe::topics(["a"]).filter(is_visible)).unwrap();
    for event in 0..100 {
        let tag = if event % 3 == 0 { "visible" } else { "hidden" };
        hub.publish_now("a", Event::text("x").with_tag(tag).unwrap()).unwrap();
    }
    assert_eq!(ready_texts(&mut subscription).len(), 34);
    assert!(poll(&mut subscription).is_pending());
    let stats = hub.stats();
    assert_eq!((stats.delivered, stats.filtered, stats.published), (34, 66, 100));
}

#[test]
fn gap_of_a_filtered_subscription_has_no_number_of_missed_events() {
    let hub = LocalHub::builder().retain(Retention::count(1)).live_buffer(0).build();
    for names in [vec!["a"], vec!["a", "b"], vec!["*"]] {
        let mut subscription = hub.subscribe(Subscribe::patterns(names).filter(|_| true)).unwrap();
        (0..10_000).for_each(|_| _ = hub.publish_now("a", "x").unwrap());
        let Poll::Ready(Delivery::Gap(gap)) = poll(&mut subscription) else { panic!("a gap is first") };
        assert_eq!(gap.missed, None);
    }
}
