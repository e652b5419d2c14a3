//! Wakes of waiting subscriptions, by the notifier if there is one, else by the publisher.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;
use tidings::subscriber::Delivery;
use tidings::{Cursor, LocalHub, Start, Subscribe, Subscriber, Subscription, Topic};

const TOPICS: [&str; 2] = ["a", "b"];

#[derive(Debug, Clone)]
enum Step {
    Publish { topic: usize },
    PublishAll,
    Subscribe { topic: usize },
    Poll { who: usize },
    Leave { who: usize },
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
        8 => any::<usize>().prop_map(|who| Step::Poll { who }),
        1 => any::<usize>().prop_map(|who| Step::Leave { who }),
        2 => Just(Step::Begin),
        4 => Just(Step::Run),
        1 => Just(Step::End),
    ]
}

proptest! {
    /// Each who waits is woken for the next event, once, at the latest when the notifier has run or is gone.
    #[test]
    fn nobody_sleeps_on_whoever_is_to_wake(steps in prop::collection::vec(step(), 1..80)) {
        let hub = LocalHub::new();
        let (mut readers, mut notifier) = (Vec::<Reader>::new(), None);
        for step in steps {
            let count = readers.len().max(1);
            match step {
                Step::Publish { topic } => {
                    hub.publish_now(named(TOPICS[topic]), "event").unwrap();
                }
                Step::PublishAll => {
                    hub.publish_batch(TOPICS.iter().chain(&TOPICS).map(|name| (named(name), "event"))).unwrap();
                }
                Step::Subscribe { topic } => readers.push(Reader::new(&hub, TOPICS[topic])),
                Step::Poll { who } => readers.get_mut(who % count).into_iter().for_each(Reader::read),
                Step::Leave { who } if !readers.is_empty() => drop(readers.swap_remove(who % count)),
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
            prop_assert!(readers.iter().all(|reader| reader.woken.0.load(Ordering::Relaxed) <= reader.sleeps));
        }
    }
}

#[test]
fn a_publish_wakes_nobody_and_the_notifier_some_at_a_time() {
    let hub = LocalHub::new();
    let mut readers: Vec<_> = (0..1_000).map(|_| Reader::new(&hub, "a")).collect();
    readers.iter_mut().for_each(Reader::read);
    let woken = |readers: &[Reader]| readers.iter().filter(|reader| reader.is_woken()).count();
    let mut notifier = hub.notifier().unwrap();
    let own = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&own));
    let mut poll = || Pin::new(&mut notifier).poll(&mut Context::from_waker(&waker));

    assert!(poll().is_pending());
    hub.publish_now(named("a"), "event").unwrap();
    hub.publish_now(named("a"), "event").unwrap();
    assert_eq!((woken(&readers), own.0.load(Ordering::Relaxed)), (0, 1), "the notifier alone, and once");
    // Whoever leaves before its turn is not kept until then.
    let left = Arc::clone(&readers.pop().unwrap().woken);
    assert_eq!((Arc::strong_count(&left), left.0.load(Ordering::Relaxed)), (1, 0));
    for (polls, total) in [256, 512, 768, 999].into_iter().enumerate() {
        assert!(poll().is_pending());
        assert_eq!(woken(&readers), total);
        assert_eq!(own.0.load(Ordering::Relaxed), 1 + (polls + 1).min(3), "it comes again until it is done");
    }
    assert!(readers.iter().all(|reader| reader.woken.0.load(Ordering::Relaxed) == 1));

    hub.close();
    assert_eq!(own.0.load(Ordering::Relaxed), 5, "of the end it is told");
    assert!(poll().is_ready() && poll().is_ready());
}

#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("as a test");
        }
    }
    let hub = LocalHub::new();
    let mut readers: Vec<_> = (0..3).map(|_| Reader::new(&hub, "a")).collect();
    let mut other = Reader::new(&hub, "b");
    let mut notifier = hub.notifier().unwrap();
    for (n, reader) in readers.iter_mut().enumerate() {
        match n {
            1 => drop(reader.subscription.poll_next(&mut Context::from_waker(&Waker::from(Arc::new(Panics))))),
            _ => reader.read(),
        }
    }
    other.read();
    for name in TOPICS {
        hub.publish_now(named(name), "event").unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| run(&mut notifier))).is_err());
    drop(notifier);
    assert!([&readers[0], &readers[2], &other].iter().all(|reader| reader.is_woken()));
}

#[test]
fn a_notifier_whose_waker_panics_is_asleep_for_no_topic() {
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
    let all = || hub.publish_batch(TOPICS.map(|name| (named(name), "event")));
    assert!(catch_unwind(AssertUnwindSafe(all)).is_err());
    assert!(run(&mut notifier).is_pending());
    assert!(readers.iter().all(Reader::is_woken));
}

struct Reader {
    subscription: Subscription,
    topic: Topic,
    woken: Arc<Woken>,
    /// How many times it waited, and how many times it had been woken when it waited last.
    sleeps: usize,
    before: usize,
    read: usize,
    start: u64,
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Reader {
    fn new(hub: &LocalHub, topic: &str) -> Self {
        let subscription = hub.subscribe(Subscribe::topics([topic])).unwrap();
        let start = hub.cursor().sequence();
        Self { subscription, topic: named(topic), woken: Arc::default(), sleeps: 0, before: 0, read: 0, start }
    }

    /// Reads everything, and waits.
    fn read(&mut self) {
        let waker = Waker::from(Arc::clone(&self.woken));
        while let Poll::Ready(delivery) = self.subscription.poll_next(&mut Context::from_waker(&waker)) {
            let Delivery::Events(batch) = delivery else { panic!("{delivery:?}") };
            self.read += batch.len();
        }
        self.sleeps += 1;
        self.before = self.woken.0.load(Ordering::Relaxed);
    }

    /// Whether it was woken since it waited, or never waited.
    fn is_woken(&self) -> bool {
        self.sleeps == 0 || self.woken.0.load(Ordering::Relaxed) > self.before
    }

    /// Whether there is an event that it did not read.
    fn has_more(&self, hub: &LocalHub) -> bool {
        let start = Cursor::new(hub.cursor().epoch(), self.start);
        let after = Start::After(start);
        let mut all = hub.subscribe(Subscribe::topics([&self.topic]).start(after)).unwrap();
        let mut count = 0;
        while let Poll::Ready(Delivery::Events(batch)) = all.poll_next(&mut Context::from_waker(Waker::noop())) {
            count += batch.len();
        }
        count > self.read
    }
}

/// Polls until there is nothing to do.
fn run(notifier: &mut (impl Future<Output = ()> + Unpin)) -> Poll<()> {
    let own = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&own));
    loop {
        let before = own.0.load(Ordering::Relaxed);
        let polled = Pin::new(&mut *notifier).poll(&mut Context::from_waker(&waker));
        if own.0.load(Ordering::Relaxed) == before {
            return polled;
        }
    }
}

fn named(name: &str) -> Topic {
    Topic::new(name).unwrap()
}
