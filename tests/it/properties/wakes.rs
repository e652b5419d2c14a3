use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use bytes::Bytes;
use proptest::prelude::*;
use tidings::subscriber::{Delivery, EncodedDelivery, EventRef, Format, Slot, SubscriberExt};
use tidings::{Event, LocalHub, Start, Subscribe, Subscriber};

use super::{TOPICS, bursts, publish, read, unlimited_hub};
use crate::support::{WakeCounter, poll, poll_encoded, topic};

/// A waker that calls a function when it is woken and when it is dropped.
struct CallingWaker<F: Fn()>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for CallingWaker<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl<F: Fn()> Drop for CallingWaker<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

proptest! {
    /// No lost wake: the next event wakes the last waker of a waiting subscription.
    #[test]
    fn p7_next_event_wakes_the_last_waker(several: bool, polls in 1_usize..5, at in 0_usize..2) {
        let hub = unlimited_hub();
        let topics = if several { &TOPICS[..2] } else { &TOPICS[at..=at] };
        let mut subscription = hub.subscribe(Subscribe::topics(topics)).unwrap();
        let wakers: Vec<_> = (0..polls).map(|_| Arc::new(WakeCounter::default())).collect();
        for waker in &wakers {
            prop_assert!(subscription.poll_next(&mut Context::from_waker(&waker.clone().into())).is_pending());
        }
        let published = publish(&hub, &[at]);
        prop_assert_eq!(wakers.last().unwrap().count(), 1);
        prop_assert_eq!(read(&mut subscription), published);
    }

    /// A wait that is cancelled loses no event.
    #[test]
    fn p10_cancelled_wait_loses_no_event(topics in bursts(40), waits in 0_usize..4) {
        let hub = unlimited_hub();
        let mut subscription = hub.subscribe(Subscribe::topics(TOPICS)).unwrap();
        let mut seen = Vec::new();
        for at in topics.chunks(3) {
            for _ in 0..waits {
                let mut wait = subscription.next();
                prop_assert!(std::pin::Pin::new(&mut wait).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            let published = publish(&hub, at);
            let read = read(&mut subscription);
            prop_assert_eq!(&read, &published);
            seen.extend(read);
        }
        prop_assert_eq!(seen.len(), topics.len());
    }

    /// The number of wakes is linear: one for each waiting subscription, for all events of a batch.
    #[test]
    fn p23_each_waiting_subscription_is_woken_once(waiting in 0_usize..200, events in 1_usize..20) {
        let (hub, ticks) = (unlimited_hub(), topic("ticks"));
        let counter = Arc::new(WakeCounter::default());
        let waker: Waker = counter.clone().into();
        let mut all: Vec<_> = (0..waiting).map(|_| hub.subscribe(Subscribe::topics([&ticks])).unwrap()).collect();
        for subscription in &mut all {
            prop_assert!(subscription.poll_next(&mut Context::from_waker(&waker)).is_pending());
        }
        hub.publish_batch((0..events).map(|n| (ticks.clone(), Event::text(n.to_string())))).unwrap();
        prop_assert_eq!(counter.count(), waiting);
        hub.publish_now(&ticks, "no subscription waits").unwrap();
        prop_assert_eq!(counter.count(), waiting);
    }
}

/// Wakers are woken and dropped outside all locks, so both may use the hub.
#[test]
fn p8_waker_may_use_the_hub_when_woken_and_when_dropped() {
    for topics in [&TOPICS[..1], &TOPICS[..2]] {
        let hub = unlimited_hub();
        let waker = || {
            let hub = hub.clone();
            Waker::from(Arc::new(CallingWaker(move || {
                // A topic that is not followed here. Otherwise each dropped waker would publish the next event.
                hub.publish_now(topic("c/d"), "from a waker").unwrap();
                drop(hub.subscribe(Subscribe::topics(TOPICS)).unwrap());
            })))
        };
        let mut subscription = hub.subscribe(Subscribe::topics(topics)).unwrap();
        // The second replaces the first, which is dropped.
        for _ in 0..2 {
            while subscription.poll_next(&mut Context::from_waker(&waker())).is_ready() {}
        }
        hub.publish_now(topic("a"), "wakes").unwrap();
        while subscription.poll_next(&mut Context::from_waker(&waker())).is_ready() {}
        drop(subscription);
    }
}

/// Code of the application that runs inside the hub may use the hub.
#[test]
fn p11_payload_and_format_may_use_the_hub() {
    struct Payload(LocalHub);

    impl AsRef<[u8]> for Payload {
        fn as_ref(&self) -> &[u8] {
            b"payload"
        }
    }

    impl Drop for Payload {
        fn drop(&mut self) {
            // The hub may be closed when the last of its history is dropped.
            let _ = self.0.publish_now(topic("b"), "from a payload");
            drop(self.0.subscribe(Subscribe::topics(TOPICS)));
        }
    }

    struct Publishing(LocalHub);

    impl Format for Publishing {
        fn slot(&self) -> Option<Slot> {
            Some(Slot::APPLICATION[0])
        }

        fn encode(&self, event: &EventRef<'_>, out: &mut bytes::BytesMut) {
            self.0.publish_now(topic("c/d"), "from a format").unwrap();
            out.extend_from_slice(event.event.payload());
        }
    }

    let hub = LocalHub::builder().retain(tidings::Retention::count(2)).build();
    let mut subscription = hub.subscribe(Subscribe::topics(TOPICS[..2].iter().copied())).unwrap();
    for _ in 0..200 {
        hub.publish_now(topic("a"), Event::binary(Bytes::from_owner(Payload(hub.clone())))).unwrap();
    }
    let format = Publishing(hub.clone());
    let mut pieces = 0;
    while let Poll::Ready(EncodedDelivery::Events(_) | EncodedDelivery::Gap(_)) =
        poll_encoded(&mut subscription, &format, 64)
    {
        pieces += 1;
    }
    assert!(pieces > 1);
    hub.close();
    hub.sweep();
}

/// A publish waits for no subscriber, not even for one that is blocked in the middle of a read.
#[test]
fn p12_publish_does_not_wait_for_a_blocked_subscriber() {
    struct BlockingFormat(Barrier, AtomicBool);

    impl Format for BlockingFormat {
        fn slot(&self) -> Option<Slot> {
            Some(Slot::APPLICATION[0])
        }

        fn encode(&self, event: &EventRef<'_>, out: &mut bytes::BytesMut) {
            if !self.1.swap(true, Ordering::Relaxed) {
                self.0.wait();
                self.0.wait();
            }
            out.extend_from_slice(event.event.payload());
        }
    }

    for topics in [&TOPICS[..1], &TOPICS[..2]] {
        let (hub, format) = (unlimited_hub(), BlockingFormat(Barrier::new(2), AtomicBool::new(false)));
        let mut subscription = hub.subscribe(Subscribe::topics(topics)).unwrap();
        let mut other = hub.subscribe(Subscribe::topics(topics)).unwrap();
        publish(&hub, &[0]);
        thread::scope(|scope| {
            scope.spawn(|| poll_encoded(&mut subscription, &format, 64).is_ready());
            format.0.wait();
            // The reader is in the encoder now and stays there until the second wait.
            publish(&hub, &[0; 100]);
            assert_eq!(read(&mut other).len(), 101);
            let late = hub.subscribe(Subscribe::topics(topics).start(Start::Oldest)).unwrap();
            drop(late);
            format.0.wait();
        });
        assert!(matches!(poll(&mut subscription), Poll::Ready(Delivery::Events(_))));
    }
}
