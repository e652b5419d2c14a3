//! Evictions of a spent budget during publishes and reads.

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt, SubscriptionEnd};
use tidings::{Event, LocalHub, Retention, Subscribe};

use super::support::{FixedClock, hub, publish, topic};

#[test]
fn eviction_during_wait_counts_missed_events() {
    for topics in [vec!["a"], vec!["a", "b"]] {
        loom::model(move || {
            let hub = tight_hub();
            let mut subscription = hub.subscribe(Subscribe::topics(topics.clone())).unwrap();
            let other = hub.clone();
            let publisher = thread::spawn(move || {
                // A publish may be refused while the reader holds the evicted segment.
                let accepted = (0..2).filter(|_| other.publish_now(&topic("a"), Event::text("")).is_ok()).count();
                other.close();
                accepted as u64
            });
            let (mut delivered, mut missed) = (0, 0);
            loop {
                match block_on(subscription.next()) {
                    Delivery::Events(batch) => delivered += batch.len() as u64,
                    Delivery::Gap(gap) => missed += gap.missed.unwrap(),
                    Delivery::End(SubscriptionEnd::Closed) => break,
                    other => panic!("{other:?}"),
                }
            }
            let accepted = publisher.join().unwrap();
            assert_eq!(delivered + missed, accepted);
            let stats = hub.stats();
            assert_eq!((stats.published, stats.delivered, stats.missed), (accepted, delivered, missed));
        });
    }
}

#[test]
fn publishes_over_the_budget_add_up() {
    loom::model(|| {
        let hub = tight_hub();
        let publishers = ["a", "b"].map(|name| {
            let hub = hub.clone();
            thread::spawn(move || (publish(&hub, name), publish(&hub, name)))
        });
        for publisher in publishers {
            publisher.join().unwrap();
        }
        let stats = hub.stats();
        assert_eq!((stats.published, stats.retained + stats.evicted), (4, 4));
    });
}

/// Returns a hub with a budget for the first segment of one topic.
fn tight_hub() -> LocalHub {
    let one = hub(Retention::default());
    publish(&one, "a");
    let limit = one.stats().bytes + 50;
    LocalHub::builder().max_bytes(limit).clock(FixedClock::new()).build()
}
