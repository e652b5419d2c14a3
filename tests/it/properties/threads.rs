use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tidings::subscriber::Delivery;
use tidings::{Start, Subscribe, Subscriber};

use super::{TOPICS, keeper, topic};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// No loss between what is replayed and what comes live: whoever subscribes at any moment from a cursor gets every
/// event after it, while a publisher goes on.
#[test]
fn p2_replayed_and_live_are_all_there_is() {
    const EVENTS: u64 = 30_000;
    for several in [false, true] {
        let hub = keeper();
        let first = hub.publish_now(topic("a"), "0").unwrap().cursor().unwrap();
        let topics = if several { &TOPICS[..] } else { &TOPICS[..1] };
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..EVENTS {
                    hub.publish_now(topic("a"), n.to_string()).unwrap();
                }
            });
            let waker: Waker = Arc::new(Unpark(thread::current())).into();
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
                        // At the seam: the next one begins right here.
                        Poll::Pending => break,
                    }
                }
                cursor = subscription.cursor().unwrap();
            }
            assert!(subscriptions > 1);
        });
    }
}
