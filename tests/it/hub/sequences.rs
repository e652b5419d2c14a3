//! Random sequences of everything one can do with a hub, against the naive reference.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tidings::{Cursor, Delivery, Encoded, Event, LocalHub, Retention, Start, Subscribe, Subscriber, Topic};

use super::model::{Ledger, Lines, ManualClock, Reference};

const TOPICS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, len: usize, ttl: Option<u64> },
    PublishAll { topics: Vec<usize> },
    Subscribe { topics: Vec<usize>, from: From },
    Poll { who: usize },
    PollEncoded { who: usize, max: usize, slot: Option<u8> },
    Drain { who: usize },
    Resume { who: usize, topics: Option<Vec<usize>> },
    Detach { who: usize },
    Drop { who: usize },
    Advance { millis: u64 },
    Sweep,
}

#[derive(Debug, Clone, Copy)]
enum From {
    Now,
    Oldest,
    Last(usize),
}

fn topics() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..TOPICS).collect::<Vec<_>>(), 1..=TOPICS)
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = prop_oneof![4 => Just(None), 1 => (1..40_u64).prop_map(Some)];
    let from = prop_oneof![Just(From::Now), Just(From::Oldest), (0..5_usize).prop_map(From::Last)];
    let slot = prop_oneof![Just(None), Just(Some(6)), Just(Some(7))];
    prop_oneof![
        12 => (0..TOPICS, 0..40_usize, ttl).prop_map(|(topic, len, ttl)| Step::Publish { topic, len, ttl }),
        2 => prop::collection::vec(0..TOPICS, 0..90).prop_map(|topics| Step::PublishAll { topics }),
        4 => (topics(), from).prop_map(|(topics, from)| Step::Subscribe { topics, from }),
        6 => any::<usize>().prop_map(|who| Step::Poll { who }),
        6 => (any::<usize>(), 0..200_usize, slot).prop_map(|(who, max, slot)| Step::PollEncoded { who, max, slot }),
        3 => any::<usize>().prop_map(|who| Step::Drain { who }),
        3 => (any::<usize>(), prop::option::of(topics())).prop_map(|(who, topics)| Step::Resume { who, topics }),
        1 => any::<usize>().prop_map(|who| Step::Detach { who }),
        1 => any::<usize>().prop_map(|who| Step::Drop { who }),
        2 => (0..60_u64).prop_map(|millis| Step::Advance { millis }),
        1 => Just(Step::Sweep),
    ]
}

fn retention() -> impl Strategy<Value = Retention> {
    (0..70_usize, 0..600_usize, 1..200_u64)
        .prop_map(|(count, bytes, age)| Retention::count(count).bytes(bytes).age(Duration::from_millis(age)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    /// Whatever is done in whatever order: every subscriber gets every event in order and once, or is told.
    #[test]
    fn nothing_is_lost_in_silence(retention in retention(), steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(retention);
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }
}

struct World {
    hub: LocalHub,
    clock: ManualClock,
    retention: Retention,
    reference: Reference,
    names: Vec<Topic>,
    readers: Vec<Reader>,
}

struct Reader {
    subscription: tidings::Subscription,
    topics: Vec<usize>,
    ledger: Ledger,
}

impl World {
    fn new(retention: Retention) -> Self {
        let clock = ManualClock::new();
        let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
        let names = (0..TOPICS).map(|n| Topic::new(format!("topic/{n}")).unwrap()).collect();
        Self { hub, clock, retention, reference: Reference::default(), names, readers: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        let now = self.clock.millis();
        let readers = self.readers.len().max(1);
        match step {
            Step::Publish { topic, len, ttl } => {
                let payload = "x".repeat(len);
                let mut event = Event::text(payload.clone());
                if let Some(ttl) = ttl {
                    event = event.ttl(Duration::from_millis(ttl));
                }
                let receipt = self.hub.publish_now(&self.names[topic], event).unwrap();
                self.reference.publish(topic, payload, ttl, now, &self.retention);
                assert_eq!(receipt.cursor.position().sequence, self.reference.watermark());
                let following = self.readers.iter().filter(|reader| reader.topics.contains(&topic)).count();
                assert_eq!(receipt.subscribers, following);
            }
            Step::PublishAll { topics } => {
                let events = topics.iter().map(|&topic| (self.names[topic].clone(), Event::text("y")));
                assert_eq!(self.hub.publish_all(events).unwrap().len(), topics.len());
                for topic in topics {
                    self.reference.publish(topic, "y".to_owned(), None, now, &self.retention);
                }
            }
            Step::Subscribe { topics, from } => {
                let start = match from {
                    From::Now => Start::Now,
                    From::Oldest => Start::Oldest,
                    From::Last(n) => Start::Last(n),
                };
                let owed_from = |topic| match from {
                    From::Now => self.reference.watermark(),
                    From::Oldest => self.reference.evicted(topic, now, &self.retention),
                    From::Last(n) => self.reference.before_last(topic, n, now, &self.retention),
                };
                let ledger = Ledger::new(topics.iter().map(|&topic| (topic, owed_from(topic))).collect());
                let subscription = self.subscribe(&topics, start);
                self.readers.push(Reader { subscription, topics, ledger });
            }
            Step::Poll { who } => {
                self.poll(who % readers);
            }
            Step::PollEncoded { who, max, slot } => {
                self.poll_encoded(who % readers, max, slot);
            }
            Step::Drain { who } => while self.poll(who % readers) {},
            Step::Resume { who, topics } => self.resume(who % readers, topics),
            Step::Detach { who } => {
                if let Some(reader) = self.readers.get_mut(who % readers) {
                    reader.subscription.detach();
                }
            }
            Step::Drop { who } => {
                if !self.readers.is_empty() {
                    self.readers.swap_remove(who % readers);
                }
            }
            Step::Advance { millis } => self.clock.advance(Duration::from_millis(millis)),
            Step::Sweep => self.hub.sweep(),
        }
    }

    fn subscribe(&self, topics: &[usize], start: Start) -> tidings::Subscription {
        self.hub.subscribe(Subscribe::to(topics.iter().map(|&topic| &self.names[topic])).start(start)).unwrap()
    }

    /// The subscriber goes away and comes back with its cursor, for the same topics or for others.
    fn resume(&mut self, who: usize, topics: Option<Vec<usize>>) {
        let Some(reader) = self.readers.get(who) else {
            return;
        };
        let cursor = reader.subscription.cursor().unwrap();
        let topics = topics.unwrap_or_else(|| reader.topics.clone());
        let owed_from = cursor.position().sequence;
        let ledger = Ledger::new(topics.iter().map(|&topic| (topic, owed_from)).collect::<BTreeMap<_, _>>());
        self.readers.swap_remove(who);
        let cursor: Cursor = cursor.to_string().parse().unwrap();
        let subscription = self.subscribe(&topics, Start::After(cursor));
        self.readers.push(Reader { subscription, topics, ledger });
    }

    /// One poll by reference. False when there was nothing.
    fn poll(&mut self, who: usize) -> bool {
        let now = self.clock.millis();
        let Some(reader) = self.readers.get_mut(who) else {
            return false;
        };
        match reader.subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Delivery::Events(batch)) => {
                assert!(!batch.is_empty());
                for event in batch.iter() {
                    let topic = self.names.iter().position(|name| name == event.topic).unwrap();
                    let sequence = event.cursor.unwrap().position().sequence;
                    reader.ledger.event(&self.reference, topic, sequence, event.event.as_str().unwrap(), now);
                    assert_eq!(batch.topic(), event.topic);
                }
                let last = batch.iter().next_back().unwrap().cursor;
                assert_eq!(reader.subscription.cursor(), last, "the cursor is what was delivered");
                true
            }
            Poll::Ready(Delivery::Gap(gap)) => self.gap(who, &gap),
            Poll::Pending => self.pending(who),
            other => panic!("{other:?}"),
        }
    }

    /// The same, encoded.
    fn poll_encoded(&mut self, who: usize, max: usize, slot: Option<u8>) -> bool {
        let now = self.clock.millis();
        let Some(reader) = self.readers.get_mut(who) else {
            return false;
        };
        match reader.subscription.poll_encoded(&mut Context::from_waker(Waker::noop()), &Lines(slot), max) {
            Poll::Ready(Encoded::Events(events)) => {
                let bytes = events.bytes;
                let text = std::str::from_utf8(&bytes).unwrap();
                assert!(text.ends_with('\n'), "whole events");
                assert_eq!(text.lines().count(), events.events as usize);
                assert!(bytes.len() <= max || text.lines().count() == 1, "more than was asked for");
                let mut last = 0;
                for line in text.lines() {
                    let (sequence, rest) = line.split_once(' ').unwrap();
                    let (topic, payload) = rest.split_once(' ').unwrap();
                    let topic = self.names.iter().position(|name| name.as_str() == topic).unwrap();
                    last = sequence.parse().unwrap();
                    reader.ledger.event(&self.reference, topic, last, payload, now);
                }
                assert_eq!(reader.subscription.cursor().unwrap().position().sequence, last);
                true
            }
            Poll::Ready(Encoded::Gap(gap)) => self.gap(who, &gap),
            Poll::Pending => self.pending(who),
            other => panic!("{other:?}"),
        }
    }

    fn gap(&mut self, who: usize, gap: &tidings::Gap) -> bool {
        let reader = &mut self.readers[who];
        let topic = self.names.iter().position(|name| Some(name) == gap.topic.as_ref()).unwrap();
        reader.ledger.gap(&self.reference, topic, gap, self.clock.millis(), &self.retention);
        assert_eq!(reader.subscription.cursor(), Some(gap.cursor));
        true
    }

    fn pending(&mut self, who: usize) -> bool {
        let reader = &mut self.readers[who];
        reader.ledger.pending(&self.reference, self.clock.millis());
        let at = reader.subscription.cursor().unwrap().position();
        assert_eq!(at.sequence, self.reference.watermark(), "who has everything stands at the watermark");
        false
    }

    /// At the end everyone reads on until there is nothing more; then everyone leaves, and so do the topics.
    fn finish(mut self) {
        for who in 0..self.readers.len() {
            while self.poll(who) {}
        }
        self.hub.close();
        for reader in &mut self.readers {
            let last = reader.subscription.poll_next(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(last, Poll::Ready(Delivery::End(tidings::End::Closed))), "{last:?}");
        }
        self.readers.clear();
        self.clock.advance(Duration::from_secs(1));
        self.hub.sweep();
        let stats = self.hub.stats();
        assert_eq!((stats.subscriptions, stats.topics, stats.retained, stats.retained_bytes), (0, 0, 0, 0));
        assert_eq!(stats.published, self.reference.watermark());
    }
}
