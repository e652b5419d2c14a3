//! Random sequences of all operations of a hub, against the naive reference.

use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, Slot};
use tidings::{Cursor, Event, LocalHub, LocalHubBuilder, Retention, Start, Subscribe, Subscriber, Topic};

use super::reference::{Ledger, Reference};
use crate::support::{LineFormat, VirtualTimer, poll, poll_encoded, topic};

const TOPICS: [&str; 6] = ["a", "b", "a/x", "a/y", "a/x/1", "b/x"];
/// Names that a subscription may follow: the topics, and patterns of them.
const NAMES: [&str; 13] =
    ["a", "b", "a/x", "a/y", "a/x/1", "b/x", "*", "**", "a/*", "a/**", "a/x/*", "b/**", "none/**"];

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, len: usize, ttl: Option<u64> },
    PublishAll { topics: Vec<usize> },
    Subscribe { names: Vec<&'static str>, from: From },
    Poll { index: usize },
    PollEncoded { index: usize, max: usize, slot: Option<Slot> },
    Drain { index: usize },
    Resume { index: usize, names: Option<Vec<&'static str>> },
    Release { index: usize },
    Drop { index: usize },
    Advance { millis: u64 },
    Sweep,
}

#[derive(Debug, Clone, Copy)]
enum From {
    Now,
    Oldest,
    Last(usize),
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(NAMES.to_vec(), 1..=4).prop_shuffle()
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = prop_oneof![4 => Just(None), 1 => (1..40_u64).prop_map(Some)];
    let from = prop_oneof![Just(From::Now), Just(From::Oldest), (0..5_usize).prop_map(From::Last)];
    let slot = prop_oneof![Just(None), Just(Some(Slot::APPLICATION[0])), Just(Some(Slot::APPLICATION[1]))];
    prop_oneof![
        12 => (0..TOPICS.len(), 0..40_usize, ttl).prop_map(|(topic, len, ttl)| Step::Publish { topic, len, ttl }),
        2 => prop::collection::vec(0..TOPICS.len(), 0..90).prop_map(|topics| Step::PublishAll { topics }),
        4 => (names(), from).prop_map(|(names, from)| Step::Subscribe { names, from }),
        6 => any::<usize>().prop_map(|index| Step::Poll { index }),
        6 => (any::<usize>(), 0..200_usize, slot).prop_map(|(index, max, slot)| Step::PollEncoded { index, max, slot }),
        3 => any::<usize>().prop_map(|index| Step::Drain { index }),
        3 => (any::<usize>(), prop::option::of(names())).prop_map(|(index, names)| Step::Resume { index, names }),
        1 => any::<usize>().prop_map(|index| Step::Release { index }),
        1 => any::<usize>().prop_map(|index| Step::Drop { index }),
        2 => (0..60_u64).prop_map(|millis| Step::Advance { millis }),
        // Longer than the log of a pattern keeps an event, so that its subscriptions read the logs of the topics.
        1 => Just(Step::Advance { millis: 11_000 }),
        1 => Just(Step::Sweep),
    ]
}

fn retention() -> impl Strategy<Value = Retention> {
    let age = prop_oneof![2 => 1..200_u64, 1 => Just(3_600_000)];
    (0..70_usize, 0..600_usize, age)
        .prop_map(|(count, bytes, age)| Retention::count(count).bytes(bytes).age(Duration::from_millis(age)))
}

proptest! {
    #![proptest_config(crate::support::cases(500))]

    /// For any operations in any order, every subscriber gets every event in order and once, or a gap.
    #[test]
    fn random_operations_deliver_every_event_once_in_order_or_yield_gap(
        retentions in prop::array::uniform3(retention()),
        live_buffer in prop_oneof![2 => Just(0), 1 => 1_000..30_000_usize, 1 => Just(LocalHubBuilder::LIVE_BUFFER)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(retentions, live_buffer);
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }
}

struct World {
    hub: LocalHub,
    clock: VirtualTimer,
    reference: Reference,
    topics: Vec<Topic>,
    readers: Vec<Reader>,
}

struct Reader {
    subscription: tidings::Subscription,
    names: Vec<&'static str>,
    ledger: Ledger,
}

/// Returns the topics that these names follow.
fn followed(names: &[&str]) -> impl Iterator<Item = usize> {
    (0..TOPICS.len()).filter(|&topic| names.iter().any(|name| is_for(name, TOPICS[topic])))
}

/// Returns whether a name is the name of this topic or a pattern that matches it.
fn is_for(name: &str, topic: &str) -> bool {
    let (name, topic): (Vec<_>, Vec<_>) = (name.split('/').collect(), topic.split('/').collect());
    match name.split_last() {
        Some((&"**", prefix)) => topic.len() > prefix.len() && topic.starts_with(prefix),
        Some((&"*", prefix)) => topic.len() == prefix.len() + 1 && topic.starts_with(prefix),
        _ => name == topic,
    }
}

impl World {
    /// Returns a world with one retention for all topics, one for some of them, and one for one of these.
    fn new([all, some, one]: [Retention; 3], live_buffer: usize) -> Self {
        let clock = VirtualTimer::new();
        let hub = LocalHub::builder().retain_for("a/x", one).retain(all).retain_for("a/**", some);
        let hub = hub.live_buffer(live_buffer).clock(clock.clone()).build();
        let topics = TOPICS.iter().map(topic).collect();
        let reference = Reference::new([all, all, one, some, some, all]);
        Self { hub, clock, reference, topics, readers: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        let now = self.clock.millis();
        let readers = self.readers.len().max(1);
        match step {
            Step::Publish { topic, len, ttl } => {
                let payload = "x".repeat(len);
                let mut event = Event::text(payload.clone());
                if let Some(ttl) = ttl {
                    event = event.with_ttl(Duration::from_millis(ttl));
                }
                let receipt = self.hub.publish_now(&self.topics[topic], event).unwrap();
                self.reference.publish(topic, payload, ttl, now);
                assert_eq!(receipt.cursor().unwrap().sequence(), self.reference.watermark());
                let following = self.readers.iter().filter(|reader| followed(&reader.names).any(|one| one == topic));
                assert_eq!(receipt.subscribers(), following.count());
                assert_eq!(self.hub.subscribers(&self.topics[topic]), receipt.subscribers());
            }
            Step::PublishAll { topics } => {
                let events = topics.iter().map(|&topic| (self.topics[topic].clone(), Event::text("y")));
                assert_eq!(self.hub.publish_batch(events).unwrap().len(), topics.len());
                for topic in topics {
                    self.reference.publish(topic, "y".to_owned(), None, now);
                }
            }
            Step::Subscribe { names, from } => {
                let start = match from {
                    From::Now => Start::Now,
                    From::Oldest => Start::Oldest,
                    From::Last(n) => Start::Last(n),
                };
                let owed_from = |topic| match from {
                    From::Now => self.reference.watermark(),
                    From::Oldest => self.reference.evicted(topic, now),
                    From::Last(n) => self.reference.before_last(topic, n, now),
                };
                let ledger = Ledger::new(followed(&names).map(|topic| (topic, owed_from(topic))).collect());
                let subscription = self.subscribe(&names, start);
                self.readers.push(Reader { subscription, names, ledger });
            }
            Step::Poll { index } => {
                self.poll(index % readers);
            }
            Step::PollEncoded { index, max, slot } => {
                self.poll_encoded(index % readers, max, slot);
            }
            Step::Drain { index } => while self.poll(index % readers) {},
            Step::Resume { index, names } => self.resume(index % readers, names),
            Step::Release { index } => {
                if let Some(reader) = self.readers.get_mut(index % readers) {
                    reader.subscription.release();
                }
            }
            Step::Drop { index } => {
                if !self.readers.is_empty() {
                    self.readers.swap_remove(index % readers);
                }
            }
            Step::Advance { millis } => self.clock.advance(Duration::from_millis(millis)),
            Step::Sweep => self.hub.sweep(),
        }
    }

    fn subscribe(&self, names: &[&str], start: Start) -> tidings::Subscription {
        self.hub.subscribe(Subscribe::patterns(names.iter().copied()).start(start)).unwrap()
    }

    /// Drops a subscriber and resumes with its cursor, for the same names or for others.
    fn resume(&mut self, index: usize, names: Option<Vec<&'static str>>) {
        let Some(reader) = self.readers.get(index) else {
            return;
        };
        let cursor = reader.subscription.cursor().unwrap();
        let names = names.unwrap_or_else(|| reader.names.clone());
        let owed_from = cursor.sequence();
        let ledger = Ledger::new(followed(&names).map(|topic| (topic, owed_from)).collect::<BTreeMap<_, _>>());
        self.readers.swap_remove(index);
        let cursor: Cursor = cursor.to_string().parse().unwrap();
        let subscription = self.subscribe(&names, Start::After(cursor));
        self.readers.push(Reader { subscription, names, ledger });
    }

    /// Polls a reader for a batch and checks it. Returns `false` if there was none.
    fn poll(&mut self, index: usize) -> bool {
        let now = self.clock.millis();
        let Some(reader) = self.readers.get_mut(index) else {
            return false;
        };
        match poll(&mut reader.subscription) {
            Poll::Ready(Delivery::Events(batch)) => {
                assert!(!batch.is_empty());
                for event in batch.iter() {
                    let topic = self.topics.iter().position(|name| name == event.topic).unwrap();
                    let sequence = event.cursor.unwrap().sequence();
                    reader.ledger.event(&self.reference, topic, sequence, event.event.as_str().unwrap(), now);
                    assert_eq!(batch.topic(), event.topic);
                }
                let last = batch.iter().next_back().unwrap().cursor;
                assert_eq!(reader.subscription.cursor(), last, "the cursor of the last event");
                true
            }
            Poll::Ready(Delivery::Gap(gap)) => self.gap(index, &gap),
            Poll::Pending => self.pending(index),
            other => panic!("{other:?}"),
        }
    }

    /// Polls a reader for encoded events and checks them.
    fn poll_encoded(&mut self, index: usize, max: usize, slot: Option<Slot>) -> bool {
        let now = self.clock.millis();
        let Some(reader) = self.readers.get_mut(index) else {
            return false;
        };
        match poll_encoded(&mut reader.subscription, &LineFormat(slot), max) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                let bytes = events.bytes;
                let text = std::str::from_utf8(&bytes).unwrap();
                assert!(text.ends_with('\n'), "an event is cut");
                assert_eq!(text.lines().count(), events.events as usize);
                assert!(bytes.len() <= max || text.lines().count() == 1, "more than the maximum");
                let mut last = 0;
                for line in text.lines() {
                    let (sequence, rest) = line.split_once(' ').unwrap();
                    let (topic, payload) = rest.split_once(' ').unwrap();
                    let topic = self.topics.iter().position(|name| name.as_str() == topic).unwrap();
                    last = sequence.parse().unwrap();
                    reader.ledger.event(&self.reference, topic, last, payload, now);
                }
                assert_eq!(reader.subscription.cursor().unwrap().sequence(), last);
                true
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => self.gap(index, &gap),
            Poll::Pending => self.pending(index),
            other => panic!("{other:?}"),
        }
    }

    fn gap(&mut self, index: usize, gap: &tidings::Gap) -> bool {
        let reader = &mut self.readers[index];
        let (named, wild): (Vec<&str>, Vec<&str>) = reader.names.iter().partition(|name| !name.ends_with('*'));
        let by_pattern: Vec<_> = followed(&wild).collect();
        match &gap.topic {
            Some(topic) => {
                let topic = TOPICS.iter().position(|name| *name == topic.as_str()).unwrap();
                let is_counted = named.contains(&TOPICS[topic]) && !by_pattern.contains(&topic);
                reader.ledger.gap(&self.reference, &[topic], gap, self.clock.millis(), is_counted);
            }
            None => reader.ledger.gap(&self.reference, &by_pattern, gap, self.clock.millis(), false),
        }
        assert_eq!(reader.subscription.cursor(), Some(gap.cursor));
        true
    }

    fn pending(&mut self, index: usize) -> bool {
        let reader = &mut self.readers[index];
        reader.ledger.pending(&self.reference, self.clock.millis());
        let at = reader.subscription.cursor().unwrap();
        assert_eq!(at.sequence(), self.reference.watermark(), "a subscription that has everything is at the watermark");
        false
    }

    /// Lets all readers read everything, drops them, and checks that no topic is left.
    fn finish(mut self) {
        for index in 0..self.readers.len() {
            while self.poll(index) {}
        }
        self.hub.close();
        for reader in &mut self.readers {
            let last = poll(&mut reader.subscription);
            assert!(
                matches!(last, Poll::Ready(Delivery::End(tidings::subscriber::SubscriptionEnd::Closed))),
                "{last:?}"
            );
        }
        self.readers.clear();
        self.clock.advance(Duration::from_secs(3_600));
        self.hub.sweep();
        let stats = self.hub.stats();
        assert_eq!((stats.subscriptions, stats.topics, stats.patterns), (0, 0, 0));
        assert_eq!((stats.retained, stats.retained_bytes), (0, 0));
        assert_eq!(stats.published, self.reference.watermark());
    }
}
