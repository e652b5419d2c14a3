//! `Subscriber::register`: a subscriber that waits without a poll misses no event.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tidings::subscriber::Delivery;
use tidings::{EndReason, LocalHub, Retention, Subscribe, Subscriber, Subscription};

use crate::support::{WakeCounter, poll, topic};

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize },
    Register,
    Read,
    Drain,
    Finish { topic: usize },
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TOPICS.len()).prop_map(|topic| Step::Publish { topic }),
        6 => Just(Step::Register),
        3 => Just(Step::Read),
        3 => Just(Step::Drain),
        1 => (0..TOPICS.len()).prop_map(|topic| Step::Finish { topic }),
        1 => Just(Step::Close),
    ]
}

const TOPICS: [&str; 2] = ["a", "b"];

/// Polls once. Returns the delivery as text, for comparison.
fn read(subscription: &mut Subscription) -> Poll<String> {
    poll(subscription).map(|delivery| format!("{delivery:?}"))
}

proptest! {
    /// A subscription that registers yields the same as one that is polled, which is pending whenever the first one
    /// registered. The next event wakes it.
    #[test]
    fn registered_subscription_is_woken_and_yields_the_same_as_a_polled_one(
        names in prop::sample::subsequence(TOPICS.to_vec(), 1..=2),
        kept in 1..5_usize,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let hub = LocalHub::builder().retain(Retention::count(kept)).build();
        let mut registered = hub.subscribe(Subscribe::topics(&names)).unwrap();
        let mut polled = hub.subscribe(Subscribe::topics(&names)).unwrap();
        let mut waiting: Option<Arc<WakeCounter>> = None;
        for step in steps {
            match step {
                Step::Publish { topic } => {
                    let name = TOPICS[topic];
                    let closed = hub.publish_now(self::topic(name), "event").is_err();
                    if let Some(wakes) = waiting.as_ref().filter(|_| names.contains(&name)) {
                        prop_assert!(closed || wakes.is_woken(), "not woken");
                    }
                }
                Step::Register => {
                    let wakes = Arc::<WakeCounter>::default();
                    if registered.register(&mut Context::from_waker(&wakes.clone().into())) {
                        prop_assert!(read(&mut polled).is_pending(), "registered although a delivery is ready");
                        waiting = Some(wakes);
                    }
                }
                Step::Read => {
                    let (one, other) = (read(&mut registered), read(&mut polled));
                    prop_assert_eq!(&one, &other);
                    let slept = waiting.take().is_some_and(|wakes| !wakes.is_woken());
                    prop_assert!(!slept || one.is_pending(), "a delivery was ready without a wake");
                }
                Step::Drain => {
                    waiting = None;
                    loop {
                        let one = read(&mut registered);
                        prop_assert_eq!(&one, &read(&mut polled));
                        if one.is_pending() || matches!(one, Poll::Ready(one) if one.starts_with("End")) {
                            break;
                        }
                    }
                }
                Step::Finish { topic } => {
                    let is_new = !hub.finish(TOPICS[topic], EndReason::Done).is_ok_and(|end| end.cursor != hub.cursor());
                    if let Some(wakes) = waiting.as_ref().filter(|_| is_new && names.contains(&TOPICS[topic])) {
                        prop_assert!(wakes.is_woken(), "not woken");
                    }
                }
                Step::Close => hub.close(),
            }
        }
    }
}

#[test]
fn register_returns_true_after_all_events_were_read() {
    let (hub, topic) = (LocalHub::new(), topic("a"));
    let mut subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
    let wakes = Arc::<WakeCounter>::default();
    let waker = wakes.clone().into();
    let mut cx = Context::from_waker(&waker);
    hub.publish_now(&topic, "one").unwrap();
    assert!(!subscription.register(&mut cx), "an event is ready");
    assert!(matches!(subscription.poll_next(&mut cx), Poll::Ready(Delivery::Events(_))));
    assert!(subscription.register(&mut cx));
    assert!(!wakes.is_woken());
    hub.publish_now(&topic, "two").unwrap();
    assert!(wakes.is_woken());
    assert!(!subscription.register(&mut cx), "another event is ready");
}

#[test]
fn register_releases_an_evicted_segment() {
    let hub = LocalHub::builder().max_bytes(64 * 1024).build();
    let largest = topic("largest");
    let mut subscription = hub.subscribe(Subscribe::topics([&largest])).unwrap();
    hub.publish_now(&largest, "x".repeat(12 * 1024)).unwrap();
    assert!(matches!(read(&mut subscription), Poll::Ready(_)));
    // Topics without a subscription would be evicted first.
    let others: Vec<_> = (0..6).map(|n| topic(format_args!("other/{n}"))).collect();
    let _followed = hub.subscribe(Subscribe::topics(&others)).unwrap();
    for other in &others {
        hub.publish_now(other, "y".repeat(10 * 1024)).unwrap();
    }
    assert!(hub.stats().pinned_bytes > 12 * 1024, "the segment of the last delivery");
    assert!(subscription.register(&mut Context::from_waker(Waker::noop())));
    assert_eq!(hub.stats().pinned_bytes, 0);
}
