//! Panics of the application's code inside the hub: the clock, wakers and the owners of payloads. Each panic ends one call
//! and leaves nothing behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings::subscriber::Delivery;
use tidings::time::Clock;
use tidings::{EndReason, Event, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription};

use crate::support::{PanickingWaker, Task, VirtualTimer, topic};

/// A clock of virtual time that panics once, when it has been read a set number of times.
#[derive(Clone)]
struct PanickingClock {
    timer: VirtualTimer,
    left: Arc<AtomicU64>,
}

impl PanickingClock {
    fn new() -> Self {
        Self { timer: VirtualTimer::new(), left: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    fn advance(&self, seconds: u64) {
        self.timer.advance(Duration::from_secs(seconds));
    }

    /// Makes the clock panic after this number of reads.
    fn panic_after(&self, reads: u64) {
        self.left.store(reads, Ordering::Relaxed);
    }

    /// Cancels the panic. Returns whether it was still to come.
    fn is_left(&self) -> bool {
        self.left.swap(u64::MAX, Ordering::Relaxed) < u64::MAX / 2
    }
}

impl Clock for PanickingClock {
    fn now(&self) -> Instant {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        if left == 0 {
            panic!("as a test");
        }
        self.timer.now()
    }
}

/// The owner of a payload. Its drop panics.
struct PanickingDrop;

impl AsRef<[u8]> for PanickingDrop {
    fn as_ref(&self) -> &[u8] {
        b"x"
    }
}

impl Drop for PanickingDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("as a test");
        }
    }
}

/// Returns an event whose drop panics.
fn panicking_event() -> Event {
    Event::binary(Bytes::from_owner(PanickingDrop))
}

fn panics(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

fn publish(hub: &LocalHub, name: &str, event: impl Into<Event>) {
    hub.publish_now(topic(name), event).unwrap();
}

fn builder(clock: &PanickingClock) -> tidings::LocalHubBuilder {
    let retention = Retention::count(1_000).age(Duration::from_secs(60));
    LocalHub::builder().retain(retention).clock(clock.clone())
}

fn poll(subscription: &mut Subscription, task: &Task) -> Poll<Delivery> {
    task.with(|cx| subscription.poll_next(cx))
}

#[test]
fn clock_panic_in_subscribe_leaves_no_subscription_and_no_topic() {
    for overflow in [Overflow::Gap, Overflow::Latest] {
        let clock = PanickingClock::new();
        let hub = builder(&clock).build();
        publish(&hub, "d/1", "x");
        let mut panicked = 0;
        for reads in 0.. {
            clock.panic_after(reads);
            let names = Subscribe::patterns(["a", "b", "c", "d/*", "e/*"]).start(Start::Oldest).overflow(overflow);
            let subscribed = catch_unwind(AssertUnwindSafe(|| hub.subscribe(names).unwrap()));
            assert_eq!(subscribed.is_ok(), clock.is_left(), "only the clock panics");
            let Ok(subscription) = subscribed else {
                panicked += 1;
                let stats = hub.stats();
                assert_eq!((stats.subscriptions, stats.patterns, stats.topics), (0, 0, 1), "after {reads} reads");
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
fn clock_panic_in_poll_of_several_topics_delivers_the_event_later() {
    let clock = PanickingClock::new();
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
fn clock_panic_in_backfill_of_a_pattern_delivers_the_events_later() {
    for reads in 0..8 {
        let clock = PanickingClock::new();
        let hub = builder(&clock).build();
        for name in ["a/1", "a/2", "a/3", "a/1"] {
            publish(&hub, name, Event::text("x").with_ttl(Duration::from_secs(10)));
        }
        let names = Subscribe::patterns(["a/*"]).start(Start::Oldest);
        let (mut subscription, task) = (hub.subscribe(names).unwrap(), Task::new());
        clock.panic_after(reads);
        let mut events = 0;
        loop {
            match catch_unwind(AssertUnwindSafe(|| poll(&mut subscription, &task))) {
                Ok(Poll::Ready(Delivery::Events(batch))) => events += batch.len(),
                Ok(Poll::Pending) => break,
                Ok(other) => panic!("{other:?}"),
                Err(_) => assert!(!clock.is_left(), "only the clock panics"),
            }
        }
        assert_eq!(events, 4, "a panic after {reads} reads");
    }
}

#[test]
fn payload_drop_panic_in_the_sweep_of_a_publish_keeps_no_topic() {
    let clock = PanickingClock::new();
    let hub = builder(&clock).build();
    publish(&hub, "a", panicking_event());
    publish(&hub, "b", "x");
    // The next round of the sweep begins with the first topic.
    clock.advance(100);
    assert!(panics(|| publish(&hub, "c", "x")));
    assert_eq!((hub.has_history(&topic("a")), hub.has_history(&topic("b"))), (false, false));
    assert_eq!(hub.stats().topics, 1, "a and b are swept, c is kept");
}

#[test]
fn payload_drop_panic_in_a_sweep_keeps_no_topic() {
    let clock = PanickingClock::new();
    let hub = builder(&clock).build();
    for n in 0..1_000 {
        publish(&hub, &format!("{n}"), if n % 300 == 7 { panicking_event() } else { Event::text("x") });
    }
    clock.advance(100);
    assert!(panics(|| hub.sweep()));
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.evicted, stats.bytes), (0, 1_000, 0));
    hub.sweep();
}

#[test]
fn payload_drop_panic_in_unsubscribe_keeps_no_topic() {
    for (names, kept) in [(["a", "b"], 1), (["a", "b/*"], 1), (["a", "b"], 0)] {
        let hub = LocalHub::builder().retain(Retention::count(kept)).build();
        let subscription = hub.subscribe(Subscribe::patterns(names)).unwrap();
        publish(&hub, "a", panicking_event());
        (0..300).for_each(|_| publish(&hub, "a", "x"));
        publish(&hub, "a", panicking_event());
        assert!(panics(|| drop(subscription)), "the live buffer is dropped with its last reader");
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.patterns, stats.topics), (0, 0, kept));
        // The hub drops the payload that is left.
        panics(|| drop(hub));
    }
}

#[test]
fn payload_drop_panic_in_subscribe_leaves_no_subscription() {
    for names in [vec!["a"], vec!["b", "a"], vec!["b", "*"]] {
        let clock = PanickingClock::new();
        let hub = builder(&clock).build();
        (0..300).for_each(|_| publish(&hub, "a", panicking_event()));
        publish(&hub, "a", "x");
        clock.advance(100);
        let subscribe = Subscribe::patterns(names.iter().copied()).start(Start::Oldest);
        assert!(panics(|| drop(hub.subscribe(subscribe.clone()).unwrap())), "{names:?}");
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.patterns), (0, 0), "{names:?}");
        // The hub drops the payloads that are left.
        panics(|| drop(hub));
    }
}

#[test]
fn waker_panic_in_close_wakes_the_other_subscriptions_and_the_notifier() {
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

#[test]
fn payload_drop_panic_at_the_end_of_a_topic_loses_no_end() {
    for names in [vec!["a"], vec!["a", "b"]] {
        let hub = LocalHub::builder().retain_for("a", Retention::count(0)).max_bytes(40_000).build();
        let (mut subscription, task) = (hub.subscribe(Subscribe::topics(&names)).unwrap(), Task::new());
        publish(&hub, "a", panicking_event());
        assert!(matches!(poll(&mut subscription, &task), Poll::Ready(Delivery::Events(_))));
        // The subscription is the last that holds the segment.
        (0..4).for_each(|n| publish(&hub, &format!("other/{n}"), "x".repeat(9_000)));
        assert!(hub.stats().pinned_bytes > 0);
        hub.finish("a", EndReason::Done).unwrap();
        assert!(panics(|| _ = poll(&mut subscription, &task)));
        assert!(
            matches!(poll(&mut subscription, &task), Poll::Ready(Delivery::TopicEnd(end)) if end.is_last == (names.len() == 1))
        );
        assert_eq!(hub.stats().pinned_bytes, 0);
        hub.finish("b", EndReason::Done).unwrap();
        let ends = std::iter::from_fn(|| match poll(&mut subscription, &task) {
            Poll::Ready(Delivery::TopicEnd(end)) => Some(end.is_last),
            _ => None,
        });
        assert_eq!(ends.collect::<Vec<_>>(), vec![true; names.len() - 1]);
        assert_eq!(hub.stats().subscriptions, 0);
    }
}

#[test]
fn waker_panic_in_finish_wakes_the_other_subscriptions() {
    let (hub, task) = (LocalHub::new(), Task::new());
    let mut all = [vec!["a"], vec!["a"], vec!["a", "b"]].map(|names| hub.subscribe(Subscribe::topics(names)).unwrap());
    assert!(all[0].poll_next(&mut Context::from_waker(&Waker::from(Arc::new(PanickingWaker)))).is_pending());
    all[1..].iter_mut().for_each(|subscription| assert!(poll(subscription, &task).is_pending()));
    assert!(panics(|| _ = hub.finish("a", EndReason::Done)));
    assert_eq!(task.wakes(), 2);
    all.iter_mut()
        .for_each(|subscription| assert!(matches!(poll(subscription, &task), Poll::Ready(Delivery::TopicEnd(_)))));
}
