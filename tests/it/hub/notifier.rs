//! Wakes of waiting subscriptions: by the notifier if there is one, otherwise by the publisher.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;
use tidings::subscriber::Delivery;
use tidings::{Cursor, LocalHub, Start, Subscribe, Subscriber, Subscription, Topic};

use crate::support::{PanickingWaker, WakeCounter, ready_batches, topic};

const TOPICS: [&str; 2] = ["a", "b"];

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize },
    PublishAll,
    Subscribe { topic: usize },
    Poll { index: usize },
    Leave { index: usize },
    Begin,
    Run,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let topic = 0..TOPICS.len();
    prop_oneof![
        6 => topic.clone().prop_map(|topic| Step::Publish { topic }),
        1 => Just(Step::PublishAll),
        4 => topic.prop_map(|topic| Step::Subscribe { topic }),
        8 => any::<usize>().prop_map(|index| Step::Poll { index }),
        1 => any::<usize>().prop_map(|index| Step::Leave { index }),
        2 => Just(Step::Begin),
        4 => Just(Step::Run),
        1 => Just(Step::End),
    ]
}

proptest! {
    /// Each waiting subscription is woken once for the next event, at the latest when the notifier has run or was dropped.
    #[test]
    fn waiting_subscription_is_woken_once_by_notifier_or_publisher(steps in prop::collection::vec(step(), 1..80)) {
        let hub = LocalHub::new();
        let (mut readers, mut notifier) = (Vec::<Reader>::new(), None);
        for step in steps {
            let count = readers.len().max(1);
            match step {
                Step::Publish { topic: index } => {
                    hub.publish_now(topic(TOPICS[index]), "event").unwrap();
                }
                Step::PublishAll => {
                    hub.publish_batch(TOPICS.iter().chain(&TOPICS).map(|name| (topic(name), "event"))).unwrap();
                }
                Step::Subscribe { topic } => readers.push(Reader::new(&hub, TOPICS[topic])),
                Step::Poll { index } => readers.get_mut(index % count).into_iter().for_each(Reader::read),
                Step::Leave { index } if !readers.is_empty() => drop(readers.swap_remove(index % count)),
                Step::Leave { .. } => {}
                Step::Begin => {
                    let new = hub.notifier();
                    prop_assert_eq!(new.is_some(), notifier.is_none(), "one at a time");
                    notifier = notifier.or(new);
                }
                Step::Run => notifier.iter_mut().for_each(|notifier| assert!(run(notifier).is_pending())),
                Step::End => notifier = None,
            }
            if notifier.is_none() || matches!(step, Step::Run) {
                for reader in &readers {
                    prop_assert!(reader.is_woken() || !reader.has_more(&hub));
                }
            }
            prop_assert!(readers.iter().all(|reader| reader.wakes.count() <= reader.waits));
        }
    }
}

#[test]
fn publish_wakes_the_notifier_only_which_wakes_256_subscriptions_per_poll() {
    let hub = LocalHub::new();
    let mut readers: Vec<_> = (0..1_000).map(|_| Reader::new(&hub, "a")).collect();
    readers.iter_mut().for_each(Reader::read);
    let woken = |readers: &[Reader]| readers.iter().filter(|reader| reader.is_woken()).count();
    let mut notifier = hub.notifier().unwrap();
    let own = Arc::new(WakeCounter::default());
    let waker = Waker::from(Arc::clone(&own));
    let mut poll = || Pin::new(&mut notifier).poll(&mut Context::from_waker(&waker));

    assert!(poll().is_pending());
    hub.publish_now(topic("a"), "event").unwrap();
    hub.publish_now(topic("a"), "event").unwrap();
    assert_eq!((woken(&readers), own.count()), (0, 1), "the notifier alone, and once");
    // A reader that leaves before it is woken is not kept until then.
    let left = Arc::clone(&readers.pop().unwrap().wakes);
    assert_eq!((Arc::strong_count(&left), left.count()), (1, 0));
    for (polls, total) in [256, 512, 768, 999].into_iter().enumerate() {
        assert!(poll().is_pending());
        assert_eq!(woken(&readers), total);
        assert_eq!(own.count(), 1 + (polls + 1).min(3), "it wakes itself until all are woken");
    }
    assert!(readers.iter().all(|reader| reader.wakes.count() == 1));

    hub.close();
    assert_eq!(own.count(), 5, "the close wakes the notifier");
    assert!(poll().is_ready() && poll().is_ready());
}

#[test]
fn notifier_with_a_panicking_subscription_waker_wakes_the_others() {
    let hub = LocalHub::new();
    let mut readers: Vec<_> = (0..3).map(|_| Reader::new(&hub, "a")).collect();
    let mut other = Reader::new(&hub, "b");
    let mut notifier = hub.notifier().unwrap();
    for (n, reader) in readers.iter_mut().enumerate() {
        match n {
            1 => drop(reader.subscription.poll_next(&mut Context::from_waker(&Waker::from(Arc::new(PanickingWaker))))),
            _ => reader.read(),
        }
    }
    other.read();
    for name in TOPICS {
        hub.publish_now(topic(name), "event").unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| run(&mut notifier))).is_err());
    drop(notifier);
    assert!([&readers[0], &readers[2], &other].iter().all(|reader| reader.is_woken()));
}

#[test]
fn notifier_whose_own_waker_panicked_wakes_every_topic() {
    struct PanicsOnce(AtomicUsize);

    impl Wake for PanicsOnce {
        fn wake(self: Arc<Self>) {
            assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "as a test");
        }
    }
    let hub = LocalHub::new();
    let mut readers: Vec<_> = TOPICS.iter().map(|name| Reader::new(&hub, name)).collect();
    readers.iter_mut().for_each(Reader::read);
    let mut notifier = hub.notifier().unwrap();
    let waker = Waker::from(Arc::new(PanicsOnce(AtomicUsize::new(0))));
    assert!(Pin::new(&mut notifier).poll(&mut Context::from_waker(&waker)).is_pending());
    let all = || hub.publish_batch(TOPICS.map(|name| (topic(name), "event")));
    assert!(catch_unwind(AssertUnwindSafe(all)).is_err());
    assert!(run(&mut notifier).is_pending());
    assert!(readers.iter().all(Reader::is_woken));
}

struct Reader {
    subscription: Subscription,
    topic: Topic,
    wakes: Arc<WakeCounter>,
    /// Number of times that the reader waited.
    waits: usize,
    /// Number of wakes when it last began to wait.
    wakes_before: usize,
    read: usize,
    start: u64,
}

impl Reader {
    fn new(hub: &LocalHub, name: &str) -> Self {
        let subscription = hub.subscribe(Subscribe::topics([name])).unwrap();
        let start = hub.cursor().sequence();
        Self { subscription, topic: topic(name), wakes: Arc::default(), waits: 0, wakes_before: 0, read: 0, start }
    }

    /// Reads everything and waits.
    fn read(&mut self) {
        let waker = Waker::from(Arc::clone(&self.wakes));
        while let Poll::Ready(delivery) = self.subscription.poll_next(&mut Context::from_waker(&waker)) {
            let Delivery::Events(batch) = delivery else { panic!("{delivery:?}") };
            self.read += batch.len();
        }
        self.waits += 1;
        self.wakes_before = self.wakes.count();
    }

    /// Returns whether the reader was woken since it last began to wait, or never waited.
    fn is_woken(&self) -> bool {
        self.waits == 0 || self.wakes.count() > self.wakes_before
    }

    /// Returns whether there is an event that the reader did not read.
    fn has_more(&self, hub: &LocalHub) -> bool {
        let start = Cursor::new(hub.cursor().epoch(), self.start);
        let after = Start::After(start);
        let mut all = hub.subscribe(Subscribe::topics([&self.topic]).start(after)).unwrap();
        ready_batches(&mut all).map(|batch| batch.len()).sum::<usize>() > self.read
    }
}

/// Polls a notifier until it does not wake itself.
fn run(notifier: &mut (impl Future<Output = ()> + Unpin)) -> Poll<()> {
    let own = Arc::new(WakeCounter::default());
    let waker = Waker::from(Arc::clone(&own));
    loop {
        let before = own.count();
        let polled = Pin::new(&mut *notifier).poll(&mut Context::from_waker(&waker));
        if own.count() == before {
            return polled;
        }
    }
}
