//! The wrapper over a real hub, under random sequences of everything that can happen to a client.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, Recover, SubscriberExt};
use tidings::{Cursor, Gap, GapReason, Snapshot, Start, Subscribe, Subscriber, Subscription};

use super::board::{Board, Client, TOPICS, Wire};

#[derive(Debug, Clone)]
enum Step {
    Count {
        topic: usize,
        times: usize,
    },
    /// One poll; of what it gives, the client gets so much (of 256), and if that is not all, it is cut off.
    Poll {
        encoded: bool,
        max: usize,
        read: u8,
    },
    Drain {
        encoded: bool,
    },
    /// State that is asked for from now on is given at once, or when this is said again.
    Answer(bool),
    Cut,
    /// Is told where it is.
    Heartbeat,
    /// Comes back with a cursor that is not one, or with one that is ahead of the hub.
    Garble {
        ahead: Option<u64>,
    },
    /// Comes back as if it had never been there.
    Forget,
    Restart,
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
    ]
}

/// Abilities of an application.
#[derive(Debug, Clone, Copy)]
struct Can {
    /// Says as of when its state is.
    dates: bool,
    /// Of so many gaps it has state for one; 1: for each.
    one_of: usize,
    /// How many counts the state is behind.
    lag: usize,
    topics: usize,
}

impl Can {
    /// Whether every gap is answered with state that has what is missing.
    fn has_state_for_all(self) -> bool {
        self.one_of == 1 && self.lag == 0
    }
}

fn can() -> impl Strategy<Value = Can> {
    let one_of = prop_oneof![2 => Just(1_usize), 1 => 2..4_usize];
    let lag = prop_oneof![2 => Just(0_usize), 1 => 1..8_usize];
    // Without a date, nobody can tell that it is behind.
    (any::<bool>(), one_of, lag, 1..=TOPICS.len()).prop_map(|(dates, one_of, lag, topics)| Can {
        dates,
        one_of,
        lag: if dates { lag } else { 0 },
        topics,
    })
}

proptest! {
    #![proptest_config(crate::support::cases(500))]

    /// Whatever happens, in whatever order: a client ends with the application's counts, or was told what it missed;
    /// nothing comes without its base, and with a date nothing comes twice.
    #[test]
    fn p2_nothing_is_lost_or_twice_between_state_and_live(
        retain in 0..6_usize,
        can in can(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(retain, can);
        steps.into_iter().for_each(|step| world.step(&step));
        world.finish();
    }
}

struct World {
    board: Board,
    can: Can,
    desk: Arc<Desk>,
    client: Client,
    /// The client's cursor is ahead of the hub, and it was not told. When the hub is there, nobody can see it any more.
    is_ahead: bool,
    subscriber: Recover<Subscription, Snapshots>,
}

/// Source of state.
struct Desk {
    board: Board,
    can: Can,
    open: AtomicBool,
    asked: AtomicUsize,
}

type Snapshots = Box<dyn FnMut(&Gap) -> Pin<Box<dyn Future<Output = Option<Snapshot>> + Send>> + Send>;

impl Desk {
    /// Returns the closure that asks this desk.
    fn snapshots(self: &Arc<Self>) -> Snapshots {
        let desk = self.clone();
        Box::new(move |_| {
            let (desk, number) = (desk.clone(), desk.asked.fetch_add(1, Ordering::Relaxed));
            Box::pin(async move {
                poll_fn(|_| if desk.open.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }).await;
                (number % desk.can.one_of == 0).then(|| match desk.can.lag {
                    0 => desk.state(),
                    lag => desk.board.earlier(lag),
                })
            })
        })
    }

    fn state(&self) -> Snapshot {
        if self.can.dates { self.board.snapshot() } else { self.board.undated() }
    }
}

impl World {
    fn new(retain: usize, can: Can) -> Self {
        let board = Board::new(retain);
        let desk = Desk { board: board.clone(), can, open: AtomicBool::new(true), asked: 0.into() };
        let desk = Arc::new(desk);
        let subscriber = attach(&board, &desk, Start::Now);
        let client = Client::new(!can.dates);
        Self { board, can, desk, client, is_ahead: false, subscriber }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Count { topic, times } => (0..times).for_each(|_| self.board.count(TOPICS[topic])),
            Step::Poll { encoded, max, read } => drop(self.poll(encoded, max, read)),
            Step::Drain { encoded } => while self.poll(encoded, 100, u8::MAX).is_ready() {},
            Step::Answer(open) => self.desk.open.store(open, Ordering::Relaxed),
            Step::Cut => self.come(),
            Step::Heartbeat => {
                let at = self.at();
                // With another cursor than its own it is told, as of any other that it has.
                self.is_ahead &= at.is_none() || at == self.client.cursor;
                self.client.cursor = at.or(self.client.cursor.take());
            }
            Step::Garble { ahead } => {
                let cursor = self.subscriber.cursor().map(Cursor::epoch);
                let start = match (ahead, cursor) {
                    (Some(ahead), Some(epoch)) => {
                        let head = self.board.hub().subscribe(Subscribe::topics(TOPICS)).unwrap().cursor().unwrap();
                        if head.epoch() != epoch {
                            return;
                        }
                        Start::After(Cursor::new(epoch, head.sequence() + ahead))
                    }
                    _ => Start::Unreadable,
                };
                // What it has is of no use: it begins anew when it is told.
                self.client.cursor = match start {
                    Start::After(cursor) => Some(cursor.to_string()),
                    _ => Some("nonsense".into()),
                };
                self.come();
                self.is_ahead = matches!(start, Start::After(_));
            }
            Step::Forget => {
                self.client = Client::new(!self.can.dates);
                self.come();
            }
            Step::Restart => {
                self.board.restart();
                self.come();
            }
        }
    }

    /// The client comes, with what it has of a cursor.
    fn come(&mut self) {
        self.client.cut();
        if std::mem::take(&mut self.is_ahead) {
            self.client = Client::new(!self.can.dates);
        }
        let start = match self.client.cursor.as_deref().map(str::parse) {
            None => Start::Now,
            Some(Ok(cursor)) => Start::After(cursor),
            Some(Err(_)) => Start::Unreadable,
        };
        self.subscriber = attach(&self.board, &self.desk, start);
    }

    fn poll(&mut self, encoded: bool, max: usize, read: u8) -> Poll<()> {
        let mut cx = Context::from_waker(Waker::noop());
        let whole = read == u8::MAX;
        if encoded {
            match self.subscriber.poll_encoded(&mut cx, &Wire, max) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(EncodedDelivery::Events(events)) => {
                    let lines = events.bytes.iter().filter(|&&byte| byte == b'\n').count();
                    assert_eq!(events.events as usize, lines);
                    let text = std::str::from_utf8(&events.bytes).unwrap();
                    assert!(!text.contains("reset") || text.contains("done"), "state in one piece");
                    let len = if whole { text.len() } else { text.len() * usize::from(read) / 256 };
                    self.client.read(&events.bytes[..len]);
                }
                Poll::Ready(EncodedDelivery::Gap(gap)) => self.gap(whole, &gap),
                Poll::Ready(other) => panic!("{other:?}"),
            }
        } else {
            match self.subscriber.poll_next(&mut cx) {
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
                Poll::Ready(other) => panic!("{other:?}"),
            }
        }
        match whole {
            // A client that knows where it is knows no other place than the subscriber.
            true => assert!(self.client.cursor.is_none() || self.at() == self.client.cursor, "{self:?}"),
            false => self.come(),
        }
        Poll::Ready(())
    }

    fn at(&self) -> Option<String> {
        self.subscriber.cursor().map(|cursor| cursor.to_string())
    }

    fn gap(&mut self, whole: bool, gap: &Gap) {
        if whole {
            assert!(!self.can.has_state_for_all() || gap.snapshot, "there is state for every gap: {gap:?}");
            self.client.read_gap(gap);
            self.is_ahead = false;
            if gap.reason == GapReason::Epoch && !gap.snapshot {
                self.client.counts.clear();
            }
        }
    }

    /// All that there is reaches the client: it has the application's counts, of all topics that it knows anything of.
    fn finish(mut self) {
        self.desk.open.store(true, Ordering::Relaxed);
        while self.poll(true, 1_000, u8::MAX).is_ready() {}
        assert!(self.client.has_base());
        let topics = &TOPICS[..self.can.topics];
        let truth: BTreeMap<_, _> = self.board.counts();
        for topic in topics {
            if let Some(known) = self.client.counts.get(*topic) {
                assert_eq!(*known, truth.get(*topic).copied().unwrap_or_default(), "{topic}: {self:?}");
            } else {
                assert!(!self.can.has_state_for_all(), "{topic} is known");
            }
        }
    }
}

/// An application that begins with state for who has no cursor.
fn attach(board: &Board, desk: &Arc<Desk>, start: Start) -> Recover<Subscription, Snapshots> {
    let topics = &TOPICS[..desk.can.topics];
    let subscription = board.hub().subscribe(Subscribe::topics(topics.iter().copied()).start(start)).unwrap();
    let mended = subscription.recover_with(desk.snapshots()).with_start(start);
    if start == Start::Now { mended.with_snapshot(desk.state()) } else { mended }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("client", &self.client).field("at", &self.at()).finish_non_exhaustive()
    }
}
