//! `recover_with` over a hub, under random sequences of all events in the life of a client.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, Recover, SubscriberExt};
use tidings::{Cursor, Gap, GapReason, Snapshot, Start, Subscribe, Subscriber, Subscription, TopicEnd};

use super::panics::{PanicAfter, PanickingFormat};
use crate::support::counting::{Counters, CountingClient, TOPICS};

#[derive(Debug, Clone)]
enum Step {
    Count {
        topic: usize,
        times: usize,
    },
    /// One poll. The client gets `read` of 256 parts of the delivery, and is cut if that is not all.
    Poll {
        encoded: bool,
        max: usize,
        read: u8,
    },
    Drain {
        encoded: bool,
    },
    /// Sets whether snapshot calls return at once or wait for the next such step.
    Answer(bool),
    Cut,
    /// The client gets a heartbeat with the cursor.
    Heartbeat,
    /// The client resumes with an unreadable cursor, or with one that is ahead of the hub.
    Garble {
        ahead: Option<u64>,
    },
    /// The client resumes without a cursor.
    Forget,
    Restart,
    /// The format panics after this number of events, or the next call of the recovery or its future panics.
    Panic {
        format: Option<i32>,
        call: bool,
        future: bool,
    },
    /// A topic ends, other than the first one, which goes on.
    Finish(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let read = prop_oneof![3 => Just(u8::MAX), 2 => any::<u8>()];
    prop_oneof![
        8 => (0..TOPICS.len(), 0..6_usize).prop_map(|(topic, times)| Step::Count { topic, times }),
        3 => (0..TOPICS.len(), 0..80_usize).prop_map(|(topic, times)| Step::Count { topic, times }),
        8 => (any::<bool>(), 0..120_usize, read).prop_map(|(encoded, max, read)| Step::Poll { encoded, max, read }),
        3 => any::<bool>().prop_map(|encoded| Step::Drain { encoded }),
        3 => any::<bool>().prop_map(Step::Answer),
        2 => Just(Step::Cut),
        2 => Just(Step::Heartbeat),
        1 => prop::option::of(1..20_u64).prop_map(|ahead| Step::Garble { ahead }),
        1 => Just(Step::Forget),
        1 => Just(Step::Restart),
        2 => (1..TOPICS.len()).prop_map(Step::Finish),
        3 => (prop::option::of(0..6_i32), any::<bool>(), any::<bool>())
            .prop_map(|(format, call, future)| Step::Panic { format, call, future }),
    ]
}

/// Behaviour of an application.
#[derive(Debug, Clone, Copy)]
struct Application {
    /// Whether its snapshots have a cursor.
    has_cursor: bool,
    /// One of this number of gaps gets a snapshot.
    one_of: usize,
    /// Number of increments by which snapshots are stale.
    lag: usize,
    topics: usize,
}

impl Application {
    /// Returns whether every gap gets a snapshot that covers the missing events.
    fn recovers_every_gap(self) -> bool {
        self.one_of == 1 && self.lag == 0
    }
}

fn application() -> impl Strategy<Value = Application> {
    let one_of = prop_oneof![2 => Just(1_usize), 1 => 2..4_usize];
    let lag = prop_oneof![2 => Just(0_usize), 1 => 1..8_usize];
    // A snapshot without a cursor cannot be found to be stale.
    (any::<bool>(), one_of, lag, 1..=TOPICS.len()).prop_map(|(has_cursor, one_of, lag, topics)| Application {
        has_cursor,
        one_of,
        lag: if has_cursor { lag } else { 0 },
        topics,
    })
}

proptest! {
    #![proptest_config(crate::support::cases(500))]

    /// For any operations in any order, a client ends with the counts of the application or got a gap for missed events. No
    /// event comes without its snapshot, and none comes twice after a snapshot with a cursor. Each end of a topic comes once to
    /// a client that does not start over.
    #[test]
    fn p2_random_operations_lose_or_repeat_no_event_between_snapshot_and_live(
        retain in 0..6_usize,
        application in application(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(retain, application);
        steps.into_iter().for_each(|step| world.step(&step));
        world.finish();
    }
}

struct World {
    counters: Counters,
    application: Application,
    source: Arc<SnapshotSource>,
    client: CountingClient,
    /// Whether the cursor of the client is ahead of the hub and no gap was delivered yet. This cannot be found after the hub
    /// has reached the cursor.
    is_ahead: bool,
    /// Topics whose ends the client got since it started over.
    ended: BTreeSet<String>,
    subscriber: Recover<Subscription, Snapshots>,
    format: PanickingFormat,
}

/// Source of snapshots.
struct SnapshotSource {
    counters: Counters,
    application: Application,
    open: AtomicBool,
    calls: AtomicUsize,
    /// Panics of the call, and of its future.
    panics: [PanicAfter; 2],
}

type Snapshots = Box<dyn FnMut(&Gap) -> Pin<Box<dyn Future<Output = Option<Snapshot>> + Send>> + Send>;

impl SnapshotSource {
    /// Returns the closure for `recover_with`.
    fn snapshots(self: &Arc<Self>) -> Snapshots {
        let source = self.clone();
        Box::new(move |_| {
            source.panics[0].call();
            let (source, number) = (source.clone(), source.calls.fetch_add(1, Ordering::Relaxed));
            Box::pin(async move {
                source.panics[1].call();
                poll_fn(|_| if source.open.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }).await;
                (number % source.application.one_of == 0).then(|| match source.application.lag {
                    0 => source.snapshot(),
                    lag => source.counters.earlier(lag),
                })
            })
        })
    }

    fn snapshot(&self) -> Snapshot {
        if self.application.has_cursor { self.counters.snapshot() } else { self.counters.without_cursor() }
    }
}

impl World {
    fn new(retain: usize, application: Application) -> Self {
        let counters = Counters::new(retain);
        let source = Arc::new(SnapshotSource {
            counters: counters.clone(),
            application,
            open: AtomicBool::new(true),
            calls: 0.into(),
            panics: [-1, -1].map(PanicAfter::new),
        });
        let subscriber = subscribe(&counters, &source, Start::Now);
        let client = CountingClient::new(!application.has_cursor);
        let format = PanickingFormat { panics: PanicAfter::new(-1), slot: None };
        Self { counters, application, source, client, is_ahead: false, ended: BTreeSet::new(), subscriber, format }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Count { topic, times } => (0..times).for_each(|_| self.counters.count(TOPICS[topic])),
            Step::Poll { encoded, max, read } => drop(self.poll(encoded, max, read)),
            Step::Drain { encoded } => while self.poll(encoded, 100, u8::MAX).is_ready() {},
            Step::Answer(open) => self.source.open.store(open, Ordering::Relaxed),
            Step::Cut => self.resume(),
            Step::Heartbeat => {
                let at = self.at();
                // A client that took another cursor gets gaps as usual.
                self.is_ahead &= at.is_none() || at == self.client.cursor;
                self.client.cursor = at.or(self.client.cursor.take());
            }
            Step::Garble { ahead } => {
                let cursor = self.subscriber.cursor().map(Cursor::epoch);
                let start = match (ahead, cursor) {
                    (Some(ahead), Some(epoch)) => {
                        let subscription = self.counters.hub().subscribe(Subscribe::topics(TOPICS)).unwrap();
                        let head = subscription.info().head().unwrap();
                        if head.epoch() != epoch {
                            return;
                        }
                        Start::After(Cursor::new(epoch, head.sequence() + ahead))
                    }
                    _ => Start::Unreadable,
                };
                // The client starts over after the gap.
                self.client.cursor = match start {
                    Start::After(cursor) => Some(cursor.to_string()),
                    _ => Some("nonsense".into()),
                };
                self.resume();
                self.is_ahead = matches!(start, Start::After(_));
            }
            Step::Forget => {
                self.client = CountingClient::new(!self.application.has_cursor);
                self.resume();
            }
            Step::Restart => {
                self.counters.restart();
                self.resume();
            }
            Step::Panic { format, call, future } => {
                format.into_iter().for_each(|after| self.format.panics.set(after));
                for (panics, is_set) in self.source.panics.iter().zip([call, future]) {
                    panics.set(if is_set { 0 } else { -1 });
                }
            }
            Step::Finish(topic) => self.counters.finish(TOPICS[topic]),
        }
    }

    /// Resumes with the cursor of the client, if it has one.
    fn resume(&mut self) {
        self.client.cut();
        if std::mem::take(&mut self.is_ahead) {
            self.client = CountingClient::new(!self.application.has_cursor);
        }
        let start = match self.client.cursor.as_deref().map(str::parse) {
            None => Start::Now,
            Some(Ok(cursor)) => Start::After(cursor),
            Some(Err(_)) => Start::Unreadable,
        };
        if !matches!(start, Start::After(cursor) if cursor.epoch() != 0) {
            self.ended.clear();
        }
        self.subscriber = subscribe(&self.counters, &self.source, start);
    }

    fn poll(&mut self, encoded: bool, max: usize, read: u8) -> Poll<()> {
        let mut cx = Context::from_waker(Waker::noop());
        let whole = read == u8::MAX;
        if encoded {
            let (subscriber, format) = (&mut self.subscriber, &self.format);
            match catch_unwind(AssertUnwindSafe(|| subscriber.poll_encoded(&mut cx, format, max))) {
                Err(_) => return self.panicked(max % 2 == 0),
                Ok(encoded) => match encoded {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(EncodedDelivery::Events(events)) => {
                        let lines = events.bytes.iter().filter(|&&byte| byte == b'\n').count();
                        assert_eq!(events.events as usize, lines);
                        let text = std::str::from_utf8(&events.bytes).unwrap();
                        assert!(!text.contains("reset") || text.contains("done"), "the snapshot is cut");
                        let len = if whole { text.len() } else { text.len() * usize::from(read) / 256 };
                        self.client.read(&events.bytes[..len]);
                    }
                    Poll::Ready(EncodedDelivery::Gap(gap)) => self.gap(whole, &gap),
                    Poll::Ready(EncodedDelivery::TopicEnd(end)) => self.end(whole, &end),
                    Poll::Ready(other) => panic!("{other:?}"),
                },
            }
        } else {
            let subscriber = &mut self.subscriber;
            match catch_unwind(AssertUnwindSafe(|| subscriber.poll_next(&mut cx))) {
                Err(_) => return self.panicked(max % 2 == 0),
                Ok(polled) => match polled {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Delivery::Events(batch)) => {
                        assert!(!batch.is_empty());
                        let len = if whole { batch.len() } else { batch.len() * usize::from(read) / 256 };
                        for event in batch.iter().take(len) {
                            let cursor = event.cursor.map(|cursor| cursor.to_string());
                            self.client.event(cursor.as_deref(), event.topic.as_str(), event.event.as_str().unwrap());
                        }
                    }
                    Poll::Ready(Delivery::Gap(gap)) => self.gap(whole, &gap),
                    Poll::Ready(Delivery::TopicEnd(end)) => self.end(whole, &end),
                    Poll::Ready(other) => panic!("{other:?}"),
                },
            }
        }
        match whole {
            // A client with a cursor has the cursor of the subscriber.
            true => assert!(self.client.cursor.is_none() || self.at() == self.client.cursor, "{self:?}"),
            false => self.resume(),
        }
        Poll::Ready(())
    }

    /// A panic loses nothing: the client continues, or resumes with the cursor of that moment. The cursor may have moved past
    /// events that a snapshot contains.
    fn panicked(&mut self, is_cut: bool) -> Poll<()> {
        if is_cut {
            self.step(&Step::Heartbeat);
            self.resume();
        }
        Poll::Ready(())
    }

    fn at(&self) -> Option<String> {
        self.subscriber.cursor().map(|cursor| cursor.to_string())
    }

    fn gap(&mut self, whole: bool, gap: &Gap) {
        if whole {
            assert!(!self.application.recovers_every_gap() || gap.snapshot, "a gap without a snapshot: {gap:?}");
            self.client.read_gap(gap);
            self.is_ahead = false;
            if matches!(gap.reason, GapReason::Epoch | GapReason::Invalid) {
                self.ended.clear();
            }
            if gap.reason == GapReason::Epoch && !gap.snapshot {
                self.client.counts.clear();
            }
        }
    }

    fn end(&mut self, whole: bool, end: &TopicEnd) {
        if whole {
            let topic = end.topic.to_string();
            if let (Some(known), true) = (self.client.counts.get(&topic), self.application.recovers_every_gap()) {
                assert_eq!(
                    Some(known),
                    self.counters.counts().get(&topic).or(Some(&0)),
                    "an end before the last event"
                );
            }
            assert!(self.ended.insert(topic), "{end:?} came twice");
            self.client.cursor = Some(end.cursor.to_string());
        }
    }

    /// Delivers everything. Checks that the client has the counts of the application for all topics that it knows.
    fn finish(mut self) {
        self.source.open.store(true, Ordering::Relaxed);
        while self.poll(true, 1_000, u8::MAX).is_ready() {}
        assert!(self.client.has_base());
        let is_followed = |topic: &String| TOPICS[..self.application.topics].contains(&topic.as_str());
        let ended = BTreeSet::from_iter(self.counters.ended().into_iter().filter(is_followed));
        assert_eq!(self.ended, ended, "{self:?}");
        let topics = &TOPICS[..self.application.topics];
        let expected: BTreeMap<_, _> = self.counters.counts();
        for topic in topics {
            if let Some(known) = self.client.counts.get(*topic) {
                assert_eq!(*known, expected.get(*topic).copied().unwrap_or_default(), "{topic}: {self:?}");
            } else {
                assert!(!self.application.recovers_every_gap(), "{topic} is unknown");
            }
        }
    }
}

/// Subscribes with recovery. A client without a cursor gets a snapshot first.
fn subscribe(counters: &Counters, source: &Arc<SnapshotSource>, start: Start) -> Recover<Subscription, Snapshots> {
    let topics = &TOPICS[..source.application.topics];
    let subscription = counters.hub().subscribe(Subscribe::topics(topics.iter().copied()).start(start)).unwrap();
    let recovering = subscription.recover_with(source.snapshots()).with_start(start);
    if start == Start::Now { recovering.with_snapshot(source.snapshot()) } else { recovering }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("client", &self.client).field("at", &self.at()).finish_non_exhaustive()
    }
}
