//! Panics of the application's code inside the hub: its clock, its wakers and the owners of its payloads. Each ends one
//! call and leaves nothing behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings::subscriber::Delivery;
use tidings::time::Clock;
use tidings::{Event, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription, Topic};

use crate::support::Task;

/// A clock that a test moves, and that panics when it was asked so many times.
#[derive(Clone)]
struct Fuse {
    began: Instant,
    seconds: Arc<AtomicU64>,
    left: Arc<AtomicU64>,
}

impl Fuse {
    fn new() -> Self {
        Self { began: Instant::now(), seconds: Arc::default(), left: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    fn wait(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Sets after how many more looks the clock panics.
    fn panic_after(&self, looks: u64) {
        self.left.store(looks, Ordering::Relaxed);
    }

    /// Ends the panics. Returns whether there was none.
    fn is_left(&self) -> bool {
        self.left.swap(u64::MAX, Ordering::Relaxed) < u64::MAX / 2
    }
}

impl Clock for Fuse {
    fn now(&self) -> Instant {
        let looks = self.left.fetch_sub(1, Ordering::Relaxed);
        if looks == 0 {
            panic!("as a test");
        }
        self.began + Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}

/// The owner of a payload, whose drop panics.
struct Bomb;

impl AsRef<[u8]> for Bomb {
    fn as_ref(&self) -> &[u8] {
        b"x"
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("as a test");
        }
    }
}

fn bomb() -> Event {
    Event::binary(Bytes::from_owner(Bomb))
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("as a test");
    }
}

fn panics(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

fn topic(name: impl std::fmt::Display) -> Topic {
    Topic::new(name.to_string()).unwrap()
}

fn publish(hub: &LocalHub, name: &str, event: impl Into<Event>) {
    hub.publish_now(topic(name), event).unwrap();
}

fn builder(clock: &Fuse) -> tidings::LocalHubBuilder {
    let retention = Retention::count(1_000).age(Duration::from_secs(60));
    LocalHub::builder().retain(retention).clock(clock.clone())
}

fn poll(subscription: &mut Subscription, task: &Task) -> Poll<Delivery> {
    task.with(|cx| subscription.poll_next(cx))
}

#[test]
fn subscribe_in_which_the_clock_panics_leaves_no_subscription_and_no_topic() {
    for overflow in [Overflow::Gap, Overflow::Latest] {
        let clock = Fuse::new();
        let hub = builder(&clock).build();
        publish(&hub, "d/1", "x");
        let mut panicked = 0;
        for looks in 0.. {
            clock.panic_after(looks);
            let names = Subscribe::patterns(["a", "b", "c", "d/*", "e/*"]).start(Start::Oldest).overflow(overflow);
            let subscribed = catch_unwind(AssertUnwindSafe(|| hub.subscribe(names).unwrap()));
            assert_eq!(subscribed.is_ok(), clock.is_left(), "the clock panics, and nothing else");
            let Ok(subscription) = subscribed else {
                panicked += 1;
                let stats = hub.stats();
                assert_eq!((stats.subscriptions, stats.patterns, stats.topics), (0, 0, 1), "after {looks} looks");
                continue;
            };
            assert_eq!(hub.stats().subscriptions, 5);
            drop(subscription);
            break;
        }
        assert!(panicked > 3, "{panicked}");
    }
}

#[test]
fn merged_subscription_in_whose_poll_the_clock_panics_delivers_the_event_later() {
    let clock = Fuse::new();
    let hub = builder(&clock).build();
    let (mut subscription, task) = (hub.subscribe(Subscribe::topics(["a", "b"])).unwrap(), Task::new());
    assert!(poll(&mut subscription, &task).is_pending());
    publish(&hub, "a", Event::text("x").with_ttl(Duration::from_secs(10)));
    clock.panic_after(0);
    assert!(panics(|| drop(poll(&mut subscription, &task))));
    assert!(!clock.is_left());
    let Poll::Ready(Delivery::Events(batch)) = poll(&mut subscription, &task) else { panic!("the event is lost") };
    assert_eq!((batch.topic().as_str(), batch.len()), ("a", 1));
}

#[test]
fn pattern_in_whose_replay_the_clock_panics_delivers_the_events_later() {
    for looks in 0..8 {
        let clock = Fuse::new();
        let hub = builder(&clock).build();
        for name in ["a/1", "a/2", "a/3", "a/1"] {
            publish(&hub, name, Event::text("x").with_ttl(Duration::from_secs(10)));
        }
        let names = Subscribe::patterns(["a/*"]).start(Start::Oldest);
        let (mut subscription, task) = (hub.subscribe(names).unwrap(), Task::new());
        clock.panic_after(looks);
        let mut events = 0;
        loop {
            match catch_unwind(AssertUnwindSafe(|| poll(&mut subscription, &task))) {
                Ok(Poll::Ready(Delivery::Events(batch))) => events += batch.len(),
                Ok(Poll::Pending) => break,
                Ok(other) => panic!("{other:?}"),
                Err(_) => assert!(!clock.is_left(), "the clock panics, and nothing else"),
            }
        }
        assert_eq!(events, 4, "a panic after {looks} looks");
    }
}

#[test]
fn payload_whose_drop_panics_in_the_sweep_of_a_publish_keeps_no_other_topic() {
    let clock = Fuse::new();
    let hub = builder(&clock).build();
    publish(&hub, "a", bomb());
    publish(&hub, "b", "x");
    // The next round of the sweep begins with the first topic.
    clock.wait(100);
    assert!(panics(|| publish(&hub, "c", "x")));
    assert_eq!((hub.has_history(&topic("a")), hub.has_history(&topic("b"))), (false, false));
    assert_eq!(hub.stats().topics, 1, "both are swept, and c is there");
}

#[test]
fn payload_whose_drop_panics_in_a_sweep_keeps_no_topic() {
    let clock = Fuse::new();
    let hub = builder(&clock).build();
    for n in 0..1_000 {
        publish(&hub, &format!("{n}"), if n % 300 == 7 { bomb() } else { Event::text("x") });
    }
    clock.wait(100);
    assert!(panics(|| hub.sweep()));
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.evicted, stats.bytes), (0, 1_000, 0));
    hub.sweep();
}

#[test]
fn payload_whose_drop_panics_when_a_subscription_leaves_keeps_no_topic() {
    for (names, kept) in [(["a", "b"], 1), (["a", "b/*"], 1), (["a", "b"], 0)] {
        let hub = LocalHub::builder().retain(Retention::count(kept)).build();
        let subscription = hub.subscribe(Subscribe::patterns(names)).unwrap();
        publish(&hub, "a", bomb());
        (0..300).for_each(|_| publish(&hub, "a", "x"));
        publish(&hub, "a", bomb());
        assert!(panics(|| drop(subscription)), "the live buffer goes with its last reader");
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.patterns, stats.topics), (0, 0, kept));
        // With the payload that is left.
        panics(|| drop(hub));
    }
}

#[test]
fn payload_whose_drop_panics_in_subscribe_leaves_no_subscription() {
    for names in [vec!["a"], vec!["b", "a"], vec!["b", "*"]] {
        let clock = Fuse::new();
        let hub = builder(&clock).build();
        (0..300).for_each(|_| publish(&hub, "a", bomb()));
        publish(&hub, "a", "x");
        clock.wait(100);
        let subscribe = Subscribe::patterns(names.iter().copied()).start(Start::Oldest);
        assert!(panics(|| drop(hub.subscribe(subscribe.clone()).unwrap())), "{names:?}");
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.patterns), (0, 0), "{names:?}");
        // With the payloads that are left.
        panics(|| drop(hub));
    }
}

#[test]
fn close_in_which_a_waker_panics_wakes_the_other_subscriptions_and_the_notifier() {
    let hub = LocalHub::new();
    let (running, task) = (Task::new(), Task::new());
    let mut notifier = hub.notifier().unwrap();
    assert!(running.poll(&mut notifier).is_pending());
    let mut all = ["a", "a", "b", "c"].map(|name| hub.subscribe(Subscribe::topics([name])).unwrap());
    let panicking = Waker::from(Arc::new(PanickingWaker));
    for (at, subscription) in all.iter_mut().enumerate() {
        let polled = match at {
            0 | 2 => subscription.poll_next(&mut Context::from_waker(&panicking)),
            _ => poll(subscription, &task),
        };
        assert!(polled.is_pending());
    }
    assert!(panics(|| hub.close()));
    assert_eq!((running.wakes(), task.wakes()), (1, 2));
    assert!(running.poll(&mut notifier).is_ready());
    all.iter_mut().for_each(|subscription| assert!(matches!(poll(subscription, &task), Poll::Ready(Delivery::End(_)))));
}
