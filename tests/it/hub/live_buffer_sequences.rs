//! Random operations against a simple model: a connected reader gets events that left history before it read them. A new
//! or resumed reader gets the events that the retention promises.

use std::collections::BTreeMap;
use std::task::Poll;

use proptest::prelude::*;
use tidings::subscriber::{Delivery, SubscriptionEnd};
use tidings::{
    Cursor, Event, Gap, GapReason, LocalHub, LocalHubBuilder, Overflow, Retention, Start, Subscribe, Subscriber,
    Subscription, Topic,
};

use crate::support::{poll, topic};

pub(super) const TOPICS: [&str; 3] = ["a/x", "a/y", "b"];
/// Names that a subscription follows.
pub(super) const NAMES: [&[&str]; 7] =
    [&["a/x"], &["b"], &["a/x", "a/y"], &["a/x", "a/y", "b"], &["a/*"], &["**"], &["a/*", "b"]];
/// Upper bound for the charge of a segment with events of at most 200 bytes, of a topic that keeps fewer than 64 of them.
const SEGMENT: usize = 24 * 1024;
/// Upper bound for the charge of such an event.
const EVENT: usize = 800;

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, len: usize },
    PublishAll { topics: Vec<usize>, len: usize },
    Subscribe { names: usize, overflow: Overflow },
    Poll { index: usize, times: usize },
    Drain { index: usize },
    Resume { index: usize, reads: usize },
    Release { index: usize },
    Drop { index: usize },
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<usize>;
    let len = || 0..200_usize;
    let overflow = prop_oneof![3 => Just(Overflow::Gap), 1 => Just(Overflow::Disconnect)];
    prop_oneof![
        6 => (0..TOPICS.len(), len()).prop_map(|(topic, len)| Step::Publish { topic, len }),
        4 => (prop::collection::vec(0..TOPICS.len(), 0..300), len())
            .prop_map(|(topics, len)| Step::PublishAll { topics, len }),
        4 => (0..NAMES.len(), overflow).prop_map(|(names, overflow)| Step::Subscribe { names, overflow }),
        4 => (index(), 1..5_usize).prop_map(|(index, times)| Step::Poll { index, times }),
        4 => index().prop_map(|index| Step::Drain { index }),
        3 => (index(), 0..3_usize).prop_map(|(index, reads)| Step::Resume { index, reads }),
        1 => index().prop_map(|index| Step::Release { index }),
        1 => index().prop_map(|index| Step::Drop { index }),
        1 => Just(Step::Sweep),
    ]
}

fn live_buffer() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0), 2 => SEGMENT..10 * SEGMENT, 3 => Just(LocalHubBuilder::LIVE_BUFFER)]
}

proptest! {
    #![proptest_config(crate::support::cases(300))]

    /// For any operations in any order, a connected reader gets all events that the live buffer holds, a resumed reader
    /// gets exactly the events in history, and all other events are in a gap.
    #[test]
    fn connected_reader_gets_the_live_buffer_and_resumed_reader_gets_history(
        count in 0..60_usize,
        bytes in prop_oneof![0..6_000_usize, Just(1 << 20)],
        live_buffer in live_buffer(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(Retention::count(count).bytes(bytes), live_buffer);
        steps.into_iter().for_each(|step| world.step(step));
        world.finish();
    }
}

/// A published event. Its sequence is its place in the list, from 1 on.
struct Known {
    topic: usize,
    weight: usize,
}

struct World {
    hub: LocalHub,
    retention: Retention,
    live_buffer: usize,
    all: Vec<Known>,
    readers: Vec<Reader>,
}

struct Reader {
    subscription: Subscription,
    names: &'static [&'static str],
    overflow: Overflow,
    /// Events that the reader must still get, by sequence, with their topics.
    owed: BTreeMap<u64, usize>,
    /// By topic, the sequence of the last event that was lost before the reader subscribed.
    lost: BTreeMap<usize, u64>,
    /// By topic, the sequence up to which a gap said that events are missing.
    gaps: BTreeMap<usize, u64>,
    last: u64,
}

impl Reader {
    fn follows(&self, topic: usize) -> bool {
        follows(self.names, topic)
    }

    fn is_by_pattern(&self) -> bool {
        self.names.iter().any(|name| name.ends_with('*'))
    }
}

pub(super) fn follows(names: &[&str], topic: usize) -> bool {
    names.iter().any(|name| match *name {
        "**" => true,
        "a/*" => TOPICS[topic].starts_with("a/"),
        name => name == TOPICS[topic],
    })
}

impl World {
    fn new(retention: Retention, live_buffer: usize) -> Self {
        let hub = LocalHub::builder().retain(retention).live_buffer(live_buffer).build();
        Self { hub, retention, live_buffer, all: Vec::new(), readers: Vec::new() }
    }

    fn published(&mut self, topic: usize, weight: usize) {
        self.all.push(Known { topic, weight });
        let sequence = self.all.len() as u64;
        for reader in self.readers.iter_mut().filter(|reader| follows(reader.names, topic)) {
            reader.owed.insert(sequence, topic);
        }
    }

    /// Returns the sequence of the newest event of a topic that is not in history.
    fn evicted(&self, topic: usize) -> u64 {
        let (mut count, mut bytes) = (0, 0);
        for (index, event) in self.all.iter().enumerate().rev().filter(|(_, event)| event.topic == topic) {
            (count, bytes) = (count + 1, bytes + event.weight);
            if count > self.retention.count || bytes > self.retention.bytes {
                return index as u64 + 1;
            }
        }
        0
    }

    /// Returns whether a connected reader may lose an event: newer events of its log fill the live buffer.
    fn may_lose(&self, names: &[&str], sequence: u64) -> bool {
        let lost = &self.all[sequence as usize - 1];
        let newer = &self.all[sequence as usize - 1..];
        let is_in_log = |event: &&Known| event.topic == lost.topic || names.iter().any(|name| name.ends_with('*'));
        let newer = newer.iter().filter(is_in_log).map(|event| event.weight + EVENT).sum::<usize>();
        newer + 2 * SEGMENT > self.live_buffer
    }

    fn step(&mut self, step: Step) {
        let readers = self.readers.len().max(1);
        match step {
            Step::Publish { topic, len } => {
                self.hub.publish_now(topic_of(topic), "x".repeat(len)).unwrap();
                self.published(topic, len);
            }
            Step::PublishAll { topics, len } => {
                let event = Event::text("x".repeat(len));
                self.hub.publish_batch(topics.iter().map(|&topic| (topic_of(topic), event.clone()))).unwrap();
                topics.into_iter().for_each(|topic| self.published(topic, len));
            }
            Step::Subscribe { names, overflow } => self.subscribe(NAMES[names], overflow, None),
            Step::Poll { index, times } => (0..times).for_each(|_| _ = self.poll(index % readers)),
            Step::Drain { index } => while self.poll(index % readers) {},
            Step::Resume { index, reads } if !self.readers.is_empty() => {
                let (index, reader) = (self.readers.len() - 1, self.readers.swap_remove(index % readers));
                let cursor = reader.subscription.cursor().unwrap();
                let (names, overflow) = (reader.names, reader.overflow);
                drop(reader);
                self.subscribe(names, overflow, Some(cursor));
                (0..reads).for_each(|_| _ = self.poll(index));
            }
            Step::Resume { .. } => {}
            Step::Release { index } => {
                self.readers.get_mut(index % readers).into_iter().for_each(|reader| reader.subscription.release());
            }
            Step::Drop { index } if !self.readers.is_empty() => drop(self.readers.swap_remove(index % readers)),
            Step::Drop { .. } => {}
            Step::Sweep => self.hub.sweep(),
        }
    }

    fn subscribe(&mut self, names: &'static [&'static str], overflow: Overflow, after: Option<Cursor>) {
        let start = after.map_or(Start::Now, Start::After);
        let subscribe = Subscribe::patterns(names.iter().copied()).start(start).overflow(overflow);
        let subscription = self.hub.subscribe(subscribe).unwrap();
        let after = after.map_or(self.all.len() as u64, |cursor| cursor.sequence());
        let (mut owed, mut lost) = (BTreeMap::new(), BTreeMap::new());
        for topic in (0..TOPICS.len()).filter(|&topic| follows(names, topic)) {
            let evicted = self.evicted(topic);
            if evicted > after {
                lost.insert(topic, evicted);
            }
            let unread = (1..).zip(&self.all).filter(|(sequence, event)| event.topic == topic && *sequence > after);
            owed.extend(unread.filter(|(sequence, _)| *sequence > evicted).map(|(sequence, _)| (sequence, topic)));
        }
        let reader = Reader { subscription, names, overflow, owed, lost, gaps: BTreeMap::new(), last: after };
        self.readers.push(reader);
    }

    /// Polls a reader once and checks the delivery. Returns `false` if there was none.
    fn poll(&mut self, index: usize) -> bool {
        let Some(reader) = self.readers.get_mut(index) else {
            return false;
        };
        match poll(&mut reader.subscription) {
            Poll::Ready(Delivery::Events(batch)) => {
                for event in batch.iter() {
                    let sequence = event.cursor.unwrap().sequence();
                    let topic = reader.owed.remove(&sequence);
                    let topic = topic.unwrap_or_else(|| panic!("{sequence} is not owed"));
                    assert_eq!(TOPICS[topic], event.topic.as_str());
                    assert!(sequence > reader.last, "{sequence} after {}", reader.last);
                    reader.last = sequence;
                    assert!(!reader.lost.contains_key(&topic), "no gap for the lost events of {}", event.topic);
                }
            }
            Poll::Ready(Delivery::Gap(gap)) => self.gap(index, &gap),
            Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow)) => {
                assert_eq!(reader.overflow, Overflow::Disconnect);
                let reader = self.readers.swap_remove(index);
                let is_lost = reader.owed.keys().any(|&sequence| self.may_lose(reader.names, sequence));
                assert!(is_lost, "it lags by no more than the live buffer");
                return false;
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => {
                let gap = |topic: usize| reader.gaps.get(&topic).copied().unwrap_or(0);
                let owed = reader.owed.iter().find(|(sequence, topic)| **sequence > gap(**topic));
                assert!(owed.is_none(), "lost without a gap: {owed:?}");
                assert!(reader.lost.is_empty(), "no gap for {:?}", reader.lost);
                reader.owed.clear();
                return false;
            }
        }
        true
    }

    fn gap(&mut self, index: usize, gap: &Gap) {
        let sequence = gap.cursor.sequence();
        let topic = gap.topic.as_ref().map(|topic| TOPICS.iter().position(|name| topic.as_str() == *name).unwrap());
        let mut reader = self.readers.swap_remove(index);
        let is_of = |other: usize| topic.is_none_or(|topic| topic == other);
        assert!(reader.follows(topic.unwrap_or_default()) || topic.is_none());
        match gap.reason {
            GapReason::Evicted => {
                let lost = reader.lost.iter().filter(|(topic, lost)| is_of(**topic) && **lost <= sequence);
                let lost: BTreeMap<_, _> = lost.map(|(topic, lost)| (*topic, *lost)).collect();
                assert_eq!(lost.values().max(), Some(&sequence), "at the last missing event");
                reader.lost.retain(|topic, _| !lost.contains_key(topic));
            }
            GapReason::Overflow if reader.is_by_pattern() => {
                let gone = reader.owed.iter().filter(|(owed, topic)| is_of(**topic) && **owed <= sequence);
                let mut gone = gone.map(|(owed, _)| *owed);
                assert!(
                    gone.any(|gone| self.may_lose(reader.names, gone)),
                    "it lags by no more than the live buffer: {gap:?}"
                );
                (0..TOPICS.len())
                    .filter(|&topic| is_of(topic))
                    .for_each(|topic| _ = reader.gaps.insert(topic, sequence));
            }
            GapReason::Overflow => {
                let gone = reader.owed.iter().filter(|(owed, topic)| is_of(**topic) && **owed <= sequence);
                let gone: Vec<_> = gone.map(|(owed, _)| *owed).collect();
                assert_eq!(gap.missed, Some(gone.len() as u64));
                assert_eq!(gone.last(), Some(&sequence), "at the last missing event");
                let kept = gone.iter().find(|&&gone| !self.may_lose(reader.names, gone));
                assert!(kept.is_none(), "{kept:?} is in the live buffer");
                let history = gone.iter().find(|&&gone| gone > self.evicted(topic.unwrap()));
                assert!(history.is_none(), "{history:?} is in history");
                gone.iter().for_each(|gone| _ = reader.owed.remove(gone));
            }
            other => panic!("{other:?}"),
        }
        self.readers.push(reader);
        let last = self.readers.len() - 1;
        self.readers.swap(index, last);
    }

    /// Lets all readers read everything and leave. Checks that only history is left.
    fn finish(mut self) {
        for index in (0..self.readers.len()).rev() {
            while self.poll(index) {}
        }
        let stats = self.hub.stats();
        assert_eq!(stats.published, stats.retained + stats.evicted);
        self.readers.clear();
        let (stats, events) = (self.hub.stats(), self.all.len() as u64);
        let retained = (0..TOPICS.len()).map(|topic| {
            let evicted = self.evicted(topic);
            (evicted + 1..=events).filter(|&sequence| self.all[sequence as usize - 1].topic == topic).count() as u64
        });
        assert_eq!((stats.published, stats.retained), (events, retained.sum()));
        assert!(stats.bytes <= stats.retained_bytes + 3 * (2 * SEGMENT + 60 * EVENT), "{stats:?}");
    }
}

pub(super) fn topic_of(index: usize) -> Topic {
    topic(TOPICS[index])
}
