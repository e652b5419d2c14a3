//! `Overflow::Latest`, also with times to live.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::subsequence;
use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{
    Cursor, Event, Gap, GapReason, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription, Topic,
};

use super::conflation_reference::{Item, TOPICS, World};
use crate::support::{
    LineFormat, VirtualTimer, next_gap, poll_encoded, ready_batches, ready_texts, subtopic, texts, topic,
};

#[derive(Debug, Clone)]
enum Step {
    Publish {
        topic: usize,
        key: Option<usize>,
        len: usize,
        ttl: Option<u64>,
    },
    Burst {
        topic: usize,
        keys: usize,
        count: usize,
    },
    Advance {
        millis: u64,
    },
    Sweep,
    Release,
    /// One poll, for a batch or for at most `max` encoded bytes.
    Poll {
        max: Option<usize>,
    },
    Drain {
        max: Option<usize>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (key, ttl) = (prop::option::of(0..4_usize), prop_oneof![3 => Just(None), 1 => (0..40_u64).prop_map(Some)]);
    let max = || prop::option::of(0..120_usize);
    let topic = || 0..TOPICS;
    prop_oneof![
        12 => (topic(), key, 0..10_usize, ttl).prop_map(|(topic, key, len, ttl)| Step::Publish { topic, key, len, ttl }),
        2 => (topic(), 1..60_usize, 0..200_usize).prop_map(|(topic, keys, count)| Step::Burst { topic, keys, count }),
        3 => (0..30_u64).prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Release),
        6 => max().prop_map(|max| Step::Poll { max }),
        1 => max().prop_map(|max| Step::Drain { max }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..80)
}

fn topics() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![(0..TOPICS).prop_map(|topic| vec![topic]), subsequence((0..TOPICS).collect::<Vec<_>>(), 2..=TOPICS),]
}

fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![2 => Just(Overflow::Latest), 1 => Just(Overflow::Gap)]
}

proptest! {
    #![proptest_config(crate::support::cases(250))]

    /// A client that resumes with its cursor for each poll reads the first items of the reference, for any sizes of its
    /// polls.
    #[test]
    fn p4_resume_at_any_cursor_continues_with_the_newest_of_each_key(
        count in 0..150_usize,
        bytes in 0..2_000_usize,
        topics in topics(),
        overflow in overflow(),
        steps in steps(),
    ) {
        let mut world = World::new(count, bytes);
        let all: Vec<_> = (0..TOPICS).collect();
        let _follows = (overflow == Overflow::Latest).then(|| subscribe(&world, &all, overflow, Start::Now));
        let mut at = 0;
        for step in steps {
            match step {
                Step::Poll { max } => drop(resume_and_poll(&mut world, &topics, overflow, &mut at, max)),
                Step::Drain { max } => while resume_and_poll(&mut world, &topics, overflow, &mut at, max) {},
                step => act(&mut world, &step),
            }
        }
        while resume_and_poll(&mut world, &topics, overflow, &mut at, Some(50)) {}
    }

    /// For a connected subscriber, each event of its topics is delivered, missed, conflated or expired, and counted so.
    #[test]
    fn p5_every_event_is_delivered_missed_conflated_or_expired(
        count in 0..150_usize,
        bytes in 0..2_000_usize,
        topics in topics(),
        overflow in overflow(),
        steps in steps(),
    ) {
        let mut world = World::new(count, bytes);
        let mut connected = Connected::new(&world, &topics, overflow);
        for step in steps {
            match step {
                Step::Release => connected.subscription.release(),
                Step::Poll { max } => drop(connected.poll(&world, max)),
                Step::Drain { max } => while connected.poll(&world, max) {},
                step => act(&mut world, &step),
            }
        }
        while connected.poll(&world, None) {}
    }
}

fn act(world: &mut World, step: &Step) {
    match *step {
        Step::Publish { topic, key, len, ttl } => world.publish(topic, key, len, ttl),
        Step::Burst { topic, keys, count } => (0..count).for_each(|n| world.publish(topic, Some(n % keys), 1, None)),
        Step::Advance { millis } => world.clock.advance(Duration::from_millis(millis)),
        Step::Sweep => world.hub.sweep(),
        Step::Release | Step::Poll { .. } | Step::Drain { .. } => {}
    }
}

fn subscribe(world: &World, topics: &[usize], overflow: Overflow, start: Start) -> Subscription {
    let subscribe = Subscribe::topics(topics.iter().map(|&topic| subtopic(topic)));
    world.hub.subscribe(subscribe.start(start).overflow(overflow)).unwrap()
}

/// Result of one poll.
#[derive(Debug, Default)]
struct Polled {
    items: Vec<Item>,
    missed: Option<u64>,
    conflated: u64,
}

/// Polls once. Returns `None` if nothing is ready.
fn take(subscription: &mut Subscription, max: Option<usize>) -> Option<Polled> {
    let mut cx = Context::from_waker(Waker::noop());
    let of_gap = |gap: Gap| Polled { items: vec![Item::Gap(gap.cursor.sequence())], missed: gap.missed, conflated: 0 };
    let polled = match max {
        None => match subscription.poll_next(&mut cx) {
            Poll::Pending => return None,
            Poll::Ready(Delivery::Events(batch)) => {
                let sequences = batch.iter().map(|event| {
                    let sequence = event.cursor.unwrap().sequence();
                    let text = event.event.as_str().unwrap().trim_end_matches('x');
                    assert_eq!(text, sequence.to_string(), "another event than the published one");
                    Item::Event(sequence)
                });
                Polled { items: sequences.collect(), missed: None, conflated: batch.conflated().into() }
            }
            Poll::Ready(Delivery::Gap(gap)) => of_gap(gap),
            other => panic!("{other:?}"),
        },
        Some(max) => match subscription.poll_encoded(&mut cx, &LineFormat::CACHED, max) {
            Poll::Pending => return None,
            Poll::Ready(EncodedDelivery::Events(events)) => {
                let text = std::str::from_utf8(&events.bytes).unwrap();
                let items: Vec<_> = text
                    .lines()
                    .map(|line| {
                        let (sequence, rest) = line.split_once(' ').unwrap();
                        let payload = rest.split_once(' ').unwrap().1;
                        assert_eq!(payload.trim_end_matches('x'), sequence);
                        Item::Event(sequence.parse().unwrap())
                    })
                    .collect();
                assert_eq!(items.len(), events.events as usize, "the number of events");
                assert!(events.bytes.len() <= max || items.len() == 1, "more than the maximum");
                Polled { items, missed: None, conflated: events.conflated.into() }
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => of_gap(gap),
            other => panic!("{other:?}"),
        },
    };
    assert!(!polled.items.is_empty(), "at least one");
    let (Item::Gap(last) | Item::Event(last)) = *polled.items.last().unwrap();
    assert_eq!(subscription.cursor().unwrap().sequence(), last, "the cursor of the last item");
    Some(polled)
}

/// Resumes at the cursor and polls once. Returns `false` if nothing was ready.
fn resume_and_poll(world: &mut World, topics: &[usize], overflow: Overflow, at: &mut u64, max: Option<usize>) -> bool {
    let start = Start::After(Cursor::new(world.hub.cursor().epoch(), *at));
    let mut subscription = subscribe(world, topics, overflow, start);
    let expected = world.expected(topics, *at, overflow);
    let polled = take(&mut subscription, max);
    match &polled {
        Some(polled) => assert_eq!(polled.items, expected[..polled.items.len().min(expected.len())]),
        None => assert_eq!(expected, [], "nothing is lost"),
    }
    *at = subscription.cursor().unwrap().sequence();
    assert!(polled.is_some() || *at == world.watermark(), "a subscription that has everything is at the watermark");
    polled.is_some()
}

/// A subscription from the start, and the outcome of each event of its topics.
struct Connected {
    subscription: Subscription,
    overflow: Overflow,
    /// By topic, the sequence up to which every event has an outcome.
    at: BTreeMap<usize, u64>,
    last: u64,
    delivered: u64,
    missed: u64,
    conflated: u64,
}

impl Connected {
    fn new(world: &World, topics: &[usize], overflow: Overflow) -> Self {
        let subscription = subscribe(world, topics, overflow, Start::Now);
        let at = topics.iter().map(|&topic| (topic, 0)).collect();
        Self { subscription, overflow, at, last: 0, delivered: 0, missed: 0, conflated: 0 }
    }

    /// Polls once. Returns `false` if nothing was ready, after a check that all events are accounted for.
    fn poll(&mut self, world: &World, max: Option<usize>) -> bool {
        let Some(polled) = take(&mut self.subscription, max) else {
            self.at.keys().for_each(|&topic| self.pass(world, topic, world.watermark() + 1));
            let published = world.all.iter().filter(|event| self.at.contains_key(&event.topic)).count() as u64;
            let stats = world.hub.stats();
            assert!(self.conflated <= stats.conflated, "more reported than conflated");
            assert_eq!(self.delivered + self.missed + stats.conflated + stats.expired, published, "{stats:?}");
            return false;
        };
        self.conflated += polled.conflated;
        for item in polled.items {
            let (Item::Gap(sequence) | Item::Event(sequence)) = item;
            let event = &world.all[sequence as usize - 1];
            assert!(sequence > self.last, "out of order: {item:?} after {}", self.last);
            self.last = sequence;
            if item == Item::Event(sequence) {
                self.pass(world, event.topic, sequence);
                assert!(!event.is_expired(world.clock.millis()), "{event:?} had expired");
                // An event that left history and is still in memory may be read although it was replaced since.
                let is_old = self.overflow == Overflow::Latest && world.is_replaced(event);
                assert!(!is_old || !world.is_retained(event.topic, sequence), "{event:?} was replaced");
                self.delivered += 1;
            } else {
                assert!(!world.is_retained(event.topic, sequence), "{event:?} is in a gap, but retained");
                self.missed += polled.missed.unwrap();
            }
            self.at.insert(event.topic, sequence);
        }
        true
    }

    /// Asserts that each event of a topic before a sequence that was neither delivered nor lost had expired or was
    /// replaced.
    fn pass(&self, world: &World, topic: usize, to: u64) {
        for event in &world.all[self.at[&topic] as usize..to as usize - 1] {
            let is_replaced = self.overflow == Overflow::Latest && world.is_replaced(event);
            let fine = event.topic != topic || event.is_expired(world.clock.millis()) || is_replaced;
            assert!(fine, "lost without a gap: {event:?}");
        }
    }
}

fn with_key(text: impl Into<String>, key: &str) -> Event {
    Event::text(text).with_key(key).unwrap()
}

fn ticker() -> (LocalHub, Topic, Subscription) {
    let (hub, prices) = (LocalHub::new(), topic("prices"));
    let subscription = hub.subscribe(Subscribe::topics([&prices]).overflow(Overflow::Latest)).unwrap();
    (hub, prices, subscription)
}

/// Reads the texts that are ready, and the number of events that were conflated into them.
fn read(subscription: &mut Subscription) -> (Vec<String>, u32) {
    let (mut all, mut conflated) = (Vec::new(), 0);
    for batch in ready_batches(subscription) {
        all.extend(texts(&batch));
        conflated += batch.conflated();
    }
    (all, conflated)
}

#[test]
fn latest_delivers_the_newest_of_each_key_in_order_and_all_events_without_key() {
    let (hub, prices, mut subscription) = ticker();
    for (text, key) in [("a1", Some("a")), ("b1", Some("b")), ("note 1", None), ("a2", Some("a")), ("note 2", None)] {
        let event = Event::text(text);
        hub.publish_now(&prices, key.map_or(event.clone(), |key| event.with_key(key).unwrap())).unwrap();
    }
    assert_eq!(read(&mut subscription), (["b1", "note 1", "a2", "note 2"].map(str::to_owned).to_vec(), 1));
    hub.publish_now(&prices, with_key("a3", "a")).unwrap();
    assert_eq!(ready_texts(&mut subscription), ["a3"], "the events read before are not repeated");
    assert_eq!(hub.stats().conflated, 1);
}

#[test]
fn latest_compares_keys_within_one_topic_only() {
    let hub = LocalHub::new();
    let mut subscription = hub.subscribe(Subscribe::topics(["eu", "us"]).overflow(Overflow::Latest)).unwrap();
    for (name, text) in [("eu", "eu 1"), ("us", "us 1"), ("eu", "eu 2")] {
        hub.publish_now(topic(name), with_key(text, "ACME")).unwrap();
    }
    assert_eq!(ready_texts(&mut subscription), ["us 1", "eu 2"]);
}

#[test]
fn latest_reader_that_keeps_up_gets_every_event_in_shared_bytes() {
    let (hub, prices, mut latest) = ticker();
    let mut plain = hub.subscribe(Subscribe::topics([&prices])).unwrap();
    for tick in 0..300 {
        hub.publish_now(&prices, with_key(tick.to_string(), "ACME")).unwrap();
        let bytes = [&mut latest, &mut plain].map(|one| match poll_encoded(one, &LineFormat::CACHED, 64 * 1024) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                (events.bytes.as_ptr() as usize, events.events, events.conflated)
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(bytes[0], bytes[1]);
        assert_eq!((bytes[0].1, bytes[0].2), (1, 0));
    }
    assert_eq!(hub.stats().conflated, 0);
}

/// The newest event expired: the event that it replaced is not delivered as if it were the newest.
#[test]
fn latest_expired_event_does_not_restore_the_event_it_replaced() {
    let clock = VirtualTimer::new();
    let (hub, prices) = (LocalHub::builder().clock(clock.clone()).build(), topic("prices"));
    let mut subscription = hub.subscribe(Subscribe::topics([&prices]).overflow(Overflow::Latest)).unwrap();
    hub.publish_now(&prices, with_key("old", "ACME")).unwrap();
    hub.publish_now(&prices, with_key("short", "ACME").with_ttl(Duration::from_millis(5))).unwrap();
    clock.advance(Duration::from_millis(5));
    assert_eq!(ready_texts(&mut subscription), Vec::<String>::new());
    let stats = hub.stats();
    assert_eq!((stats.conflated, stats.expired), (1, 1));
    hub.publish_now(&prices, with_key("new", "ACME")).unwrap();
    assert_eq!(ready_texts(&mut subscription), ["new"]);
}

#[test]
fn latest_event_evicted_unread_yields_gap() {
    for topics in [vec!["prices"], vec!["prices", "other"]] {
        let hub = LocalHub::builder().retain(Retention::count(100)).live_buffer(0).build();
        let mut slow = hub.subscribe(Subscribe::topics(topics).overflow(Overflow::Latest)).unwrap();
        for tick in 0..1_000 {
            // One event in the middle has a key of its own.
            let key = if tick == 499 { tick } else { tick % 7 };
            hub.publish_now(topic("prices"), with_key(tick.to_string(), &key.to_string())).unwrap();
        }
        let gap = next_gap(&mut slow);
        assert_eq!((gap.reason, gap.missed), (GapReason::Overflow, Some(500)));
        assert_eq!(read(&mut slow), ((993..1_000).map(|tick| tick.to_string()).collect(), 493));
        assert_eq!(hub.stats().conflated, 493);
    }
}

/// The first subscription that conflates marks the replaced events of the history that exists.
#[test]
fn latest_conflates_history_from_before_the_first_latest_subscription() {
    let (hub, prices) = (LocalHub::new(), topic("prices"));
    for tick in 0..500 {
        hub.publish_now(&prices, with_key(tick.to_string(), &(tick % 2).to_string())).unwrap();
    }
    let all = Subscribe::topics([&prices]).start(Start::Oldest);
    let mut latest = hub.subscribe(all.clone().overflow(Overflow::Latest)).unwrap();
    assert_eq!(ready_texts(&mut latest), ["498", "499"]);
    assert_eq!(ready_texts(&mut hub.subscribe(all).unwrap()).len(), 500, "other subscriptions get every event");
}
