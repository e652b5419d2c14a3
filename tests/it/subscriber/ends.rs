//! Ends of topics through `recover_with`: each is delivered once, after the events of its topic, also among snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, EndState, Recover, SubscriberExt, SubscriptionEnd};
use tidings::{Cursor, EndReason, Gap, GapReason, Snapshot, Start, Subscriber, Topic, TopicEnd};

use crate::support::counting::CursorLineFormat;
use crate::support::{Feed, Reader, poll};

const EPOCH: u64 = 7;
const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

fn at(sequence: u64) -> Cursor {
    Cursor::new(EPOCH, sequence)
}

#[derive(Debug, Clone)]
enum Step {
    Event(usize),
    End(usize),
    Gap,
    /// One poll. The client gets `read` of 256 parts of the delivery, and is cut if that is not all.
    Poll {
        encoded: bool,
        max: usize,
        read: u8,
    },
    Cut,
    /// The client gets a heartbeat with the cursor.
    Heartbeat,
    /// The client resumes without a cursor.
    Forget,
    Answer(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let read = prop_oneof![3 => Just(u8::MAX), 2 => any::<u8>()];
    prop_oneof![
        6 => (0..TOPICS.len()).prop_map(Step::Event),
        2 => (0..TOPICS.len()).prop_map(Step::End),
        1 => Just(Step::Gap),
        8 => (any::<bool>(), 0..60_usize, read).prop_map(|(encoded, max, read)| Step::Poll { encoded, max, read }),
        2 => Just(Step::Cut),
        1 => Just(Step::Heartbeat),
        1 => Just(Step::Forget),
        1 => any::<bool>().prop_map(Step::Answer),
    ]
}

/// State of the application, which its snapshots contain.
#[derive(Default)]
struct Published {
    /// Sequences of the events, and the topics of the ends.
    events: Vec<(u64, usize)>,
    ends: BTreeMap<usize, u64>,
    sequence: u64,
    is_open: bool,
}

type Snapshots = Box<dyn FnMut(&Gap) -> Pin<Box<dyn Future<Output = Option<Snapshot>> + Send>> + Send>;

struct World {
    feed: Feed,
    published: Arc<Mutex<Published>>,
    has_cursor: bool,
    client: Client,
    subscriber: Recover<Reader, Snapshots>,
}

/// A client that checks the order of its items.
#[derive(Debug, Default)]
struct Client {
    cursor: Option<Cursor>,
    /// Sequence up to which it has all events.
    has: u64,
    ended: BTreeSet<usize>,
    is_over: bool,
}

impl World {
    fn new(has_cursor: bool) -> Self {
        let feed = Feed::new(EPOCH);
        let published = Arc::new(Mutex::new(Published { is_open: true, ..Published::default() }));
        let subscriber = subscribe(&feed, &published, has_cursor, None);
        Self { feed, published, has_cursor, client: Client::default(), subscriber }
    }

    fn step(&mut self, step: &Step) {
        let mut published = self.published.lock().unwrap();
        match *step {
            Step::Event(topic) if !published.ends.contains_key(&topic) => {
                published.sequence += 1;
                let sequence = published.sequence;
                published.events.push((sequence, topic));
                self.feed.event(TOPICS[topic], sequence.to_string());
            }
            // One topic goes on.
            Step::End(topic) if topic > 0 && !published.ends.contains_key(&topic) => {
                published.sequence += 1;
                let sequence = published.sequence;
                published.ends.insert(topic, sequence);
                self.feed.topic_end(TOPICS[topic], EndReason::Done);
            }
            Step::Gap => {
                published.sequence += 1;
                self.feed.gap(GapReason::Overflow, Some(1));
            }
            Step::Answer(is_open) => published.is_open = is_open,
            Step::Event(_) | Step::End(_) => {}
            Step::Poll { encoded, max, read } => {
                drop(published);
                let _ = self.poll(encoded, max, read);
            }
            Step::Cut => {
                drop(published);
                self.resume();
            }
            Step::Heartbeat => self.client.cursor = self.subscriber.cursor().or(self.client.cursor),
            Step::Forget => {
                drop(published);
                self.client = Client::default();
                self.resume();
            }
        }
    }

    fn resume(&mut self) {
        // A client without a cursor, or with the cursor of no epoch, starts over.
        if self.client.cursor.is_none_or(|cursor| cursor.epoch() != EPOCH) {
            self.client = Client { cursor: self.client.cursor, ..Client::default() };
        }
        self.subscriber = subscribe(&self.feed, &self.published, self.has_cursor, self.client.cursor);
    }

    fn poll(&mut self, encoded: bool, max: usize, read: u8) -> Poll<()> {
        let mut cx = Context::from_waker(Waker::noop());
        let whole = read == u8::MAX;
        let info = self.subscriber.info().end_state();
        let delivery = match encoded {
            true => match self.subscriber.poll_encoded(&mut cx, &CursorLineFormat, max) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    let text = std::str::from_utf8(&events.bytes).unwrap();
                    let len = if whole { text.len() } else { text.len() * usize::from(read) / 256 };
                    for line in text[..len].split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
                        let [cursor, _, text] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
                        self.event(cursor.parse().ok(), text);
                    }
                    None
                }
                Poll::Ready(EncodedDelivery::Gap(gap)) => Some(Delivery::Gap(gap)),
                Poll::Ready(EncodedDelivery::TopicEnd(end)) => Some(Delivery::TopicEnd(end)),
                Poll::Ready(EncodedDelivery::End(end)) => Some(Delivery::End(end)),
                Poll::Ready(other) => panic!("{other:?}"),
            },
            false => match self.subscriber.poll_next(&mut cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Delivery::Events(batch)) => {
                    let len = if whole { batch.len() } else { batch.len() * usize::from(read) / 256 };
                    let events: Vec<_> =
                        batch.iter().take(len).map(|event| (event.cursor, event.event.clone())).collect();
                    events.iter().for_each(|(cursor, event)| self.event(*cursor, event.as_str().unwrap()));
                    None
                }
                Poll::Ready(other) => Some(other),
            },
        };
        match delivery.filter(|_| whole) {
            None => {}
            Some(Delivery::Gap(gap)) => {
                self.client.cursor = Some(gap.cursor);
                if !gap.snapshot {
                    self.client.has = self.client.has.max(gap.cursor.sequence());
                }
            }
            Some(Delivery::TopicEnd(end)) => self.end(&end),
            Some(Delivery::End(end)) => {
                assert_eq!(end, SubscriptionEnd::Finished);
                self.client.is_over = true;
            }
            Some(other) => panic!("{other:?}"),
        }
        assert!(
            info != EndState::Finished || self.client.is_over || !whole,
            "a delivery after everything was delivered"
        );
        match whole {
            true => assert!(self.client.cursor.is_none() || self.subscriber.cursor() == self.client.cursor),
            false => self.resume(),
        }
        Poll::Ready(())
    }

    fn event(&mut self, cursor: Option<Cursor>, text: &str) {
        self.client.cursor = cursor.or(self.client.cursor);
        let published = self.published.lock().unwrap();
        if let Some(state) = text.strip_prefix('=') {
            // The last of the snapshot is the one with its extent.
            self.client.has = state.parse().unwrap();
        } else if text != "begin" {
            let sequence: u64 = text.parse().unwrap();
            let next = published.events.iter().map(|(sequence, _)| *sequence).find(|next| *next > self.client.has);
            let is_repeated = !self.has_cursor && sequence <= self.client.has;
            assert!(is_repeated || Some(sequence) == next, "{sequence} after {}", self.client.has);
            self.client.has = self.client.has.max(sequence);
        }
    }

    fn end(&mut self, end: &TopicEnd) {
        self.client.cursor = Some(end.cursor);
        let topic = TOPICS.iter().position(|topic| *topic == end.topic.as_str()).unwrap();
        assert!(self.client.ended.insert(topic), "the end of {} was delivered twice", end.topic);
        let published = self.published.lock().unwrap();
        let last = published.events.iter().rev().find(|(_, of)| *of == topic).map_or(0, |(sequence, _)| *sequence);
        assert!(self.client.has >= last, "the end of {} before its last event", end.topic);
    }

    /// Ends the last topic, and delivers everything.
    fn finish(mut self) {
        self.published.lock().unwrap().is_open = true;
        let mut expected: BTreeSet<_> = self.published.lock().unwrap().ends.keys().copied().collect();
        expected.insert(0);
        self.published.lock().unwrap().sequence += 1;
        self.feed.last_topic_end(TOPICS[0], EndReason::Done);
        while !self.client.is_over {
            assert!(self.poll(true, 100, u8::MAX).is_ready());
        }
        assert_eq!(self.client.ended, expected, "{:?}", self.client);
        assert_eq!(self.subscriber.info().end_state(), EndState::Finished);
        let last = self.published.lock().unwrap().events.last().map_or(0, |(sequence, _)| *sequence);
        assert!(self.client.has >= last);
    }
}

/// Subscribes with recovery. A client without a cursor gets a snapshot first.
fn subscribe(
    feed: &Feed,
    published: &Arc<Mutex<Published>>,
    has_cursor: bool,
    cursor: Option<Cursor>,
) -> Recover<Reader, Snapshots> {
    let snapshot = move |published: &Published| {
        let newest = published.events.last().map_or(0, |(sequence, _)| *sequence);
        let event = |text: String| (Topic::new("state").unwrap(), text.into());
        // A snapshot without a cursor contains all events at its request, and they may come again.
        let snapshot = Snapshot::new([event("begin".into()), event(format!("={newest}"))]);
        snapshot.with_cursor(has_cursor.then(|| at(newest)))
    };
    let opening = snapshot(&published.lock().unwrap());
    let published = published.clone();
    let recovery: Snapshots = Box::new(move |_| {
        let published = published.clone();
        Box::pin(std::future::poll_fn(move |_| {
            let published = published.lock().unwrap();
            if published.is_open { Poll::Ready(Some(snapshot(&published))) } else { Poll::Pending }
        }))
    });
    let start = cursor.map_or(Start::Now, Start::After);
    let reader = cursor.map_or_else(|| feed.reader(), |cursor| feed.resume(cursor)).batches_of(3);
    let recovering = reader.recover_with(recovery).with_start(start);
    if cursor.is_none() { recovering.with_snapshot(opening) } else { recovering }
}

proptest! {
    #![proptest_config(crate::support::cases(1_000))]

    /// For any order of events, ends, gaps, snapshots and cuts, the client gets each end once, and no event twice or never.
    #[test]
    fn each_end_is_delivered_once_among_snapshots_and_cuts(has_cursor: bool, steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(has_cursor);
        steps.iter().for_each(|step| world.step(step));
        world.finish();
    }
}

fn ends(subscriber: &mut impl Subscriber) -> Vec<(String, Cursor)> {
    let mut ends = Vec::new();
    loop {
        match poll(subscriber) {
            Poll::Ready(Delivery::TopicEnd(end)) => ends.push((end.topic.to_string(), end.cursor)),
            Poll::Ready(Delivery::End(_)) | Poll::Pending => return ends,
            Poll::Ready(_) => {}
        }
    }
}

/// The newest event of the snapshot is after the ends of two topics. A client that is cut between them starts over.
#[test]
fn ends_before_the_newest_event_of_a_snapshot_follow_the_snapshot() {
    let feed = Feed::new(EPOCH);
    feed.gap(GapReason::Evicted, None);
    feed.topic_end("a", EndReason::Done);
    feed.topic_end("b", EndReason::Done);
    feed.event("c", "in the snapshot");
    feed.topic_end("d", EndReason::Done);
    feed.last_topic_end("c", EndReason::Done);
    let mut subscriber = feed.reader().recover_with(|_: &Gap| async {
        Some(Snapshot::new([(Topic::new("c").unwrap(), "state".into())]).with_cursor(at(4)))
    });
    assert!(matches!(poll(&mut subscriber), Poll::Ready(Delivery::Gap(gap)) if gap.snapshot));
    assert_eq!(subscriber.info().end_state(), EndState::Ended);
    let Poll::Ready(Delivery::Events(state)) = poll(&mut subscriber) else { panic!("no snapshot") };
    let nowhere = Cursor::new(0, 0);
    // The events of a batch have no cursor of epoch 0.
    assert_eq!((state.iter().next().unwrap().cursor, subscriber.cursor()), (None, Some(nowhere)));
    let expected = [("a", nowhere), ("b", at(4)), ("d", at(5)), ("c", at(6))];
    assert_eq!(ends(&mut subscriber), expected.map(|(topic, cursor)| (topic.to_owned(), cursor)));
    assert_eq!(subscriber.info().end_state(), EndState::Finished);
}

#[test]
fn end_state_is_not_finished_before_the_snapshot_is_sent() {
    let feed = Feed::new(EPOCH);
    let last = feed.last_topic_end("a", EndReason::Done);
    let state = || Snapshot::new([(Topic::new("a").unwrap(), "state".into())]);
    let resumed = feed.resume(last);
    assert_eq!(resumed.info().end_state(), EndState::Finished);
    let mut subscriber = resumed.recover_with(|_: &Gap| async { None }).with_snapshot(state());
    assert_eq!(subscriber.info().end_state(), EndState::Ended);
    assert!(matches!(poll(&mut subscriber), Poll::Ready(Delivery::Events(_))));
    assert_eq!((subscriber.info().end_state(), subscriber.cursor()), (EndState::Finished, Some(last)));
    assert!(matches!(poll(&mut subscriber), Poll::Ready(Delivery::End(SubscriptionEnd::Finished))));
}
