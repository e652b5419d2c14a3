//! A long history.

use std::time::Duration;

use tidings::{Event, LocalHub, Overflow, Retention, Start, Subscribe, Topic};

use super::Wanted;
use super::measure::{heap, nanos_each, publish, read, small, topic};
use super::publisher::Beside;
use super::table::{Table, bytes, time};
use super::topics::ManualClock;

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const ROUNDS: usize = 3;

struct Long {
    hub: LocalHub,
    clock: ManualClock,
    topic: Topic,
}

impl Long {
    fn new(events: usize, event: impl Fn(usize) -> Event) -> Self {
        let (clock, topic) = (ManualClock::new(), topic("long"));
        let long = Retention::count(usize::MAX).bytes(usize::MAX).age(Duration::from_secs(3_600));
        let builder = LocalHub::builder().retain(Retention::count(10)).retain_for("long", long).clock(clock.clone());
        let hub = builder.max_bytes(usize::MAX).build();
        (0..events).for_each(|n| publish(&hub, &topic, event(n)));
        Self { hub, clock, topic }
    }

    fn subscribe(&self, start: Start) {
        read(&mut self.hub.subscribe(Subscribe::topics([&self.topic]).start(start)).expect("open"));
    }
}

/// Events with a tenth as many keys as events.
fn with_key(size: usize) -> impl Fn(usize) -> Event {
    move |n| small().with_key(&format!("key/{}", n % (size / 10))).expect("valid")
}

pub(crate) fn measure(wanted: &Wanted) {
    let mut table = Table::new("events of one topic");
    for size in SIZES {
        if wanted.has("history") {
            let before = heap();
            let long = Long::new(size, |_| small());
            table.put("heap of an event of 16 B", bytes((heap() - before) / size as f64));
            table.put("bytes that the budget counts for it", bytes(long.hub.stats().bytes as f64 / size as f64));
            let publish = || publish(&long.hub, &long.topic, small());
            let from = long.hub.cursor();
            table.put("publish", time(nanos_each(100, publish)));
            table
                .put("resume at a cursor 5,100 events ago", time(nanos_each(1, || long.subscribe(Start::After(from)))));
            table.put("subscribe to the last 10 events", time(nanos_each(10, || long.subscribe(Start::Last(10)))));
        }
        if wanted.has("latest") {
            let rounds = (0..ROUNDS).map(|_| {
                let long = Long::new(size, with_key(size));
                let operation = || {
                    // A second later the other publisher sweeps this topic too, and waits for its lock.
                    long.clock.advance(Duration::from_secs(2));
                    let what = Subscribe::topics([&long.topic]).overflow(Overflow::Latest);
                    drop(long.hub.subscribe(what).expect("open"));
                };
                Beside::once(&long.hub, operation)
            });
            table.put_beside("first subscription with Overflow::Latest", Beside::least(rounds.collect()));
        }
        if wanted.has("aging") {
            type Age = fn(&Long);
            let by: [(&str, Age); 2] = [
                ("publish when all have aged out", |long| publish(&long.hub, &long.topic, small())),
                ("sweep() when all have aged out", |long| long.hub.sweep()),
            ];
            for (row, age) in by {
                let rounds = (0..ROUNDS).map(|_| {
                    let long = Long::new(size, |_| small());
                    let operation = || {
                        // The other publisher may be the one that removes them.
                        long.clock.advance(Duration::from_secs(3_601));
                        age(&long);
                    };
                    Beside::once(&long.hub, operation)
                });
                table.put_beside(row, Beside::least(rounds.collect()));
            }
        }
    }
    table.print(&SIZES);
}
