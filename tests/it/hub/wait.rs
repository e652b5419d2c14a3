//! `Subscriber::register`: a subscriber that waits without a poll misses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;
use tidings::subscriber::Delivery;
use tidings::{LocalHub, Retention, Subscribe, Subscriber, Subscription, Topic};

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize },
    Wait,
    Read,
    Drain,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TOPICS.len()).prop_map(|topic| Step::Publish { topic }),
        6 => Just(Step::Wait),
        3 => Just(Step::Read),
        3 => Just(Step::Drain),
        1 => Just(Step::Close),
    ]
}

const TOPICS: [&str; 2] = ["a", "b"];

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn read(subscription: &mut Subscription) -> Poll<String> {
    subscription.poll_next(&mut Context::from_waker(Waker::noop())).map(|delivery| format!("{delivery:?}"))
}

proptest! {
    /// One that waits now and then yields what its twin does, which is polled in vain wherever the first one waits; and
    /// it is woken when there is something.
    #[test]
    fn who_waits_yields_the_same_and_is_woken(
        names in prop::sample::subsequence(TOPICS.to_vec(), 1..=2),
        kept in 1..5_usize,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let hub = LocalHub::builder().retain(Retention::count(kept)).build();
        let mut waiting = hub.subscribe(Subscribe::topics(&names)).unwrap();
        let mut twin = hub.subscribe(Subscribe::topics(&names)).unwrap();
        let mut asleep: Option<Arc<Flag>> = None;
        for step in steps {
            match step {
                Step::Publish { topic } => {
                    let topic = TOPICS[topic];
                    let closed = hub.publish_now(Topic::new(topic).unwrap(), "event").is_err();
                    if let Some(flag) = asleep.as_ref().filter(|_| names.contains(&topic)) {
                        prop_assert!(closed || flag.0.load(Ordering::Relaxed), "it sleeps on");
                    }
                }
                Step::Wait => {
                    let flag = Arc::<Flag>::default();
                    if waiting.register(&mut Context::from_waker(&flag.clone().into())) {
                        prop_assert!(read(&mut twin).is_pending(), "there is something");
                        asleep = Some(flag);
                    }
                }
                Step::Read => {
                    let (one, other) = (read(&mut waiting), read(&mut twin));
                    prop_assert_eq!(&one, &other);
                    let slept = asleep.take().is_some_and(|flag| !flag.0.load(Ordering::Relaxed));
                    prop_assert!(!slept || one.is_pending(), "there was something");
                }
                Step::Drain => {
                    asleep = None;
                    loop {
                        let one = read(&mut waiting);
                        prop_assert_eq!(&one, &read(&mut twin));
                        if one.is_pending() || matches!(one, Poll::Ready(one) if one.starts_with("End")) {
                            break;
                        }
                    }
                }
                Step::Close => hub.close(),
            }
        }
    }
}

#[test]
fn whoever_has_all_of_a_topic_waits() {
    let (hub, topic) = (LocalHub::new(), Topic::new("a").unwrap());
    let mut subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
    let flag = Arc::<Flag>::default();
    let waker = flag.clone().into();
    let mut cx = Context::from_waker(&waker);
    hub.publish_now(&topic, "one").unwrap();
    assert!(!subscription.register(&mut cx), "there is one");
    assert!(matches!(subscription.poll_next(&mut cx), Poll::Ready(Delivery::Events(_))));
    assert!(subscription.register(&mut cx));
    assert!(!flag.0.load(Ordering::Relaxed));
    hub.publish_now(&topic, "two").unwrap();
    assert!(flag.0.load(Ordering::Relaxed));
    assert!(!subscription.register(&mut cx), "there is another");
}

#[test]
fn who_waits_holds_nothing_that_is_evicted() {
    let hub = LocalHub::builder().max_bytes(64 * 1024).build();
    let topic = Topic::new("largest").unwrap();
    let mut subscription = hub.subscribe(Subscribe::topics([&topic])).unwrap();
    hub.publish_now(&topic, "x".repeat(12 * 1024)).unwrap();
    assert!(matches!(read(&mut subscription), Poll::Ready(_)));
    // Topics without a subscription would be evicted first.
    let others: Vec<_> = (0..6).map(|n| Topic::new(format!("other/{n}")).unwrap()).collect();
    let _followed = hub.subscribe(Subscribe::topics(&others)).unwrap();
    for other in &others {
        hub.publish_now(other, "y".repeat(10 * 1024)).unwrap();
    }
    assert!(hub.stats().pinned_bytes > 12 * 1024, "what it was given last");
    assert!(subscription.register(&mut Context::from_waker(Waker::noop())));
    assert_eq!(hub.stats().pinned_bytes, 0);
}
