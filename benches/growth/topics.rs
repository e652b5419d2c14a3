//! Many topics.

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidings::time::Clock;
use tidings::{LocalHub, Retention, Start, Subscribe, Subscription, Topic};

use super::Wanted;
use super::measure::{heap, nanos, nanos_each, publish, read, small, spin, topic};
use super::publisher::{Beside, begun};
use super::table::{Table, bytes, time};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const ROUNDS: usize = 3;
/// Number of events by which a follower is behind: more than a pattern's log keeps.
const BEHIND: usize = 2_000;

/// A clock that the bench sets.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<Mutex<Instant>>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().expect("no panic") += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        *self.0.lock().expect("no panic")
    }
}

/// A hub with the topics `room/N/chat`, one event each.
struct World {
    hub: LocalHub,
    clock: ManualClock,
    topics: Vec<Topic>,
    /// Allocated bytes before the hub was made, and topics that were created beside other operations.
    before: f64,
    begun: usize,
}

impl World {
    fn new(size: usize, table: &mut Table, wanted: &Wanted) -> Self {
        let topics: Vec<_> = (0..size).map(|n| topic(format!("room/{n}/chat"))).collect();
        let (clock, before) = (ManualClock::new(), heap());
        let builder = LocalHub::builder().retain(Retention::count(1_000)).live_buffer(0).clock(clock.clone());
        let hub = builder.max_bytes(usize::MAX).max_topics(10 * size).build();
        let took = nanos(|| topics.iter().for_each(|topic| publish(&hub, topic, small())));
        if wanted.has("topics") {
            table.put("publish that begins a topic", time(took / size as f64));
            table.put("heap of a topic with an event of 16 B", bytes((heap() - before) / size as f64));
            table.put("bytes that the budget counts for it", bytes(hub.stats().bytes as f64 / size as f64));
        }
        Self { hub, clock, topics, before, begun: begun() }
    }

    fn publish(&self, topic: &Topic) {
        publish(&self.hub, topic, small());
    }

    fn subscribe(&self, pattern: &str, start: Start) -> Subscription {
        self.hub.subscribe(Subscribe::patterns([pattern]).start(start)).expect("open")
    }

    /// Returns topics in an order without a pattern.
    fn in_disorder<'a>(&'a self) -> impl FnMut() -> &'a Topic {
        let mut random = fastrand::Rng::with_seed(7);
        move || &self.topics[random.usize(..self.topics.len())]
    }

    fn publishes(&self, table: &mut Table) {
        let mut next = self.in_disorder();
        table.put("publish to a topic, another one each time", time(nanos_each(1_000, || self.publish(next()))));
        table.put("publish to one topic again and again", time(nanos_each(1_000, || self.publish(&self.topics[0]))));
    }

    fn follow(&self, table: &mut Table) {
        for pattern in ["room/*", "room/**"] {
            let follow = || drop(self.subscribe(pattern, Start::Now));
            table.put_beside(&format!("follow `{pattern}`"), Beside::of(&self.hub, ROUNDS, follow));
        }
    }

    fn behind(&self, table: &mut Table) {
        let mut next = self.in_disorder();
        let mut follower = self.subscribe("room/**", Start::Now);
        let connected = (0..ROUNDS).map(|_| {
            read(&mut follower);
            (0..BEHIND).for_each(|_| self.publish(next()));
            Beside::once(&self.hub, || assert!(read(&mut follower) > 0))
        });
        let row = "follower of `room/**` reads 2,000 events after its log lost them";
        table.put_beside(row, Beside::least(connected.collect()));
        let from = self.hub.cursor();
        (0..BEHIND).for_each(|_| self.publish(next()));
        let resume = || assert!(read(&mut self.subscribe("room/**", Start::After(from))) > 0);
        table
            .put_beside("client resumes `room/**` at a cursor 2,000 events ago", Beside::of(&self.hub, ROUNDS, resume));
    }

    /// A poll with a cursor before events of other topics only.
    fn poll(&self, table: &mut Table) {
        let (from, other) = (self.hub.cursor(), topic("other"));
        self.publish(&other);
        let poll = || assert_eq!(read(&mut self.subscribe("room/**", Start::After(from))), 0);
        table.put_beside(
            "poll of `room/**` with nothing new, followed by no other",
            Beside::of(&self.hub, ROUNDS, poll),
        );
        let _follower = self.subscribe("room/**", Start::Now);
        table
            .put_beside("poll of `room/**` with nothing new, followed by another", Beside::of(&self.hub, ROUNDS, poll));
    }

    fn expiry(self, table: &mut Table) {
        self.clock.advance(Duration::from_secs(24 * 3_600));
        table.put_beside("sweep() when all topics have aged out", Beside::once(&self.hub, || self.hub.sweep()));
        self.clock.advance(Duration::from_secs(24 * 3_600));
        self.hub.sweep();
        let stats = self.hub.stats();
        assert_eq!((stats.topics, stats.bytes), (0, 0));
        let left = (heap() - self.before) / (self.topics.len() + begun() - self.begun) as f64;
        table.put("heap that is left of each then", bytes(left));
    }
}

pub(crate) fn measure(wanted: &Wanted) {
    let mut table = Table::new("topics");
    if wanted.has("quiet") {
        let hub = LocalHub::new();
        table.put_beside("nothing for 100 ms", Beside::of(&hub, ROUNDS, || spin(Duration::from_millis(100))));
        table.print(&[0]);
    }
    table = Table::new("topics");
    for size in SIZES {
        if !wanted.has_any(&["topics", "follow", "stats", "sweep", "behind", "poll", "expiry"]) {
            return;
        }
        let world = World::new(size, &mut table, wanted);
        if wanted.has("topics") {
            world.publishes(&mut table);
        }
        if wanted.has("follow") {
            world.follow(&mut table);
        }
        if wanted.has("stats") {
            table.put_beside(
                "stats()",
                Beside::of(&world.hub, ROUNDS, || {
                    black_box(world.hub.stats());
                }),
            );
        }
        if wanted.has("sweep") {
            table.put_beside("sweep() with nothing to drop", Beside::of(&world.hub, ROUNDS, || world.hub.sweep()));
        }
        if wanted.has("behind") {
            world.behind(&mut table);
        }
        if wanted.has("poll") {
            world.poll(&mut table);
        }
        if wanted.has("expiry") {
            world.expiry(&mut table);
        }
    }
    table.print(&SIZES);
}
