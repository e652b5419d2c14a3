//! Many subscribers of one topic.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use tidings::{LocalHub, Subscribe, Subscriber, Subscription};

use super::Wanted;
use super::measure::{heap, median, nanos, publish, small, topic};
use super::publisher::Beside;
use super::table::{Table, bytes, time};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 200_000];
const ROUNDS: usize = 7;

/// Counts wakes.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Subscriptions of one topic, each with a waker of its own.
struct Crowd {
    hub: LocalHub,
    all: Vec<(Subscription, Arc<Woken>)>,
}

impl Crowd {
    fn new(size: usize) -> Self {
        let hub = LocalHub::new();
        let subscribe = |_| (hub.subscribe(Subscribe::topics(["crowd"])).expect("open"), Arc::default());
        let all = (0..size).map(subscribe).collect();
        Self { hub, all }
    }

    /// Reads everything with each subscription, so that all are registered for the next event.
    fn wait(&mut self) {
        for (subscription, woken) in &mut self.all {
            let waker = Waker::from(Arc::clone(woken));
            while subscription.poll_next(&mut Context::from_waker(&waker)).is_ready() {}
        }
    }

    fn publish(&self) {
        publish(&self.hub, &topic("crowd"), small());
    }

    fn wakes(&self) -> usize {
        self.all.iter().map(|(_, woken)| woken.0.load(Ordering::Relaxed)).sum()
    }
}

/// Polls a notifier until it waits.
fn run(notifier: &mut (impl Future<Output = ()> + Unpin)) {
    let own = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&own));
    loop {
        let before = own.0.load(Ordering::Relaxed);
        assert!(Pin::new(&mut *notifier).poll(&mut Context::from_waker(&waker)).is_pending());
        if own.0.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

/// Returns the heap bytes of a hub after its one topic had this many subscribers.
fn left(size: usize) -> f64 {
    let (before, mut crowd) = (heap(), Crowd::new(size));
    let hub = crowd.hub.clone();
    crowd.publish();
    crowd.wait();
    drop(crowd);
    assert_eq!((hub.stats().subscriptions, hub.stats().topics), (0, 1));
    heap() - before
}

pub(crate) fn measure(wanted: &Wanted) {
    if !wanted.has("subscribers") {
        return;
    }
    let mut table = Table::new("subscribers that wait for one topic");
    for size in SIZES {
        let before = heap();
        let mut crowd = Crowd::new(size);
        let subscriptions = heap() - before;
        crowd.wait();
        table.put("heap of a subscription", bytes(subscriptions / size as f64));
        table.put("heap of its place while it waits", bytes((heap() - before - subscriptions) / size as f64));
        crowd.publish();
        crowd.wait();
        let rounds = (0..ROUNDS).map(|_| {
            let measured = Beside::once(&crowd.hub, || crowd.publish());
            crowd.wait();
            measured
        });
        let alone = Beside::least(rounds.collect());
        assert_eq!(crowd.wakes(), (ROUNDS + 1) * size, "each is woken by each publish");
        let mut notifier = crowd.hub.notifier().expect("the first");
        let (mut queued, mut woken) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            queued.push(Beside::once(&crowd.hub, || crowd.publish()));
            woken.push(nanos(|| run(&mut notifier)) / size as f64);
            crowd.wait();
        }
        assert_eq!(crowd.wakes(), (2 * ROUNDS + 1) * size, "each is woken by each publish");
        table.put_beside("publish without a notifier", alone);
        table.put_beside("publish with a notifier", Beside::least(queued));
        table.put("a wake by the notifier", time(median(woken)));
        drop((notifier, crowd));
        table.put("heap of the topic when all have left", bytes(left(size)));
    }
    table.print(&SIZES);
}
