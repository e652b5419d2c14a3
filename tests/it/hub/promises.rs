//! Single promises of the hub that the random sequences do not cover.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidings::subscriber::{Delivery, EncodedBatch, EncodedDelivery, SubscriptionEnd};
use tidings::{
    Cursor, Event, GapReason, LocalHub, Overflow, PublishError, Retention, Start, Subscribe, SubscribeError,
    Subscriber, Subscription, Topic,
};

use crate::support::{CountingFormat, VirtualTimer, next_gap, poll, poll_encoded, ready_texts, topic};

/// A waker that calls a function.
struct OnWake<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn on_wake(act: impl Fn() + Send + Sync + 'static) -> Waker {
    Arc::new(OnWake(act)).into()
}

/// Registers the waker with a subscription that has nothing to read.
fn wait(subscription: &mut Subscription, waker: &Waker) {
    assert!(subscription.poll_next(&mut Context::from_waker(waker)).is_pending());
}

#[test]
fn event_is_encoded_once_for_all_subscriptions() {
    let (hub, ticks, format) = (LocalHub::new(), topic("ticks"), CountingFormat::default());
    let mut all: Vec<_> = (0..100).map(|_| hub.subscribe(Subscribe::topics([&ticks])).unwrap()).collect();
    for burst in [1, 2, 1, 10, 70, 1] {
        for _ in 0..burst {
            hub.publish_now(&ticks, "tick").unwrap();
        }
        let mut places = Vec::new();
        for subscription in &mut all {
            let mut place = Vec::new();
            while let Poll::Ready(EncodedDelivery::Events(EncodedBatch { bytes, .. })) =
                poll_encoded(subscription, &format, 64 * 1024)
            {
                place.push((bytes.as_ptr() as usize, bytes.len()));
            }
            places.push(place);
        }
        assert!(places.windows(2).all(|two| two[0] == two[1]), "all subscriptions share the same bytes");
    }
    assert_eq!(format.encoded(), 1 + 2 + 1 + 10 + 70 + 1);
}

#[test]
fn cursor_of_another_epoch_yields_gap_and_all_retained_events() {
    for topics in [vec!["a"], vec!["a", "b"]] {
        let hub = LocalHub::new();
        hub.publish_now(topic("a"), "one").unwrap();
        hub.publish_now(topic("a"), "two").unwrap();
        let foreign = Cursor::new(hub.cursor().epoch() ^ 1, 1);
        let mut back = hub.subscribe(Subscribe::topics(topics).start(Start::After(foreign))).unwrap();
        assert_eq!(back.cursor(), None, "no cursor before the gap");
        let gap = next_gap(&mut back);
        let start = Cursor::new(hub.cursor().epoch(), 0);
        assert_eq!((gap.reason, gap.missed, gap.cursor), (GapReason::Epoch, None, start));
        assert_eq!(back.cursor(), Some(start));
        assert_eq!(ready_texts(&mut back), ["one", "two"]);
    }
}

#[test]
fn invalid_cursor_yields_gap_and_continues_live() {
    let hub = LocalHub::new();
    hub.publish_now(topic("a"), "before").unwrap();
    let now = hub.cursor();
    let ahead = Cursor::new(now.epoch(), 2);
    let far = Cursor::new(now.epoch(), u64::MAX);
    for start in [Start::Unreadable, Start::After(ahead), Start::After(far), Start::After(now.with_tag(7))] {
        for topics in [vec!["a"], vec!["a", "b"]] {
            let mut back = hub.subscribe(Subscribe::topics(topics).start(start)).unwrap();
            assert_eq!(back.cursor(), None);
            let gap = next_gap(&mut back);
            assert_eq!((gap.reason, gap.missed, gap.cursor), (GapReason::Invalid, None, now), "{start:?}");
            assert!(poll(&mut back).is_pending());
            assert_eq!(back.cursor(), Some(now));
        }
    }
}

#[test]
fn dropped_topic_yields_gap_to_its_old_clients_only() {
    let clock = VirtualTimer::new();
    let retention = Retention::default().age(Duration::from_secs(1));
    let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
    let start = hub.cursor();
    hub.publish_now(topic("loud"), "gone soon").unwrap();
    clock.advance(Duration::from_secs(2));
    hub.sweep();
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.tombstones, stats.retained), (0, 1, 0), "only the tombstone is left in memory");

    let mut quiet = hub.subscribe(Subscribe::topics(["quiet"]).start(Start::After(start))).unwrap();
    assert!(poll(&mut quiet).is_pending());
    let mut loud = hub.subscribe(Subscribe::topics(["loud"]).start(Start::After(start))).unwrap();
    let gap = next_gap(&mut loud);
    assert_eq!((gap.reason, gap.topic, gap.cursor), (GapReason::Evicted, Some(topic("loud")), hub.cursor()));
    let mut both = hub.subscribe(Subscribe::topics(["quiet", "loud"]).start(Start::After(start))).unwrap();
    assert_eq!(next_gap(&mut both).topic, Some(topic("loud")));
    assert!(poll(&mut both).is_pending());

    drop((loud, both));
    assert_eq!(hub.stats().topics, 1, "the topic is dropped again");
    let mut back = hub.subscribe(Subscribe::topics(["loud"]).start(Start::After(start))).unwrap();
    assert_eq!(next_gap(&mut back).reason, GapReason::Evicted);
    let mut resumed = hub.subscribe(Subscribe::topics(["loud"]).start(Start::After(hub.cursor()))).unwrap();
    assert!(poll(&mut resumed).is_pending(), "the gap is not repeated");
}

#[test]
fn publish_removes_topics_whose_history_expired() {
    let clock = VirtualTimer::new();
    let retention = Retention::default().age(Duration::from_secs(10));
    let hub = LocalHub::builder().retain(retention).clock(clock.clone()).build();
    for n in 0..100 {
        hub.publish_now(topic(format!("once/{n}")), "and never again").unwrap();
    }
    clock.advance(Duration::from_secs(60));
    for _ in 0..100 {
        hub.publish_now(topic("busy"), "still here").unwrap();
    }
    assert_eq!(hub.stats().topics, 1);
}

#[test]
fn waker_that_uses_the_hub_does_not_deadlock() {
    let (hub, a) = (LocalHub::new(), topic("a"));
    let (mut one, mut two) =
        (hub.subscribe(Subscribe::topics(["a"])).unwrap(), hub.subscribe(Subscribe::topics(["a", "b"])).unwrap());
    let dropped = Mutex::new(Some(hub.subscribe(Subscribe::topics(["a"])).unwrap()));
    let waker = on_wake({
        let (hub, a) = (hub.clone(), a.clone());
        move || {
            drop(dropped.lock().unwrap().take());
            hub.subscribe(Subscribe::topics([&a])).unwrap();
            hub.publish_now(topic("c"), "from a waker").unwrap();
        }
    });
    wait(&mut one, &waker);
    wait(&mut two, &waker);
    assert_eq!(hub.publish_now(&a, "wake").unwrap().subscribers(), 3);
    assert_eq!(hub.stats().published, 3);
    assert_eq!(hub.publish_now(&a, "again").unwrap().subscribers(), 2);
}

#[test]
fn publish_with_a_panicking_waker_wakes_the_other_subscriptions() {
    let (hub, a, woken) = (LocalHub::new(), topic("a"), Arc::new(AtomicUsize::new(0)));
    let mut all: Vec<_> = (0..10).map(|_| hub.subscribe(Subscribe::topics(["a"])).unwrap()).collect();
    for (n, subscription) in all.iter_mut().enumerate() {
        let woken = Arc::clone(&woken);
        let waker = on_wake(move || match n % 3 {
            0 => panic!("as a test"),
            _ => {
                woken.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait(subscription, &waker);
    }
    let mut other = hub.subscribe(Subscribe::topics(["b", "c"])).unwrap();
    let count = Arc::clone(&woken);
    wait(
        &mut other,
        &on_wake(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }),
    );
    let events = [(a.clone(), "wake"), (topic("b"), "too")];
    let published = catch_unwind(AssertUnwindSafe(|| hub.publish_batch(events)));
    assert!(published.is_err(), "the publisher gets the panic");
    assert_eq!(woken.load(Ordering::Relaxed), 7, "six subscriptions of this topic, one of the next");
    assert_eq!(hub.publish_now(&a, "next").unwrap().subscribers(), 10);
    assert!(all.iter_mut().all(|subscription| ready_texts(subscription) == ["wake", "next"]));
    assert_eq!(ready_texts(&mut other), ["too"]);
}

#[test]
fn waiting_subscription_is_woken_once_until_its_next_poll() {
    for topics in [vec!["a"], vec!["a", "b"]] {
        let (hub, woken) = (LocalHub::new(), Arc::new(AtomicUsize::new(0)));
        let mut subscription = hub.subscribe(Subscribe::topics(topics)).unwrap();
        let waker = on_wake({
            let woken = Arc::clone(&woken);
            move || {
                woken.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait(&mut subscription, &waker);
        wait(&mut subscription, &waker);
        for _ in 0..3 {
            hub.publish_now(topic("a"), "event").unwrap();
        }
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert_eq!(ready_texts(&mut subscription).len(), 3);
        wait(&mut subscription, &waker);
        hub.publish_batch([(topic("a"), "x"), (topic("a"), "y")]).unwrap();
        assert_eq!(woken.load(Ordering::Relaxed), 2, "one wake for a batch");
    }
}

#[test]
fn dropped_subscription_drops_its_waker() {
    for topics in [vec!["a"], vec!["a", "b"]] {
        let hub = LocalHub::new();
        let mut subscription = hub.subscribe(Subscribe::topics(topics)).unwrap();
        let held = Arc::new(OnWake(|| {}));
        wait(&mut subscription, &Arc::clone(&held).into());
        assert_eq!(Arc::strong_count(&held), 2);
        drop(subscription);
        assert_eq!(Arc::strong_count(&held), 1);
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.topics), (0, 0));
    }
}

#[test]
fn close_ends_a_waiting_subscription_and_refuses_publish_and_subscribe() {
    for topics in [vec!["a"], vec!["a", "b"]] {
        let (hub, woken) = (LocalHub::new(), Arc::new(AtomicUsize::new(0)));
        let mut subscription = hub.subscribe(Subscribe::topics(topics.clone())).unwrap();
        let count = Arc::clone(&woken);
        wait(
            &mut subscription,
            &on_wake(move || {
                count.fetch_add(1, Ordering::Relaxed);
            }),
        );
        hub.close();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert!(matches!(poll(&mut subscription), Poll::Ready(Delivery::End(SubscriptionEnd::Closed))));
        assert!(matches!(poll(&mut subscription), Poll::Ready(Delivery::End(SubscriptionEnd::Closed))));
        assert_eq!(hub.publish_now(topic("a"), "late"), Err(PublishError::Closed));
        assert_eq!(hub.publish_batch([(topic("a"), "late")]), Err(PublishError::Closed));
        assert_eq!(hub.subscribe(Subscribe::topics(topics)).unwrap_err(), SubscribeError::Closed);
    }
}

#[test]
fn refused_event_whose_drop_uses_the_hub_does_not_deadlock() {
    struct Owner(LocalHub);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            b"payload"
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            self.0.close();
        }
    }

    let hub = LocalHub::new();
    let (done, answer) = std::sync::mpsc::channel();
    // In a thread, because a lock that is taken twice would block for ever.
    std::thread::spawn(move || {
        let event = Event::binary(bytes::Bytes::from_owner(Owner(hub.clone())));
        // The hub is closed after the log of the topic was found.
        let closing = std::iter::once((topic("a"), event)).chain(std::iter::from_fn(|| {
            hub.close();
            None
        }));
        done.send(hub.publish_batch(closing)).unwrap();
    });
    assert_eq!(answer.recv_timeout(Duration::from_secs(60)), Ok(Err(PublishError::Closed)));
}

#[test]
fn drop_of_the_last_handle_closes_the_hub() {
    let hub = LocalHub::new();
    let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
    let other = hub.clone();
    hub.publish_now(topic("a"), "last").unwrap();
    drop(hub);
    assert_eq!(ready_texts(&mut subscription), ["last"]);
    assert!(poll(&mut subscription).is_pending());
    drop(other);
    assert!(matches!(poll(&mut subscription), Poll::Ready(Delivery::End(SubscriptionEnd::Closed))));
}

#[test]
fn too_large_event_is_refused_together_with_its_batch() {
    let hub = LocalHub::builder().max_event(4).build();
    let refused = Err(PublishError::TooLarge { weight: 5, limit: 4 });
    assert_eq!(hub.publish_now(topic("a"), "12345"), refused);
    let batch = [(topic("a"), Event::text("1234")), (topic("a"), Event::text("12345"))];
    assert!(hub.publish_batch(batch).is_err());
    assert_eq!(hub.stats().published, 0, "all or none");
}

#[test]
fn lagging_subscription_with_overflow_disconnect_ends_as_too_slow() {
    for topics in [vec!["a"], vec!["a", "b"]] {
        let hub = LocalHub::builder().retain(Retention::count(1)).live_buffer(0).build();
        let mut slow = hub.subscribe(Subscribe::topics(topics).overflow(Overflow::Disconnect)).unwrap();
        for _ in 0..200 {
            hub.publish_now(topic("a"), "event").unwrap();
        }
        assert!(matches!(poll(&mut slow), Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow))));
        assert!(matches!(poll(&mut slow), Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow))));
    }
}

#[test]
fn released_subscription_holds_no_history() {
    let hub = LocalHub::builder().retain(Retention::count(1)).live_buffer(0).build();
    let mut stalled = hub.subscribe(Subscribe::topics(["a"])).unwrap();
    let payload = bytes::Bytes::from(vec![0_u8; 1 << 16]);
    hub.publish_now(topic("a"), Event::binary(payload.clone())).unwrap();
    let _ = poll(&mut stalled);
    stalled.release();
    for _ in 0..10 {
        hub.publish_now(topic("a"), "newer").unwrap();
    }
    assert!(payload.is_unique(), "no reference to the old event is left");
    let missed = next_gap(&mut stalled).missed.unwrap() as usize;
    assert_eq!(missed + ready_texts(&mut stalled).len(), 10);
}

#[test]
fn subscribe_without_topics_or_with_an_invalid_name_is_an_error() {
    let hub = LocalHub::new();
    assert_eq!(hub.subscribe(Subscribe::topics(Vec::<Topic>::new())).unwrap_err(), SubscribeError::NoTopics);
    let error = hub.subscribe(Subscribe::topics(["fine", "not//fine"])).unwrap_err();
    assert!(matches!(error, SubscribeError::Topic(_)), "{error}");
    let error = hub.subscribe(Subscribe::patterns(["fine", "not//fine"])).unwrap_err();
    assert!(matches!(error, SubscribeError::Pattern(_)), "{error}");
    assert_eq!(hub.stats().topics, 0);
}

#[test]
fn sizes_of_handles_and_errors_are_within_their_limits() {
    assert!(size_of::<Subscription>() <= 88, "{}", size_of::<Subscription>());
    assert!(size_of::<Event>() <= 48, "{}", size_of::<Event>());
    assert!(size_of::<PublishError>() <= 24, "{}", size_of::<PublishError>());
    assert!(size_of::<SubscribeError>() <= 24, "{}", size_of::<SubscribeError>());
}
