//! `Overflow::Latest`, and how it goes together with times to live.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::subsequence;
use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{
    Cursor, Event, Gap, GapReason, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription, Topic,
};

use super::Lines;
use super::naive::{Item, TOPICS, World};

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
    Detach,
    /// By reference, or encoded into at most so many bytes.
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
        1 => Just(Step::Detach),
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

    /// A client that comes back with its cursor each time, as one that polls does, reads at each visit the beginning of
    /// what the reference says, however its visits are cut.
    #[test]
    fn p4_a_resume_at_any_cursor_goes_on_with_the_newest_of_each_key(
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
                Step::Poll { max } => drop(visit(&mut world, &topics, overflow, &mut at, max)),
                Step::Drain { max } => while visit(&mut world, &topics, overflow, &mut at, max) {},
                step => act(&mut world, &step),
            }
        }
        while visit(&mut world, &topics, overflow, &mut at, Some(50)) {}
    }

    /// A subscriber that stays: each event of its topics is delivered, missed, conflated or expired, and counted so.
    #[test]
    fn p5_delivered_missed_conflated_and_expired_are_all_there_is(
        count in 0..150_usize,
        bytes in 0..2_000_usize,
        topics in topics(),
        overflow in overflow(),
        steps in steps(),
    ) {
        let mut world = World::new(count, bytes);
        let mut stay = Stay::new(&world, &topics, overflow);
        for step in steps {
            match step {
                Step::Detach => stay.subscription.release(),
                Step::Poll { max } => drop(stay.poll(&world, max)),
                Step::Drain { max } => while stay.poll(&world, max) {},
                step => act(&mut world, &step),
            }
        }
        while stay.poll(&world, None) {}
    }
}

fn act(world: &mut World, step: &Step) {
    match *step {
        Step::Publish { topic, key, len, ttl } => world.publish(topic, key, len, ttl),
        Step::Burst { topic, keys, count } => (0..count).for_each(|n| world.publish(topic, Some(n % keys), 1, None)),
        Step::Advance { millis } => world.clock.advance(Duration::from_millis(millis)),
        Step::Sweep => world.hub.sweep(),
        Step::Detach | Step::Poll { .. } | Step::Drain { .. } => {}
    }
}

fn subscribe(world: &World, topics: &[usize], overflow: Overflow, start: Start) -> Subscription {
    let subscribe = Subscribe::topics(topics.iter().map(|&topic| World::topic(topic)));
    world.hub.subscribe(subscribe.start(start).overflow(overflow)).unwrap()
}

/// Result of one poll.
#[derive(Debug, Default)]
struct Brought {
    items: Vec<Item>,
    missed: Option<u64>,
    conflated: u64,
}

/// One poll; `None`: nothing is there.
fn take(subscription: &mut Subscription, max: Option<usize>) -> Option<Brought> {
    let mut cx = Context::from_waker(Waker::noop());
    let of_gap = |gap: Gap| Brought { items: vec![Item::Gap(gap.cursor.sequence())], missed: gap.missed, conflated: 0 };
    let brought = match max {
        None => match subscription.poll_next(&mut cx) {
            Poll::Pending => return None,
            Poll::Ready(Delivery::Events(batch)) => {
                let sequences = batch.iter().map(|event| {
                    let sequence = event.cursor.unwrap().sequence();
                    let text = event.event.as_str().unwrap().trim_end_matches('x');
                    assert_eq!(text, sequence.to_string(), "another event than was published there");
                    Item::Event(sequence)
                });
                Brought { items: sequences.collect(), missed: None, conflated: batch.conflated().into() }
            }
            Poll::Ready(Delivery::Gap(gap)) => of_gap(gap),
            other => panic!("{other:?}"),
        },
        Some(max) => match subscription.poll_encoded(&mut cx, &Lines::CACHED, max) {
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
                assert_eq!(items.len(), events.events as usize, "as many as it says");
                assert!(events.bytes.len() <= max || items.len() == 1, "more than was asked for");
                Brought { items, missed: None, conflated: events.conflated.into() }
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => of_gap(gap),
            other => panic!("{other:?}"),
        },
    };
    assert!(!brought.items.is_empty(), "at least one");
    let (Item::Gap(last) | Item::Event(last)) = *brought.items.last().unwrap();
    assert_eq!(subscription.cursor().unwrap().sequence(), last, "the cursor is what was delivered");
    Some(brought)
}

/// One subscription from the cursor, polled once. False when there was nothing.
fn visit(world: &mut World, topics: &[usize], overflow: Overflow, at: &mut u64, max: Option<usize>) -> bool {
    let start = Start::After(Cursor::new(world.hub.cursor().epoch(), *at));
    let mut subscription = subscribe(world, topics, overflow, start);
    let expected = world.expected(topics, *at, overflow);
    let brought = take(&mut subscription, max);
    match &brought {
        Some(brought) => assert_eq!(brought.items, expected[..brought.items.len().min(expected.len())]),
        None => assert_eq!(expected, [], "nothing is lost"),
    }
    *at = subscription.cursor().unwrap().sequence();
    assert!(brought.is_some() || *at == world.watermark(), "who has everything stands at the watermark");
    brought.is_some()
}

/// A subscription from the beginning, and what came of each event that it was owed.
struct Stay {
    subscription: Subscription,
    overflow: Overflow,
    /// By topic, the sequence up to which every event has its fate.
    at: BTreeMap<usize, u64>,
    last: u64,
    delivered: u64,
    missed: u64,
    conflated: u64,
}

impl Stay {
    fn new(world: &World, topics: &[usize], overflow: Overflow) -> Self {
        let subscription = subscribe(world, topics, overflow, Start::Now);
        let at = topics.iter().map(|&topic| (topic, 0)).collect();
        Self { subscription, overflow, at, last: 0, delivered: 0, missed: 0, conflated: 0 }
    }

    /// One poll. False when there was nothing, and so all accounts are even.
    fn poll(&mut self, world: &World, max: Option<usize>) -> bool {
        let Some(brought) = take(&mut self.subscription, max) else {
            self.at.keys().for_each(|&topic| self.pass(world, topic, world.watermark() + 1));
            let published = world.all.iter().filter(|event| self.at.contains_key(&event.topic)).count() as u64;
            let stats = world.hub.stats();
            assert!(self.conflated <= stats.conflated, "no more are told of than were conflated");
            assert_eq!(self.delivered + self.missed + stats.conflated + stats.expired, published, "{stats:?}");
            return false;
        };
        self.conflated += brought.conflated;
        for item in brought.items {
            let (Item::Gap(sequence) | Item::Event(sequence)) = item;
            let event = &world.all[sequence as usize - 1];
            assert!(sequence > self.last, "out of order: {item:?} after {}", self.last);
            self.last = sequence;
            if item == Item::Event(sequence) {
                self.pass(world, event.topic, sequence);
                assert!(!event.is_expired(world.clock.millis()), "{event:?} had expired");
                // What is in memory, and no history any more, may be read as it stood then.
                let is_old = self.overflow == Overflow::Latest && world.is_replaced(event);
                assert!(!is_old || !world.is_retained(event.topic, sequence), "{event:?} was replaced");
                self.delivered += 1;
            } else {
                assert!(!world.is_retained(event.topic, sequence), "{event:?} is told lost, and is not");
                self.missed += brought.missed.unwrap();
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
            assert!(fine, "lost in silence: {event:?}");
        }
    }
}

fn with_key(text: impl Into<String>, key: &str) -> Event {
    Event::text(text).with_key(key).unwrap()
}

fn ticker() -> (LocalHub, Topic, Subscription) {
    let (hub, prices) = (LocalHub::new(), Topic::new("prices").unwrap());
    let subscription = hub.subscribe(Subscribe::topics([&prices]).overflow(Overflow::Latest)).unwrap();
    (hub, prices, subscription)
}

/// The payloads of all that is ready, and how many other events they are said to stand for.
fn read(subscription: &mut Subscription) -> (Vec<String>, u32) {
    let (mut texts, mut conflated) = (Vec::new(), 0);
    while let Poll::Ready(Delivery::Events(batch)) = subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
        texts.extend(batch.iter().map(|event| event.event.as_str().unwrap().to_owned()));
        conflated += batch.conflated();
    }
    (texts, conflated)
}

fn texts(subscription: &mut Subscription) -> Vec<String> {
    read(subscription).0
}

#[test]
fn the_newest_of_each_key_comes_in_its_place_and_all_without_a_key() {
    let (hub, prices, mut subscription) = ticker();
    for (text, key) in [("a1", Some("a")), ("b1", Some("b")), ("note 1", None), ("a2", Some("a")), ("note 2", None)] {
        let event = Event::text(text);
        hub.publish_now(&prices, key.map_or(event.clone(), |key| event.with_key(key).unwrap())).unwrap();
    }
    assert_eq!(read(&mut subscription), (["b1", "note 1", "a2", "note 2"].map(str::to_owned).to_vec(), 1));
    hub.publish_now(&prices, with_key("a3", "a")).unwrap();
    assert_eq!(texts(&mut subscription), ["a3"], "what was read is read");
    assert_eq!(hub.stats().conflated, 1);
}

#[test]
fn a_key_is_of_its_topic() {
    let hub = LocalHub::new();
    let mut subscription = hub.subscribe(Subscribe::topics(["eu", "us"]).overflow(Overflow::Latest)).unwrap();
    for (topic, text) in [("eu", "eu 1"), ("us", "us 1"), ("eu", "eu 2")] {
        hub.publish_now(Topic::new(topic).unwrap(), with_key(text, "ACME")).unwrap();
    }
    assert_eq!(texts(&mut subscription), ["us 1", "eu 2"]);
}

#[test]
fn who_keeps_up_reads_everything_and_shares_the_bytes_of_those_who_do_not_conflate() {
    let (hub, prices, mut latest) = ticker();
    let mut plain = hub.subscribe(Subscribe::topics([&prices])).unwrap();
    for tick in 0..300 {
        hub.publish_now(&prices, with_key(tick.to_string(), "ACME")).unwrap();
        let bytes = [&mut latest, &mut plain].map(|one| {
            match one.poll_encoded(&mut Context::from_waker(Waker::noop()), &Lines::CACHED, 64 * 1024) {
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    (events.bytes.as_ptr() as usize, events.events, events.conflated)
                }
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(bytes[0], bytes[1]);
        assert_eq!((bytes[0].1, bytes[0].2), (1, 0));
    }
    assert_eq!(hub.stats().conflated, 0);
}

/// The newest event expired: the event that it replaced is not delivered as if it were the newest.
#[test]
fn an_expired_event_does_not_bring_back_what_it_replaced() {
    let clock = super::model::ManualClock::new();
    let (hub, prices) = (LocalHub::builder().clock(clock.clone()).build(), Topic::new("prices").unwrap());
    let mut subscription = hub.subscribe(Subscribe::topics([&prices]).overflow(Overflow::Latest)).unwrap();
    hub.publish_now(&prices, with_key("old", "ACME")).unwrap();
    hub.publish_now(&prices, with_key("short", "ACME").with_ttl(Duration::from_millis(5))).unwrap();
    clock.advance(Duration::from_millis(5));
    assert_eq!(texts(&mut subscription), Vec::<String>::new());
    let stats = hub.stats();
    assert_eq!((stats.conflated, stats.expired), (1, 1));
    hub.publish_now(&prices, with_key("new", "ACME")).unwrap();
    assert_eq!(texts(&mut subscription), ["new"]);
}

#[test]
fn what_was_evicted_unread_is_still_a_gap() {
    for topics in [vec!["prices"], vec!["prices", "other"]] {
        let hub = LocalHub::builder().retain(Retention::count(100)).live_buffer(0).build();
        let mut slow = hub.subscribe(Subscribe::topics(topics).overflow(Overflow::Latest)).unwrap();
        for tick in 0..1_000 {
            // One in the middle has a key that no other has.
            let key = if tick == 499 { tick } else { tick % 7 };
            hub.publish_now(Topic::new("prices").unwrap(), with_key(tick.to_string(), &key.to_string())).unwrap();
        }
        let Poll::Ready(Delivery::Gap(gap)) = slow.poll_next(&mut Context::from_waker(Waker::noop())) else {
            panic!("no gap");
        };
        assert_eq!((gap.reason, gap.missed), (GapReason::Overflow, Some(500)));
        assert_eq!(read(&mut slow), ((993..1_000).map(|tick| tick.to_string()).collect(), 493));
        assert_eq!(hub.stats().conflated, 493);
    }
}

/// The first who conflates may come when there is history already; what it needs is made of that.
#[test]
fn history_from_before_anyone_conflated_is_conflated_too() {
    let (hub, prices) = (LocalHub::new(), Topic::new("prices").unwrap());
    for tick in 0..500 {
        hub.publish_now(&prices, with_key(tick.to_string(), &(tick % 2).to_string())).unwrap();
    }
    let all = Subscribe::topics([&prices]).start(Start::Oldest);
    let mut latest = hub.subscribe(all.clone().overflow(Overflow::Latest)).unwrap();
    assert_eq!(texts(&mut latest), ["498", "499"]);
    assert_eq!(texts(&mut hub.subscribe(all).unwrap()).len(), 500, "nobody else is concerned");
}
