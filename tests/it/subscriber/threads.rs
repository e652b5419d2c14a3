//! Clients that are cut and resume while the application counts, each on its own thread.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;

use tidings::subscriber::{EncodedDelivery, SubscriberExt};
use tidings::{Gap, Start, Subscribe, Subscriber};

use crate::support::counting::{Counters, CountingClient, CursorLineFormat, TOPICS};
use crate::support::unpark_waker;

const COUNTS: usize = 20_000;

/// Follows the counters until `over` is set and everything is read. Now and then the client is slow, is cut inside a delivery
/// or starts over. Returns the client and the number of complete snapshots.
fn follow(counters: &Counters, over: &AtomicBool, topics: usize, seed: u64) -> (CountingClient, usize) {
    let waker = unpark_waker();
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut client, mut snapshots) = (CountingClient::new(false), 0);
    let mut subscriber = subscribe(counters, &client, topics);
    loop {
        let was_over = over.load(Ordering::Acquire);
        match subscriber.poll_encoded(&mut Context::from_waker(&waker), &CursorLineFormat, 256) {
            Poll::Ready(EncodedDelivery::Events(events)) => {
                if random.u8(..) < 8 {
                    client.read(&events.bytes[..random.usize(..events.bytes.len())]);
                    client.cut();
                    if random.bool() {
                        snapshots += client.snapshots;
                        client = CountingClient::new(false);
                    }
                    subscriber = subscribe(counters, &client, topics);
                    continue;
                }
                client.read(&events.bytes);
            }
            Poll::Ready(EncodedDelivery::Gap(gap)) => {
                assert!(gap.snapshot);
                client.read_gap(&gap);
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending if was_over => {
                snapshots += client.snapshots;
                return (client, snapshots);
            }
            Poll::Pending => thread::park(),
        }
        if random.u8(..) < 2 {
            // Long enough for unread events to be evicted.
            (0..200).for_each(|_| thread::yield_now());
        }
    }
}

fn subscribe(counters: &Counters, client: &CountingClient, topics: usize) -> impl Subscriber + use<> {
    let start = client.cursor.as_deref().map_or(Start::Now, |cursor| Start::After(cursor.parse().unwrap()));
    let topics = TOPICS[..topics].iter().copied();
    let subscription = counters.hub().subscribe(Subscribe::topics(topics).start(start)).unwrap();
    let of = counters.clone();
    let recovering = subscription
        .recover_with(move |_: &Gap| {
            let state = of.snapshot();
            async { Some(state) }
        })
        .with_start(start);
    if start == Start::Now { recovering.with_snapshot(counters.snapshot()) } else { recovering }
}

#[test]
fn p2_snapshot_and_live_lose_no_event_while_threads_publish() {
    let (counters, over, begin) = (Counters::new(8), AtomicBool::new(false), Barrier::new(5));
    thread::scope(|scope| {
        let (counters, over, begin) = (&counters, &over, &begin);
        let clients: Vec<_> = (0..4_usize)
            .map(|number| {
                let topics = if number % 2 == 0 { 1 } else { TOPICS.len() };
                let client = move || {
                    begin.wait();
                    follow(counters, over, topics, number as u64)
                };
                (topics, scope.spawn(client))
            })
            .collect();
        begin.wait();
        let counting = TOPICS.map(|topic| scope.spawn(move || (0..COUNTS).for_each(|_| counters.count(topic))));
        counting.into_iter().for_each(|counting| counting.join().unwrap());
        over.store(true, Ordering::Release);
        clients.iter().for_each(|(_, client)| client.thread().unpark());
        let (expected, mut all_snapshots) = (counters.counts(), 0);
        for (topics, client) in clients {
            let (client, snapshots) = client.join().unwrap();
            assert!(client.has_base());
            all_snapshots += snapshots;
            for topic in &TOPICS[..topics] {
                assert_eq!(client.counts.get(*topic), expected.get(*topic), "{topic}");
            }
        }
        assert!(all_snapshots > 4, "{all_snapshots} snapshots: no client fell behind or started over");
    });
}
