//! The live buffer: a connected reader gets what left history before it came to it; one that comes, or comes back, gets
//! what retention promises.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tidings::{
    Cursor, Delivery, End, Event, Gap, GapReason, LocalHub, LocalHubBuilder, Overflow, Retention, Start, Subscribe,
    Subscriber, Subscription, Topic,
};

const TOPICS: [&str; 3] = ["a/x", "a/y", "b"];
/// What a subscription may name.
const NAMES: [&[&str]; 7] = [&["a/x"], &["b"], &["a/x", "a/y"], &["a/x", "a/y", "b"], &["a/*"], &["**"], &["a/*", "b"]];
/// More than a segment of events of at most 200 bytes is charged with, of a topic that keeps fewer than 64 of them, and
/// more than such an event is.
const SEGMENT: usize = 24 * 1024;
const EVENT: usize = 800;

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize, len: usize },
    PublishAll { topics: Vec<usize>, len: usize },
    Subscribe { names: usize, overflow: Overflow },
    Poll { who: usize, times: usize },
    Drain { who: usize },
    Resume { who: usize, reads: usize },
    Detach { who: usize },
    Drop { who: usize },
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<usize>;
    let len = || 0..200_usize;
    let overflow = prop_oneof![3 => Just(Overflow::Gap), 1 => Just(Overflow::Disconnect)];
    prop_oneof![
        6 => (0..TOPICS.len(), len()).prop_map(|(topic, len)| Step::Publish { topic, len }),
        4 => (prop::collection::vec(0..TOPICS.len(), 0..300), len())
            .prop_map(|(topics, len)| Step::PublishAll { topics, len }),
        4 => (0..NAMES.len(), overflow).prop_map(|(names, overflow)| Step::Subscribe { names, overflow }),
        4 => (who(), 1..5_usize).prop_map(|(who, times)| Step::Poll { who, times }),
        4 => who().prop_map(|who| Step::Drain { who }),
        3 => (who(), 0..3_usize).prop_map(|(who, reads)| Step::Resume { who, reads }),
        1 => who().prop_map(|who| Step::Detach { who }),
        1 => who().prop_map(|who| Step::Drop { who }),
        1 => Just(Step::Sweep),
    ]
}

fn live_buffer() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0), 2 => SEGMENT..10 * SEGMENT, 3 => Just(LocalHubBuilder::LIVE_BUFFER)]
}

proptest! {
    #![proptest_config(crate::support::cases(300))]

    /// Whatever is done in whatever order: who is connected gets everything that the live buffer holds, who comes back
    /// everything that is in history and nothing else, and of all else a gap tells.
    #[test]
    fn reader_gets_the_live_buffer_and_returning_reader_gets_history(
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

/// An event that was published: its sequence is its place, from 1 on.
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
    /// The events that it is still to get, by sequence, with their topics.
    owed: BTreeMap<u64, usize>,
    /// What was lost before it came, by topic: the sequence of the last of it.
    lost: BTreeMap<usize, u64>,
    /// Up to where it was told that something is gone.
    told: BTreeMap<usize, u64>,
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

fn follows(names: &[&str], topic: usize) -> bool {
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

    /// The sequence of the newest event of a topic that is not in history.
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

    /// Whether a connected reader may lose an event: what is newer in its log fills the live buffer.
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
                self.hub.publish_now(&topic_of(topic), "x".repeat(len)).unwrap();
                self.published(topic, len);
            }
            Step::PublishAll { topics, len } => {
                let event = Event::text("x".repeat(len));
                self.hub.publish_all(topics.iter().map(|&topic| (topic_of(topic), event.clone()))).unwrap();
                topics.into_iter().for_each(|topic| self.published(topic, len));
            }
            Step::Subscribe { names, overflow } => self.subscribe(NAMES[names], overflow, None),
            Step::Poll { who, times } => (0..times).for_each(|_| _ = self.poll(who % readers)),
            Step::Drain { who } => while self.poll(who % readers) {},
            Step::Resume { who, reads } if !self.readers.is_empty() => {
                let (who, reader) = (self.readers.len() - 1, self.readers.swap_remove(who % readers));
                let cursor = reader.subscription.cursor().unwrap();
                let (names, overflow) = (reader.names, reader.overflow);
                drop(reader);
                self.subscribe(names, overflow, Some(cursor));
                (0..reads).for_each(|_| _ = self.poll(who));
            }
            Step::Resume { .. } => {}
            Step::Detach { who } => {
                self.readers.get_mut(who % readers).into_iter().for_each(|reader| reader.subscription.detach());
            }
            Step::Drop { who } if !self.readers.is_empty() => drop(self.readers.swap_remove(who % readers)),
            Step::Drop { .. } => {}
            Step::Sweep => self.hub.sweep(),
        }
    }

    fn subscribe(&mut self, names: &'static [&'static str], overflow: Overflow, after: Option<Cursor>) {
        let start = after.map_or(Start::Now, Start::After);
        let what = Subscribe::patterns(names.iter().copied()).start(start).overflow(overflow);
        let subscription = self.hub.subscribe(what).unwrap();
        let after = after.map_or(self.all.len() as u64, |cursor| cursor.position().sequence);
        let (mut owed, mut lost) = (BTreeMap::new(), BTreeMap::new());
        for topic in (0..TOPICS.len()).filter(|&topic| follows(names, topic)) {
            let evicted = self.evicted(topic);
            if evicted > after {
                lost.insert(topic, evicted);
            }
            let unread = (1..).zip(&self.all).filter(|(sequence, event)| event.topic == topic && *sequence > after);
            owed.extend(unread.filter(|(sequence, _)| *sequence > evicted).map(|(sequence, _)| (sequence, topic)));
        }
        let reader = Reader { subscription, names, overflow, owed, lost, told: BTreeMap::new(), last: after };
        self.readers.push(reader);
    }

    /// One poll. False when there was nothing.
    fn poll(&mut self, who: usize) -> bool {
        let Some(reader) = self.readers.get_mut(who) else {
            return false;
        };
        match reader.subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Delivery::Events(batch)) => {
                for event in batch.iter() {
                    let sequence = event.cursor.unwrap().position().sequence;
                    let topic = reader.owed.remove(&sequence);
                    let topic = topic.unwrap_or_else(|| panic!("{sequence} is not owed"));
                    assert_eq!(TOPICS[topic], event.topic.as_str());
                    assert!(sequence > reader.last, "{sequence} after {}", reader.last);
                    reader.last = sequence;
                    assert!(!reader.lost.contains_key(&topic), "what is gone of {} is not told", event.topic);
                }
            }
            Poll::Ready(Delivery::Gap(gap)) => self.gap(who, &gap),
            Poll::Ready(Delivery::End(End::TooSlow)) => {
                assert_eq!(reader.overflow, Overflow::Disconnect);
                let reader = self.readers.swap_remove(who);
                let is_lost = reader.owed.keys().any(|&sequence| self.may_lose(reader.names, sequence));
                assert!(is_lost, "it is behind by no more than the live buffer");
                return false;
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => {
                let told = |topic: usize| reader.told.get(&topic).copied().unwrap_or(0);
                let owed = reader.owed.iter().find(|(sequence, topic)| **sequence > told(**topic));
                assert!(owed.is_none(), "lost in silence: {owed:?}");
                assert!(reader.lost.is_empty(), "not told of {:?}", reader.lost);
                reader.owed.clear();
                return false;
            }
        }
        true
    }

    fn gap(&mut self, who: usize, gap: &Gap) {
        let sequence = gap.cursor.position().sequence;
        let topic = gap.topic.as_ref().map(|topic| TOPICS.iter().position(|name| topic.as_str() == *name).unwrap());
        let mut reader = self.readers.swap_remove(who);
        let is_of = |other: usize| topic.is_none_or(|topic| topic == other);
        assert!(reader.follows(topic.unwrap_or_default()) || topic.is_none());
        match gap.reason {
            GapReason::Evicted => {
                let told = reader.lost.iter().filter(|(topic, lost)| is_of(**topic) && **lost <= sequence);
                let told: BTreeMap<_, _> = told.map(|(topic, lost)| (*topic, *lost)).collect();
                assert_eq!(told.values().max(), Some(&sequence), "at the last missing event");
                reader.lost.retain(|topic, _| !told.contains_key(topic));
            }
            GapReason::Overflow if reader.is_by_pattern() => {
                let gone = reader.owed.iter().filter(|(owed, topic)| is_of(**topic) && **owed <= sequence);
                let mut gone = gone.map(|(owed, _)| *owed);
                assert!(gone.any(|gone| self.may_lose(reader.names, gone)), "it is behind by no more: {gap:?}");
                (0..TOPICS.len())
                    .filter(|&topic| is_of(topic))
                    .for_each(|topic| _ = reader.told.insert(topic, sequence));
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
        self.readers.swap(who, last);
    }

    /// Everyone reads on until there is nothing more, and leaves: then only history is left.
    fn finish(mut self) {
        for who in (0..self.readers.len()).rev() {
            while self.poll(who) {}
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

fn topic_of(topic: usize) -> Topic {
    Topic::new(TOPICS[topic]).unwrap()
}

/// Everything that is ready: the number of events, and the gaps.
fn read(subscription: &mut Subscription) -> (usize, Vec<Gap>) {
    let (mut events, mut gaps) = (0, Vec::new());
    while let Poll::Ready(delivery) = subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
        match delivery {
            Delivery::Events(batch) => events += batch.len(),
            Delivery::Gap(gap) => gaps.push(gap),
            other => panic!("{other:?}"),
        }
    }
    (events, gaps)
}

fn batch(topic: usize, events: usize, len: usize) -> Vec<(Topic, Event)> {
    let event = Event::text("x".repeat(len));
    (0..events).map(|_| (topic_of(topic), event.clone())).collect()
}

#[test]
fn idle_reader_gets_every_event_of_a_batch_larger_than_history() {
    let hubs = [
        (LocalHub::new(), 5_000, 4, 1_000),
        (LocalHub::builder().retain(Retention::count(5)).build(), 50, 100, 5),
        (LocalHub::builder().retain(Retention::count(1)).build(), 50, 0, 1),
        (LocalHub::builder().retain(Retention::count(0)).build(), 300, 100, 0),
        (LocalHub::builder().retain(Retention::default().bytes(1_000)).build(), 300, 100, 10),
    ];
    for (hub, events, len, retained) in hubs {
        for names in NAMES.iter().filter(|names| follows(names, 0)) {
            let mut idle = hub.subscribe(Subscribe::patterns(names.iter().copied())).unwrap();
            assert_eq!(read(&mut idle), (0, Vec::new()));
            let before = hub.cursor();
            hub.publish_all(batch(0, events, len)).unwrap();
            assert_eq!(read(&mut idle), (events, Vec::new()), "{names:?}");
            let what = || Subscribe::patterns(names.iter().copied());
            let (oldest, _) = read(&mut hub.subscribe(what().start(Start::Oldest)).unwrap());
            let (back, gaps) = read(&mut hub.subscribe(what().start(Start::After(before))).unwrap());
            assert_eq!((oldest, back), (retained, retained), "{names:?}: who comes gets what retention promises");
            let lost = gaps.iter().map(|gap| (gap.reason, gap.cursor.position().sequence)).collect::<Vec<_>>();
            let last_lost = hub.cursor().position().sequence - retained as u64;
            assert_eq!(lost, [(GapReason::Evicted, last_lost)], "{names:?}");
        }
    }
}

#[test]
fn connected_reader_gets_a_large_event_and_the_small_one_behind_it() {
    for names in NAMES.iter().filter(|names| follows(names, 0)) {
        let hub = LocalHub::new();
        let mut reader = hub.subscribe(Subscribe::patterns(names.iter().copied())).unwrap();
        assert_eq!(read(&mut reader), (0, Vec::new()));
        hub.publish_now(&topic_of(0), Event::binary(vec![0; 1 << 20])).unwrap();
        hub.publish_now(&topic_of(0), "small").unwrap();
        assert_eq!(hub.stats().retained, 1);
        assert_eq!(read(&mut reader), (2, Vec::new()), "{names:?}");
    }
}

#[test]
fn reader_behind_the_live_buffer_goes_on_with_the_oldest_event_in_it() {
    let hub = LocalHub::builder().retain(Retention::count(10)).build();
    let mut gap = hub.subscribe(Subscribe::topics([TOPICS[0]])).unwrap();
    let mut strict = hub.subscribe(Subscribe::topics([TOPICS[0]]).overflow(Overflow::Disconnect)).unwrap();
    let mut keyed = hub.subscribe(Subscribe::topics([TOPICS[0]]).overflow(Overflow::Latest)).unwrap();
    hub.publish_all(batch(0, 3_000, 1_024)).unwrap();
    assert_eq!(read(&mut strict), (3_000, Vec::new()), "3 MiB are no more than the live buffer");
    hub.publish_all(batch(0, 3_000, 1_024)).unwrap();
    for reader in [&mut gap, &mut keyed] {
        let (events, gaps) = read(reader);
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].missed, Some(6_000 - events as u64));
        assert_eq!(gaps[0].cursor.position().sequence, 6_000 - events as u64);
        let bytes = events * 1_024;
        assert!(
            (LocalHubBuilder::LIVE_BUFFER - (512 << 10)..=LocalHubBuilder::LIVE_BUFFER).contains(&bytes),
            "{bytes}"
        );
    }
    assert_eq!(read(&mut strict), (3_000, Vec::new()));
    strict.detach();
    hub.publish_all(batch(0, 6_000, 1_024)).unwrap();
    let end = strict.poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(end, Poll::Ready(Delivery::End(End::TooSlow))), "it is behind by more");
}

#[test]
fn live_buffer_of_a_reader_that_conflates_keeps_the_newest_of_each_key() {
    let hub = LocalHub::builder().retain(Retention::count(5)).build();
    let mut ticker = hub.subscribe(Subscribe::topics([TOPICS[0]]).overflow(Overflow::Latest)).unwrap();
    assert_eq!(read(&mut ticker), (0, Vec::new()));
    let event = |n: usize| Event::text(n.to_string()).keyed(&(n % 100).to_string()).unwrap();
    hub.publish_all((0..2_000).map(|n| (topic_of(0), event(n)))).unwrap();
    assert_eq!(read(&mut ticker), (100, Vec::new()));
    let stats = hub.stats();
    assert_eq!((stats.delivered, stats.conflated, stats.missed, stats.retained), (100, 1_900, 0, 5));
}

#[test]
fn live_buffer_is_released_when_it_is_read_and_when_the_last_reader_leaves() {
    for names in NAMES.iter().filter(|names| follows(names, 0)) {
        let hub = LocalHub::builder().retain(Retention::count(5)).build();
        let subscribe = || hub.subscribe(Subscribe::patterns(names.iter().copied())).unwrap();
        let [mut quick, slow] = [subscribe(), subscribe()];
        read(&mut quick);
        hub.publish_all(batch(0, 1_000, 1_000)).unwrap();
        read(&mut quick);
        hub.sweep();
        assert!(hub.stats().bytes > 1_000_000, "{names:?}: one has not read them");
        assert_eq!((hub.stats().retained, hub.stats().evicted), (5, 995));
        drop(slow);
        hub.sweep();
        let bytes = hub.stats().bytes;
        // A pattern's log keeps 256 KiB in any case.
        let most = if names.iter().any(|name| name.ends_with('*')) { 400_000 } else { 150_000 };
        assert!(bytes < most, "{names:?}: {bytes}");

        let slow = subscribe();
        hub.publish_all(batch(0, 1_000, 1_000)).unwrap();
        assert!(hub.stats().bytes > 1_000_000);
        drop((quick, slow));
        let bytes = hub.stats().bytes;
        assert!(bytes < 80_000, "{names:?}: {bytes}");
    }
}

#[test]
fn live_buffers_are_evicted_before_history_that_retention_promises() {
    const TOPICS: usize = 20;
    let topic = |n: usize| Topic::new(format!("t/{n}")).unwrap();
    let limit = 8 << 20;
    for pattern in [None, Some("t/*")] {
        let hub = LocalHub::builder().retain(Retention::count(100)).max_bytes(limit).build();
        let mut readers: Vec<_> = match pattern {
            Some(pattern) => vec![hub.subscribe(Subscribe::patterns([pattern])).unwrap()],
            None => (0..TOPICS).map(|n| hub.subscribe(Subscribe::topics([topic(n)])).unwrap()).collect(),
        };
        for n in 0..TOPICS * 2_000 {
            hub.publish_now(&topic(n % TOPICS), Event::text("x".repeat(1_000))).unwrap();
        }
        let stats = hub.stats();
        assert!(stats.bytes <= limit && stats.bytes > limit / 2, "{stats:?}");
        assert_eq!((stats.retained, stats.evicted_by_budget), (100 * TOPICS as u64, 0), "{pattern:?}");
        for reader in &mut readers {
            let (events, gaps) = read(reader);
            assert!(events >= 100 && !gaps.is_empty(), "{events}");
        }
    }
}

#[test]
fn newest_segment_without_history_is_evicted_before_history() {
    let limit = 1 << 20;
    let hub =
        LocalHub::builder().retain(Retention::count(0)).retain_for("kept/*", Retention::count(1)).max_bytes(limit);
    let (hub, topic) = (hub.build(), |name: &str, n: usize| Topic::new(format!("{name}/{n}")).unwrap());
    let large = || Event::text("x".repeat(10_000));
    (0..50).for_each(|n| _ = hub.publish_now(&topic("kept", n), large()).unwrap());
    let follow = |n| hub.subscribe(Subscribe::topics([topic("live", n)])).unwrap();
    let mut readers: Vec<_> = (0..100).map(follow).collect();
    readers.iter_mut().for_each(|reader| assert_eq!(read(reader), (0, Vec::new())));
    for n in 0..500 {
        hub.publish_now(&topic("live", n % 100), large()).unwrap();
        // Each that is woken to let go of a segment does so, and gets nothing that it has had.
        let all = readers.iter_mut().map(|reader| read(reader).0);
        assert_eq!(all.sum::<usize>(), 1);
        assert!(hub.stats().bytes <= limit, "{:?}", hub.stats());
    }
    let stats = hub.stats();
    assert_eq!((stats.retained, stats.evicted_by_budget), (50, 0), "{stats:?}");
}
