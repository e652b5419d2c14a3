use std::task::{Context, Poll};
use std::thread;

use tidings::subscriber::Delivery;
use tidings::{Start, Subscribe, Subscriber};

use super::{TOPICS, unlimited_hub};
use crate::support::{topic, unpark_waker};

/// No loss between replayed and live events: a subscription from a cursor at any time gets every event after it, while a
/// publisher continues.
#[test]
fn p2_replay_and_live_lose_no_event_at_any_subscribe_time() {
    const EVENTS: u64 = 30_000;
    for several in [false, true] {
        let hub = unlimited_hub();
        let first = hub.publish_now(topic("a"), "0").unwrap().cursor().unwrap();
        let topics = if several { &TOPICS[..] } else { &TOPICS[..1] };
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..EVENTS {
                    hub.publish_now(topic("a"), n.to_string()).unwrap();
                }
            });
            let waker = unpark_waker();
            let (mut cursor, mut next, mut subscriptions) = (first, 1, 0);
            while next < EVENTS {
                let start = Subscribe::topics(topics).start(Start::After(cursor));
                let mut subscription = hub.subscribe(start).unwrap();
                subscriptions += 1;
                loop {
                    match subscription.poll_next(&mut Context::from_waker(&waker)) {
                        Poll::Ready(Delivery::Events(batch)) => {
                            for event in batch.iter() {
                                assert_eq!(event.event.as_str().unwrap().parse(), Ok(next));
                                next += 1;
                            }
                        }
                        Poll::Ready(other) => panic!("{other:?}"),
                        // The next subscription starts here, between history and live events.
                        Poll::Pending => break,
                    }
                }
                cursor = subscription.cursor().unwrap();
            }
            assert!(subscriptions > 1);
        });
    }
}
