//! Subscriptions of several topics.

use tidings::{LocalHub, Subscribe, Subscription, Topic};

use super::Wanted;
use super::measure::{heap, nanos, nanos_each, publish, read, small, topic};
use super::publisher::Beside;
use super::table::{Table, bytes, time};

const WIDTHS: [usize; 4] = [1, 4, 16, 64];
/// Number of subscriptions.
const FEW: usize = 1_000;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const ROUNDS: usize = 5;

fn subscribed(hub: &LocalHub, topics: &[Topic], subscriptions: usize) -> Vec<Subscription> {
    let mut all = Vec::with_capacity(subscriptions);
    all.extend((0..subscriptions).map(|_| hub.subscribe(Subscribe::topics(topics)).expect("open")));
    read_all(&mut all);
    all
}

fn read_all(subscriptions: &mut [Subscription]) {
    for subscription in subscriptions {
        read(subscription);
    }
}

fn topics(width: usize) -> Vec<Topic> {
    (0..width).map(|n| topic(format!("wide/{n}"))).collect()
}

pub(crate) fn measure(wanted: &Wanted) {
    if wanted.has("wide") {
        let mut table = Table::new("topics of one subscription");
        for width in WIDTHS {
            let (hub, topics, before) = (LocalHub::new(), topics(width), heap());
            let mut all = Vec::new();
            let took = nanos(|| all = subscribed(&hub, &topics, FEW));
            table.put("heap of a waiting subscription, per topic", bytes((heap() - before) / (FEW * width) as f64));
            table.put("subscribe and wait, per topic", time(took / (FEW * width) as f64));
            let mut turn = topics.iter().cycle();
            let round = nanos_each(1, || {
                publish(&hub, turn.next().expect("a topic"), small());
                read_all(&mut all);
            });
            table.put("delivery of an event, its share of the publish included", time(round / FEW as f64));
        }
        table.print(&WIDTHS);
    }
    if wanted.has("marks") {
        let mut table = Table::new("waiting subscriptions of 64 topics");
        for size in SIZES {
            let (hub, topics) = (LocalHub::new(), topics(64));
            let mut all = subscribed(&hub, &topics, size);
            let mut turn = topics.iter().cycle();
            let rounds = (0..ROUNDS).map(|_| {
                let topic = turn.next().expect("a topic");
                let measured = Beside::once(&hub, || publish(&hub, topic, small()));
                all.iter_mut().for_each(|subscription| assert_eq!(read(subscription), 1));
                measured
            });
            table.put_beside("publish to one of the topics", Beside::least(rounds.collect()));
        }
        table.print(&SIZES);
    }
}
